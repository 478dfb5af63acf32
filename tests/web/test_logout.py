"""Sign-out and hints at a provider of two processes: rotated keys, hints that prove nothing, addresses that tell
nothing."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx2

from idp.base.entropy import system_entropy
from idp.base.jose import sign
from idp.base.jwk import PrivateKey, generate
from idp.keys.custody import Custody, rotate, tend
from idp.settings import load_settings
from idp.store import clients
from idp.store.audit_events import list_events
from idp.store.database import transaction
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


DOUBT = "We could not tell which sign-in this request belongs to."


def forged(hint: str) -> Iterator[str]:
    """Hints that prove nothing: unknown key, changed, of nobody, no token at all."""
    header, payload, signature = hint.split(".")
    yield sign(claims_of(hint), key=generate("RS256", rsa_bits=2048), typ="JWT")
    yield f"{header}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield f"eyJhbGciOiJub25lIn0.{payload}."
    yield "x"


async def test_a_hint_that_proves_nothing_leads_to_the_question(rig: Rig) -> None:
    """And after the yes to no place that nothing proves; a place of the client that is named is asked for by name."""
    browser, tokens = await signed_in(rig)
    elsewhere = {"post_logout_redirect_uri": "https://rp.test/?elsewhere"}
    for hint in forged(tokens["id_token"]):
        page = await sign_out_by(browser, id_token_hint=hint, post_logout_redirect_uri=TARGET)
        assert (page.status_code, DOUBT in page.text, 'id="sign-out"' in page.text) == (200, True, True), hint
        assert "<input" not in page.text.partition("<main")[2].partition("</main")[0]
        for status, client_id, more in ((400, "web", elsewhere), (400, "nobody", {}), (200, "web", {})):
            asked = {"id_token_hint": hint, "post_logout_redirect_uri": TARGET, "client_id": client_id} | more
            assert (await sign_out_by(browser, **asked)).status_code == status
        assert await is_signed_in(browser)
    await browser.get("/oauth/logout?id_token_hint=x&post_logout_redirect_uri=" + TARGET)
    assert (await browser.submit()).url.path == "/signed-out"
    assert not await is_signed_in(browser)


async def test_a_client_that_is_named_has_the_user_asked_and_back(rig: Rig) -> None:
    """RP-Initiated Logout 1.0 §2, §3: its address is its own, but whose sign-in it means is for the user to say."""
    browser, _ = await signed_in(rig)
    asked = {"client_id": "web", "post_logout_redirect_uri": TARGET, "state": "x"}
    page = await browser.get("/oauth/logout?" + urlencode(asked))
    assert (page.status_code, DOUBT in page.text) == (200, True)
    assert f"form-action 'self' {TARGET[:-1]}" in page.headers["content-security-policy"]
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)">', page.text))
    assert fields == asked
    gone = await browser.submit(**fields)
    assert (gone.status_code, gone.headers["location"]) == (303, f"{TARGET}?state=x")
    assert not await is_signed_in(browser)
    # Where nobody has to be asked, the way on is a link: nothing sends a browser anywhere unasked.
    page = await sign_out_by(browser, **asked)
    assert (page.status_code, f'href="{TARGET}?state=x"' in page.text) == (200, True)


async def test_a_client_that_is_named_has_to_be_there(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    await rig.add_client("other", post_logout_redirect_uris=("https://other.test/",))
    for client_id in ("other", "nobody"):
        asked = {"client_id": client_id, "post_logout_redirect_uri": TARGET}
        assert (await sign_out_by(browser, **asked)).status_code == 400
    async with transaction(rig.app.state.provider.pool) as conn:
        await clients.set_disabled(conn, "other", rig.clock())
    asked = {"client_id": "other", "post_logout_redirect_uri": "https://other.test/"}
    assert (await sign_out_by(browser, **asked)).status_code == 400
    assert await is_signed_in(browser)


async def test_a_hint_that_proves_nothing_is_in_the_trail(rig: Rig) -> None:
    """ASVS 16.3.3: as it was when it got an error page."""
    browser, tokens = await signed_in(rig)
    await sign_out_by(browser, id_token_hint=tokens["id_token"][:-2] + "AA")
    async with transaction(rig.app.state.provider.pool) as conn:
        event = (await list_events(conn))[-1]
    assert (event.event, event.details["error"], event.details["path"]) == (
        "request_refused",
        "logout_refused",
        "/oauth/logout",
    )
    assert tokens["id_token"] not in str(event)
