"""After a whole journey over two servers nothing secret is found, in no encoding: not in a log, not in any table."""

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import httpx2
import pyotp

from idp.base.clock import system_clock
from idp.base.entropy import system_entropy, token
from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator, use_passkey
from tests.cluster import BASIC, SECRET, Cluster, answer_of, authorization, code_grant
from tests.driver import VERIFIER, Browser

PASSWORD = "Nineteen purple walruses 7"
CHANGED = "Twenty amber walruses 8 "
WRONG = "Eighteen green walruses 6"


class Journey:
    """What was secret on the way, by what it is."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.secrets: dict[str, str] = {"client secret": SECRET, "verifier": VERIFIER}
        self.codes: list[str] = []

    def keep(self, name: str, value: str) -> str:
        """Remember a secret, and hand it on."""
        assert len(value) >= 16
        self.secrets[f"{name} {len(self.secrets)}"] = value
        return value

    def browser(self) -> Browser:
        """A browser whose every cookie is remembered."""
        browser = self.cluster.browser()
        browser.http.event_hooks["response"].append(self._cookies)
        return browser

    async def _cookies(self, answer: httpx2.Response) -> None:
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            if value := rest.partition(";")[0].strip('"'):
                self.keep(name, value)

    def otp(self, seed: str) -> str:
        """What the app with this seed shows now."""
        code = str(pyotp.TOTP(seed).at(system_clock()))
        self.codes.append(code)
        return code


async def sign_up(journey: Journey) -> Browser:
    """A new account with an app, a passkey and recovery codes, and a browser in which it is signed in."""
    browser = journey.browser()
    await browser.get("/register")
    form = {"username": "carol", "password": PASSWORD, "email": "carol@mail.example", "phone": ""}
    assert (await browser.submit(**form)).url.path == "/account"
    page = await browser.get("/account/authenticators/add-totp")
    found = re.search(r"secret=([A-Z2-7]+)", page.text)
    assert found
    seed = journey.keep("seed", found[1])
    await browser.submit(code="000000")
    assert (await browser.submit(code=journey.otp(seed))).url.path == "/account/authenticators"
    device = authenticator(journey.cluster.issuer)
    assert (await add_passkey(browser, device)).url.path == "/account/authenticators"
    page = await browser.post("/account/recovery-codes", {})
    shown = re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", page.text)
    assert len(set(shown)) == 10
    for code in shown:
        journey.keep("recovery code", code)
        journey.keep("recovery code", code.replace("-", ""))
    await browser.post("/account/sign-out", {})
    # In again, by the passkey and by a recovery code, after what fails.
    other = journey.browser()
    await other.get("/login")
    await use_passkey(other, device, user_verified=False)
    assert (await use_passkey(other, device)).url.path == "/account"
    third = journey.browser()
    await third.get("/login")
    await third.submit(username="carol", password=journey.keep("password", WRONG))
    await third.submit(username=journey.keep("password", PASSWORD), password="typed into the other field")
    await third.submit(username="carol", password=PASSWORD)
    assert third.page is not None
    here = f"/login?{third.page.url.query.decode()}"
    await third.post(f"{here}&method=totp", {"code": shown[0]})
    assert (await third.post(f"{here}&method=recovery", {"code": shown[1].upper()})).url.path == "/account"
    form = {"current_password": PASSWORD, "password": journey.keep("password", CHANGED)}
    assert (await third.post("/account/password", form)).url.path == "/account/authenticators"
    return third


async def sign_in_to_app(journey: Journey, browser: Browser) -> None:
    """Codes and tokens, used rightly, wrongly and twice."""
    cluster = journey.cluster
    await browser.get(authorization())
    code = journey.keep("code", answer_of(await browser.submit(decision="allow"))["code"])
    assert (await cluster.exchange(code, code_verifier="w" * 43)).status_code == 400
    code = journey.keep("code", answer_of(await browser.get(authorization()))["code"])
    tokens = (await cluster.exchange(code)).json()
    for name in ("access_token", "id_token", "refresh_token"):
        journey.keep(name, tokens[name])
        if tokens[name].count(".") == 2:
            journey.keep(f"signature of {name}", tokens[name].rpartition(".")[2])
    renewed = (await cluster.refresh(tokens["refresh_token"])).json()
    for name in ("access_token", "refresh_token"):
        journey.keep(name, renewed[name])
    assert (await cluster.userinfo(renewed["access_token"])).status_code == 200
    assert (await cluster.introspect(renewed["refresh_token"]))["active"] is True
    assert (await cluster.refresh(tokens["refresh_token"])).status_code == 400
    assert (await cluster.exchange(code)).status_code == 400
    await cluster.userinfo(renewed["access_token"][:-3] + "abc")
    wrong = journey.keep("client secret", token(system_entropy))
    async with cluster.http() as http:
        form = code_grant(code) | {"client_id": "web", "client_secret": wrong}
        await http.post("/oauth/token", data=form)
        await http.post("/oauth/token", data=form, headers={"authorization": BASIC})
        await http.get("/oauth/userinfo", params={"access_token": renewed["access_token"]})
        await http.get("/oauth/logout", params={"id_token_hint": tokens["id_token"] + "x"})
        for name in ("id_token_hint", "state", "login_hint", "client_id", "redirect_uri"):
            await http.get("/oauth/authorize", params={"client_id": "web", name: renewed["access_token"]})
    assertion = journey.keep("client assertion", cluster.assertion())
    form = {"grant_type": "client_credentials", "client_assertion": assertion}
    answer = await cluster.post("/oauth/token", "m2m", **form)
    journey.keep("access_token", answer.json()["access_token"])
    await cluster.post("/oauth/token", "m2m", **form)
    await browser.get(f"/oauth/logout?id_token_hint={tokens['id_token']}")


def forms_of(secret: str) -> Iterator[str]:
    """The ways in which a secret could have been written down."""
    raw = secret.encode()
    yield from {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], raw.hex(), raw.hex().upper()}
    for before in range(3):
        # Wherever it begins within a longer text; the first and the last character depend on what is around.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + raw).decode().rstrip("=")[4 if before else 0 : -2]
    if re.fullmatch("[A-Z2-7]{32}", secret):
        seed = base64.b32decode(secret)
        yield from {seed.hex(), base64.b64encode(seed).decode().rstrip("="), secret.lower()}


async def everything_kept(cluster: Cluster) -> dict[str, str]:
    """Every row of every table as text, and the log of the servers."""
    kept = {"log": cluster.said()}
    async with transaction(cluster.pool) as conn:
        tables = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for table in sorted(row["tablename"] for row in tables):
            kept[table] = "\n".join(row["t"] for row in await conn.fetch(f'SELECT kept::text AS t FROM "{table}" kept'))
    return kept


async def test_A_75_no_secret_is_kept_in_the_clear(cluster: Cluster) -> None:
    """Passwords, codes, tokens, seeds, cookies and client secrets (ASVS 16.2.5, 13.3.1, 14.2.1)."""
    journey = Journey(cluster)
    browser = await sign_up(journey)
    await sign_in_to_app(journey, browser)
    journey.keep("master key", cluster.environ["IDP_MASTER_KEY"])
    key = json.loads((await cluster.signing_key()).dump())
    for member in ("d", "p", "q"):
        journey.keep("signing key", key[member])
    kept = await everything_kept(cluster)
    assert len(journey.secrets) > 50
    assert "carol" in kept["audit_events"]
    assert "recovery_codes_renewed" in kept["audit_events"]
    assert "Application startup complete" in kept["log"]
    found = [
        (name, place)
        for name, secret in journey.secrets.items()
        for written in forms_of(secret)
        for place, text in kept.items()
        if written in text
    ]
    assert found == []
    # Six digits are found in any clock; of these, look beside the times.
    for place, text in kept.items():
        timeless = re.sub(r"\d\d:\d\d:\d\d[.,]\d+", "", text)
        for code in journey.codes:
            assert not re.search(rf"\b{code}\b", timeless), place


def test_A_75_the_search_finds() -> None:
    """What it looks for is what would be there."""
    for secret in (PASSWORD, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"):
        raw = secret.encode()
        for around in (b"", b"a", b"ab", b"abc"):
            for text in (
                base64.b64encode(around + raw + b"more").decode(),
                base64.urlsafe_b64encode(around + raw).decode(),
                (around + raw).hex(),
                quote(around + raw),
                json.dumps({"password": secret}),
            ):
                assert any(written in text for written in forms_of(secret)), text
