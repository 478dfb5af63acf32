"""Sign-out and hints at a provider of two processes: rotated keys, hints that prove nothing, addresses that tell
nothing."""

from datetime import timedelta
from typing import Any

import httpx2

from idp.base.entropy import system_entropy
from idp.base.jose import sign
from idp.base.jwk import PrivateKey
from idp.keys.custody import Custody, rotate, tend
from idp.settings import load_settings
from tests.driver import PASSWORD, Browser, Rig, authorization, claims_of, exchange, response_of

TARGET = "https://rp.test/"


async def signed_in(rig: Rig, username: str = "alice") -> tuple[Browser, dict[str, str]]:
    """The browser of a user who has just registered, and the tokens of an application."""
    browser = rig.browser()
    await browser.register(username)
    await browser.get(authorization())
    answer = response_of(await browser.submit(decision="allow"))
    return browser, (await exchange(rig, answer["code"])).json()


async def is_signed_in(browser: Browser) -> bool:
    return (await browser.get("/account")).url.path == "/account"


async def silently(browser: Browser, hint: str) -> dict[str, str]:
    """The answer to prompt=none with this hint."""
    return response_of(await browser.http.get(authorization(prompt="none", id_token_hint=hint)))


async def sign_out_by(browser: Browser, **asked: str) -> httpx2.Response:
    return await browser.http.get("/oauth/logout", params=asked)


def custody_of(rig: Rig) -> Custody:
    provider = rig.app.state.provider
    policy = load_settings({}).key_policy
    return Custody(provider.pool, provider.tools.master_key, policy, rsa_bits=2048, entropy=system_entropy)


async def advance(rig: Rig, browser: Browser, time: timedelta) -> None:
    """Let the time pass with the browser in use, and both processes do what is due."""
    step = timedelta(minutes=30)
    for moment in [step] * (time // step) + [time % step]:
        rig.clock.advance(moment)
        await browser.http.get("/account")
    await tend(custody_of(rig), rig.clock())
    for app in rig.apps:
        await app.state.provider.keys.refresh()


async def published(rig: Rig) -> set[str]:
    async with rig.browser().http as http:
        sets: list[dict[str, Any]] = [(await http.get("/.well-known/jwks.json")).json() for _ in rig.apps]
    kids = [{key["kid"] for key in one["keys"]} for one in sets]
    assert kids[0] == kids[1]
    return kids[0]


async def rotated(rig: Rig, browser: Browser) -> PrivateKey:
    """The key that has just been retired, after what it has signed."""
    await advance(rig, browser, timedelta(minutes=65))
    key: PrivateKey = rig.app.state.provider.keys.ring.signer("RS256")
    await rotate(custody_of(rig), "RS256", rig.clock())
    return key


async def test_a_hint_outlives_the_publishing_of_its_key(rig: Rig) -> None:
    """72 minutes after a rotation an application signs its user out, and asks in silence, as before it."""
    browser, tokens = await signed_in(rig)
    hint, kid = tokens["id_token"], (await rotated(rig, browser)).kid
    await advance(rig, browser, timedelta(minutes=70))
    assert kid in await published(rig)
    await advance(rig, browser, timedelta(minutes=1))
    assert kid not in await published(rig)
    await advance(rig, browser, timedelta(minutes=1))
    for _ in rig.apps:
        assert (await silently(browser, hint))["code"]
    gone = await sign_out_by(browser, id_token_hint=hint, post_logout_redirect_uri=TARGET, state="x")
    assert (gone.status_code, gone.headers["location"]) == (303, f"{TARGET}?state=x")
    assert not await is_signed_in(browser)


async def test_under_a_withdrawn_key_no_access_token_is_believed(rig: Rig) -> None:
    """What it signs is a hint or nothing, as somebody would find out who had a copy of it."""
    browser, tokens = await signed_in(rig)
    key = await rotated(rig, browser)
    for minutes, status in ((70, 200), (72, 401)):
        await advance(rig, browser, timedelta(minutes=70 if minutes == 70 else 2))
        now = int(rig.clock().timestamp())
        claims = claims_of(tokens["access_token"]) | {"iat": now, "exp": now + 300}
        bearer = {"Authorization": f"Bearer {sign(claims, key=key, typ='at+jwt')}"}
        async with rig.browser().http as http:
            answers = [await http.get("/oauth/userinfo", headers=bearer) for _ in rig.apps]
        assert {answer.status_code for answer in answers} == {status}, minutes


async def test_after_the_life_of_a_session_the_key_is_gone(rig: Rig) -> None:
    """And nobody can tell from a hint of that time whose it is."""
    browser, tokens = await signed_in(rig)
    kid = (await rotated(rig, browser)).kid
    await advance(rig, browser, timedelta(hours=12))
    await browser.get("/login")
    await browser.submit(username="alice", password=PASSWORD)
    assert (await silently(browser, tokens["id_token"]))["code"]
    await advance(rig, browser, timedelta(minutes=1))
    assert all(kid not in app.state.provider.keys.ring.hint_verifiers for app in rig.apps)
    assert (await silently(browser, tokens["id_token"]))["error"] == "invalid_request"
