"""No input whatever gives a 5xx: every endpoint, fed with what nobody should send."""

import random
from pathlib import Path

from tests.driver import authorization, running

VALUES = (
    "", "%00", "%ED%A0%80", "%FF", "a" * 9000, "'", '"', "%0d%0aX:1", "[]", "{}", "%F0%9F%98%80", "-1", "1e999",
    "null", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "none login", "ü", "1&code=2",
)  # fmt: skip
NAMES = (
    "client_id", "redirect_uri", "scope", "state", "nonce", "claims", "acr_values", "max_age", "prompt",
    "id_token_hint", "login_hint", "response_mode", "grant_type", "code", "code_verifier", "refresh_token",
    "client_secret", "client_assertion", "client_assertion_type", "token", "username", "password", "credential",
    "method", "decision", "account", "name", "post_logout_redirect_uri", "interaction", "return_to", "email", "phone",
)  # fmt: skip
TYPES = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json")
AUTHORIZATIONS = ("Basic !!!", "Basic d2ViOnNzcw==", "Bearer x", "Basic AAAA", "Bearer " + "a" * 20000)


async def test_no_input_gives_a_server_error(database: str, tmp_path: Path) -> None:
    chance = random.Random(1)  # noqa: S311 - the same cases in every run

    def some(most: int) -> str:
        return "&".join(f"{chance.choice(NAMES)}={chance.choice(VALUES)}" for _ in range(chance.randint(0, most)))

    async with running(database, tmp_path) as rig:
        await rig.add_client()
        browser = rig.browser()
        await browser.get(authorization(prompt="create"))
        page = await browser.register()
        waiting, good = page.url.query.decode(), authorization().partition("?")[2]
        paths = [str(route.path).replace("{id}", "%00x") for route in rig.app.routes if hasattr(route, "path")]
        for _ in range(2000):
            headers = {"content-type": chance.choice(TYPES)} if chance.random() < 0.2 else {"content-type": TYPES[0]}
            if chance.random() < 0.2:
                headers["authorization"] = chance.choice(AUTHORIZATIONS)
            address = f"{chance.choice(paths)}?{some(4)}&{chance.choice(('', waiting, good))}"
            body = f"{chance.choice(('', good))}&{some(5)}".encode()
            method = chance.choice(("GET", "POST", "PUT"))
            # An exception that reached the server would be raised here.
            answer = await browser.http.request(
                method, address, content=body if method == "POST" else None, headers=headers
            )
            assert answer.status_code < 500, (method, address, body)
