import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from idp.cli.demo.config import Config, from_environment
from idp.cli.demo.site import build, step_up
from tests.cli.demo.provider import ISSUER, Network, Provider

CONFIG = Config(ISSUER, "bank", "secret")


@dataclass
class Visitor:
    """A browser before the bank."""

    provider: Provider
    http: httpx2.AsyncClient = field(repr=False)

    async def press(self, button: str) -> httpx2.Response:
        """Press a button of the page and follow where it leads."""
        return await self.http.post(f"/{button}", follow_redirects=True)

    async def read(self) -> str:
        return (await self.http.get("/")).text


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    provider = Provider()
    network = Network(provider)
    network.hosts = {"provider.test": provider.app(), "localhost": build(CONFIG, network)}
    async with httpx2.AsyncClient(transport=network, base_url=CONFIG.home) as http:
        yield Visitor(provider, http)


def claims(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-claim="(\w+)">([^<]*)<', page))


async def test_signing_in_shows_the_verified_claims(visitor: Visitor) -> None:
    assert 'id="sign-in"' in await visitor.read()
    page = (await visitor.press("sign-in")).text
    shown = claims(page)
    assert (shown["sub"], shown["acr"], shown["amr"]) == ("alice-sub", "mfa", "pwd otp")
    assert shown["preferred_username"] == "alice"
    assert shown["auth_time"] == "2026-02-02 02:40:00 UTC"
    [asked] = visitor.provider.asked
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert (asked["redirect_uri"], asked["scope"]) == (CONFIG.redirect_uri, "openid profile email")
    assert {"state", "nonce", "code_challenge"} <= asked.keys()


async def test_no_token_is_in_the_cookie(visitor: Visitor) -> None:
    await visitor.press("sign-in")
    assert len(visitor.http.cookies["demo_session"]) < 400


async def test_a_transfer_steps_up_and_is_finished_afterwards(visitor: Visitor) -> None:
    await visitor.press("sign-in")
    page = (await visitor.press("transfer")).text
    assert 'id="transferred"' in page
    assert claims(page)["acr"] == "phr"
    assert visitor.provider.asked[-1]["acr_values"] == "phr"
    assert 'id="transferred"' not in await visitor.read()
    await visitor.press("transfer")
    assert len(visitor.provider.asked) == 2


async def test_an_expired_token_is_renewed_before_the_step_up(visitor: Visitor) -> None:
    visitor.provider.life = -60
    await visitor.press("sign-in")
    visitor.provider.life = 600
    assert 'id="transferred"' in (await visitor.press("transfer")).text
    assert [asked.get("acr_values") for asked in visitor.provider.asked] == [None, None, "phr"]


async def test_a_provider_that_never_steps_up_makes_no_loop(visitor: Visitor) -> None:
    visitor.provider.life = -60
    await visitor.press("sign-in")
    page = (await visitor.press("transfer")).text
    assert 'id="not-confirmed"' in page
    assert len(visitor.provider.asked) == 3


async def test_a_refused_step_up_sends_nothing_and_keeps_the_session(visitor: Visitor) -> None:
    await visitor.press("sign-in")
    visitor.provider.error = "unmet_authentication_requirements"
    response = await visitor.press("transfer")
    assert response.status_code == 400
    assert 'id="not-confirmed"' in response.text
    assert 'id="sign-out"' in response.text
    visitor.provider.error = None
    assert 'id="transferred"' not in (await visitor.press("sign-in")).text


async def test_somebody_else_cannot_finish_a_transfer(visitor: Visitor) -> None:
    await visitor.press("sign-in")
    visitor.provider.sub = "mallory-sub"
    page = (await visitor.press("transfer")).text
    assert 'id="transferred"' not in page
    assert claims(page)["sub"] == "mallory-sub"


async def test_a_transfer_needs_a_sign_in(visitor: Visitor) -> None:
    assert 'id="sign-in"' in (await visitor.press("transfer")).text
    assert not visitor.provider.asked


async def test_signing_out_goes_by_the_provider(visitor: Visitor) -> None:
    """RP-Initiated Logout 1.0 §2"""
    await visitor.press("sign-in")
    response = await visitor.http.post("/sign-out")
    address = urlsplit(response.headers["location"])
    sent = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{ISSUER}/logout"
    assert sent["post_logout_redirect_uri"] == CONFIG.home
    assert sent["id_token_hint"].count(".") == 2
    back = await visitor.http.get("/", params={"state": sent["state"]}, follow_redirects=True)
    assert 'id="signed-out"' in back.text
    assert 'id="sign-in"' in back.text


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"code": "c", "state": "invented", "iss": ISSUER}, id="RFC6749-10.12-state"),
        pytest.param({"code": "c", "iss": ISSUER}, id="no-state"),
        pytest.param({"code": "c", "state": "s", "iss": "http://evil.test"}, id="RFC9207-2.4-iss"),
        pytest.param({"code": "c", "state": "s"}, id="RFC9207-2.4-no-iss"),
        pytest.param({"error": "server_error", "state": "s", "iss": ISSUER}, id="error"),
    ],
)
async def test_answers_that_are_refused(visitor: Visitor, query: dict[str, str]) -> None:
    response = await visitor.http.get("/callback", params=query)
    assert response.status_code == 400
    assert 'id="refused"' in response.text


async def test_an_id_token_for_another_is_refused(visitor: Visitor) -> None:
    started = await visitor.http.post("/sign-in")
    answered = await visitor.http.get(started.headers["location"])
    for asked in visitor.provider.codes.values():
        asked["nonce"] = "another"
    response = await visitor.http.get(answered.headers["location"])
    assert (response.status_code, 'id="sign-in"' in response.text) == (400, True)


async def test_cancelling_is_no_fault(visitor: Visitor) -> None:
    visitor.provider.error = "access_denied"
    assert 'id="cancelled"' in (await visitor.press("sign-in")).text


async def test_a_provider_that_is_down_is_said_to_be(visitor: Visitor) -> None:
    visitor.provider.down = True
    response = await visitor.press("sign-in")
    assert (response.status_code, 'id="unreachable"' in response.text) == (503, True)


async def test_pages_are_not_kept_and_not_framed(visitor: Visitor) -> None:
    headers = (await visitor.http.get("/")).headers
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (await visitor.http.get("/static/style.css")).status_code == 200


@pytest.mark.parametrize(
    ("challenge", "wanted"),
    [
        pytest.param(
            'Bearer error="insufficient_user_authentication", acr_values="phr phrh", max_age="60"',
            {"acr_values": "phr phrh", "max_age": "60"},
            id="RFC9470-3",
        ),
        ('Bearer error="invalid_token", acr_values="phr"', {}),
        ("Bearer", {}),
        ("", {}),
    ],
)
def test_challenges(challenge: str, wanted: dict[str, str]) -> None:
    assert step_up(challenge) == wanted


def test_the_environment_is_read_and_its_gaps_are_named() -> None:
    environ = {"DEMO_ISSUER": ISSUER, "DEMO_CLIENT_ID": "bank", "DEMO_CLIENT_SECRET": "secret"}
    assert from_environment(environ) == CONFIG
    assert from_environment({**environ, "DEMO_PORT": "9001"}).home == "http://localhost:9001/"
    with pytest.raises(LookupError, match="DEMO_CLIENT_ID, DEMO_CLIENT_SECRET"):
        from_environment({"DEMO_ISSUER": ISSUER})
    assert "secret" not in repr(CONFIG)
