"""A trusted device: not without the password, for nobody else, no longer than it was said, and never for an app."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from idp.authn.throttle import MOST_MISSES
from idp.cli import user
from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator, ceremony_on
from tests.attacks.test_guessing import missed_before
from tests.cli.installation import Installation
from tests.driver import PASSWORD, Browser, Rig, authorization, claims_of, code_of, exchange, response_of, running
from tests.texting import SMS, add_person, newest_code, with_password
from tests.web.account.people import OTHER_PASSWORD, error_on, make_codes, text_of
from tests.web.trusting import (
    CODE_LIFE,
    allow,
    asks_for_code,
    at_desk,
    by_password,
    enrolled,
    events,
    leave,
    put_into,
    silent,
    trusting,
)

TRUST = {"IDP_TRUSTED_DEVICE_DAYS": "30"}
SESSIONS = "/account/sessions"


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, **TRUST, **SMS, IDP_EMAIL_CODES="on") as found:
        await found.add_client()
        yield found


def with_device_of(browser: Browser, rig: Rig) -> Browser:
    """Another browser that has nothing of this one but a copy of the cookie by which its device is known."""
    thief = rig.browser()
    thief.http.cookies.set("idp_device", browser.http.cookies["idp_device"], domain="localhost.local")
    return thief


async def test_A_34_on_a_trusted_device_the_password_does_and_is_all_that_is_said(rig: Rig) -> None:
    alice, _ = await trusting(rig)
    code = response_of(await by_password(alice))["code"]
    claims = claims_of((await exchange(rig, code)).json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("1fa", ["pwd"])
    assert (await events(rig, "sign_in"))[-1]["trusted_device"] is True
    assert "trusted_device" not in (await events(rig, "sign_in"))[-2]


async def test_A_34_the_pages_of_the_account_ask_on_a_trusted_device_too(rig: Rig) -> None:
    alice, _ = await trusting(rig)
    assert "code" in response_of(await by_password(alice))
    for path in ("/account", "/account/password", "/account/authenticators/add-totp", SESSIONS):
        page = await alice.get(path)
        assert page.url.path == "/login", path
        assert asks_for_code(page), path
    await alice.post("/logout", {})
    await alice.get("/login")
    assert asks_for_code(await alice.submit(username="alice", password=PASSWORD))


async def test_A_34_a_copied_device_is_nothing_without_the_password(rig: Rig) -> None:
    """And with it, it is what its owner said: that is what a trusted device is."""
    alice, seed = await trusting(rig)
    thief = with_device_of(alice, rig)
    assert (await silent(thief))["error"] == "login_required"
    page = await thief.get(authorization())
    assert 'name="password"' in page.text
    interaction = page.url.params["interaction"]
    refused = await thief.post(f"/login?interaction={interaction}&method=totp", {"code": code_of(seed, rig)})
    assert error_on(refused) == "form_expired"
    assert error_on(await by_password(thief, "not the right password")) == "wrong_credentials"
    assert "idp_session" not in thief.http.cookies
    assert "code" in response_of(await by_password(thief))


async def test_A_34_no_other_proof_stands_in_for_the_password_on_a_trusted_device(rig: Rig) -> None:
    """The app was shown since the request that wants a new sign-in; the password was not."""
    alice, seed = await trusting(rig)
    assert "code" in response_of(await by_password(alice))
    rig.clock.advance(1)
    page = await alice.get(authorization(prompt="login"))
    waiting = str(page.url)
    rig.clock.advance(1)
    await alice.get(authorization(acr_values="mfa"))
    assert "code" in response_of(await alice.submit(code=code_of(seed, rig)))
    page = await alice.get(waiting)
    assert page.status_code == 200
    assert 'name="password"' in page.text


async def test_A_34_a_copied_device_is_dead_once_its_owner_has_signed_in(rig: Rig) -> None:
    alice, _ = await trusting(rig)
    thief = with_device_of(alice, rig)
    assert "code" in response_of(await by_password(alice))
    assert asks_for_code(await by_password(thief))


async def test_A_34_another_browser_is_not_trusted(rig: Rig) -> None:
    alice, _ = await trusting(rig)
    assert asks_for_code(await by_password(rig.browser()))
    assert "code" in response_of(await by_password(alice))


async def test_A_34_another_accounts_trust_does_not_count(rig: Rig) -> None:
    """Bob uses alice's browser: it asks him, and goes on to know her."""
    alice, _ = await trusting(rig)
    _, seed = await enrolled(rig, "bob")
    assert asks_for_code(await by_password(alice, username="bob"))
    assert "code" in response_of(await alice.submit(code=code_of(seed, rig)))
    await leave(rig, alice)
    assert asks_for_code(await by_password(alice, username="bob"))
    assert "code" in response_of(await by_password(alice))


async def test_A_34_trust_never_counts_for_an_application(rig: Rig) -> None:
    await rig.add_client("strict", min_acr="mfa")
    alice, _ = await trusting(rig)
    page = await by_password(alice, acr_values="mfa")
    assert asks_for_code(page)
    assert 'name="trust"' not in page.text
    page = await alice.get(authorization(client_id="strict"))
    assert asks_for_code(page)
    assert 'name="trust"' not in page.text
    # What the account asks is waived: there is a session, which says what it is.
    claims = claims_of((await exchange(rig, (await silent(alice))["code"])).json()["id_token"])
    assert claims["acr"] == "1fa"
    assert (await silent(alice, acr_values="mfa"))["error"] == "unmet_authentication_requirements"
    assert (await silent(alice, client_id="strict"))["error"] == "unmet_authentication_requirements"


async def test_A_34_a_tick_that_was_not_offered_trusts_nothing(rig: Rig) -> None:
    alice, seed = await enrolled(rig)
    page = await by_password(alice, acr_values="mfa")
    assert 'name="trust"' not in page.text
    assert "code" in response_of(await alice.submit(code=code_of(seed, rig), trust="1"))
    await leave(rig, alice)
    assert asks_for_code(await by_password(alice))
    assert await events(rig, "device_trusted") == []


async def test_A_34_a_password_with_the_tick_trusts_nothing(rig: Rig) -> None:
    alice, _ = await enrolled(rig)
    await alice.get(authorization())
    assert asks_for_code(await alice.submit(username="alice", password=PASSWORD, trust="1"))
    assert await events(rig, "device_trusted") == []


async def test_A_34_a_passkey_in_place_of_the_password_trusts_nothing(rig: Rig) -> None:
    """The tick is for what follows the password; nobody offered it here."""
    alice, device = rig.browser(), authenticator(rig.issuer)
    await alice.register()
    await add_passkey(alice, device)
    await allow(alice)
    rig.clock.advance(1)
    asked = ceremony_on(await alice.get(authorization(prompt="login")))
    answer = await alice.post(asked.action, {"credential": device.use(asked.challenge), "trust": "1"})
    assert "code" in response_of(answer)
    assert await events(rig, "device_trusted") == []


async def test_A_34_a_recovery_code_trusts_nothing(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await browser.add_totp(rig)
    [code, *_] = await make_codes(browser)
    await allow(browser)
    await leave(rig, browser)
    page = await by_password(browser)
    interaction = page.url.params["interaction"]
    page = await browser.get(f"/login?interaction={interaction}&method=recovery")
    assert 'name="trust"' not in page.text
    assert "code" in response_of(await browser.submit(code=code, trust="1"))
    await leave(rig, browser)
    assert asks_for_code(await by_password(browser))
    assert await events(rig, "device_trusted") == []


@pytest.mark.parametrize(("channel", "trusted"), [("mail", 0), ("sms", 1)])
async def test_A_34_a_code_by_mail_trusts_nothing_and_one_by_text_message_does(
    rig: Rig, channel: str, trusted: int
) -> None:
    by_mail = {"number": None, "email": "carol@mail.test", "email_verified": True} if channel == "mail" else {}
    await add_person(rig, **by_mail)  # type: ignore[arg-type]
    browser = rig.browser()
    page = await with_password(browser)
    assert ('name="trust"' in page.text) == bool(trusted)
    page = await browser.submit(code=await newest_code(rig, channel), trust="1")
    assert page.url.path == "/account"
    assert len(await events(rig, "device_trusted")) == trusted


async def test_A_34_trust_ends_by_itself(rig: Rig) -> None:
    alice, _ = await trusting(rig)
    rig.clock.advance(timedelta(days=30) - CODE_LIFE - timedelta(seconds=1))
    assert "code" in response_of(await by_password(alice))
    rig.clock.advance(timedelta(seconds=1))
    assert (await silent(alice))["error"] == "login_required"
    assert asks_for_code(await alice.get(authorization()))
    await alice.post("/logout", {})
    assert asks_for_code(await by_password(alice))


async def revoke_all(_rig: Rig, desk: Browser, _trusted: Browser) -> None:
    page = await desk.get(SESSIONS)
    assert "Trusted until" in text_of(page)
    assert "Trusted until" not in text_of(await desk.post(f"{SESSIONS}/ask-again", {}))


async def revoke_one(_rig: Rig, desk: Browser, _trusted: Browser) -> None:
    page = await desk.get(SESSIONS)
    [url] = re.findall(r'action="(/account/sessions/trusted/\w+/ask-again)"', page.text)
    assert "Trusted until" not in text_of(await desk.post(url, {}))


async def change_password(_rig: Rig, desk: Browser, _trusted: Browser) -> None:
    await desk.get("/account/password")
    page = await desk.submit(current_password=PASSWORD, password=OTHER_PASSWORD)
    assert page.url.path == "/account/authenticators"


async def remove_an_app(rig: Rig, desk: Browser, _trusted: Browser) -> None:
    await desk.add_totp(rig)
    page = await desk.get("/account/authenticators")
    [first, *_] = re.findall(r'"(/account/authenticators/\w+/remove)"', page.text)
    await desk.get(first)
    assert (await desk.submit()).url.path == "/account/authenticators"


async def sign_out_elsewhere(_rig: Rig, desk: Browser, _trusted: Browser) -> None:
    await desk.get(SESSIONS)
    await desk.post(f"{SESSIONS}/end-others", {})


ENDS = (revoke_all, revoke_one, change_password, remove_an_app, sign_out_elsewhere)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_A_34_trust_ends_with_what_its_owner_does_elsewhere(
    rig: Rig, end: Callable[[Rig, Browser, Browser], Awaitable[None]]
) -> None:
    """In the session that rests on it, too."""
    alice, seed = await trusting(rig)
    assert "code" in response_of(await by_password(alice))
    desk = await at_desk(rig, seed)
    assert "code" in await silent(alice)
    await end(rig, desk, alice)
    assert (await silent(alice))["error"] == "login_required"
    await alice.post("/logout", {})
    password = OTHER_PASSWORD if end is change_password else PASSWORD
    assert asks_for_code(await by_password(alice, password))
    if end is not sign_out_elsewhere:
        assert [event["count"] for event in await events(rig, "device_trust_ended")] == [1]


async def test_A_34_who_signs_out_everywhere_else_goes_on_to_trust_this_browser(rig: Rig) -> None:
    alice, seed = await trusting(rig)
    await at_desk(rig, seed)
    await alice.get("/login")
    await alice.submit(username="alice", password=PASSWORD)
    page = await alice.submit(code=code_of(seed, rig))
    page = await alice.get(SESSIONS)
    assert "Trusted until" in text_of(page).rpartition("This device")[0]
    await alice.post(f"{SESSIONS}/end-others", {})
    await leave(rig, alice)
    assert "code" in response_of(await by_password(alice))


async def test_A_34_nobody_ends_or_sees_the_trust_of_another_account(rig: Rig) -> None:
    alice, seed = await trusting(rig)
    desk = await at_desk(rig, seed)
    [url] = re.findall(r'action="(/account/sessions/trusted/\w+/ask-again)"', (await desk.get(SESSIONS)).text)
    bob = rig.browser()
    await bob.register("bob")
    assert "Trusted until" not in text_of(await bob.get(SESSIONS))
    for address in (url, f"{SESSIONS}/ask-again"):
        await bob.post(address, {})
    assert "code" in response_of(await by_password(alice))
    assert await events(rig, "device_trust_ended") == []


async def test_A_34_an_account_that_was_shut_trusts_no_browser(rig: Rig, database: str, tmp_path: Path) -> None:
    alice, _ = await trusting(rig)
    people = Installation(user.app, database, tmp_path)
    assert (await asyncio.to_thread(people.do, "disable", "alice")).exit_code == 0
    assert error_on(await by_password(alice)) is not None
    assert (await asyncio.to_thread(people.do, "enable", "alice")).exit_code == 0
    assert asks_for_code(await by_password(alice))
    [told] = await events(rig, "device_trust_ended")
    assert told["count"] == 1


async def test_A_34_and_A_37_while_a_factor_is_switched_off_no_browser_is_trusted(rig: Rig) -> None:
    """Somebody else has the password then."""
    alice, _ = await trusting(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        sub = str(await conn.fetchval("SELECT sub FROM users"))
    await missed_before(rig, sub, MOST_MISSES - 1)
    mallory = rig.browser()
    await by_password(mallory)
    await mallory.submit(code="000000")
    assert len(await events(rig, "factor_locked")) == 1
    page = await by_password(alice)
    assert (page.status_code, error_on(page)) == (403, "factor_locked")


async def test_A_34_trust_never_lowers_what_cannot_be_phished(rig: Rig) -> None:
    """Where the account has it, it is asked for; where it has not, it is to be added."""
    alice, seed = await trusting(rig)
    await put_into(rig, "phr")
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET enrolment_due_at = $1", rig.clock())
    page = await by_password(alice)
    assert "Add one of these" in text_of(page)
    assert (await silent(alice))["error"] == "unmet_authentication_requirements"
    desk = rig.browser()
    await by_password(desk)
    await desk.submit(code=code_of(seed, rig))
    await add_passkey(desk, authenticator(rig.issuer))
    await alice.post("/logout", {})
    page = await by_password(alice)
    assert 'data-method="webauthn"' in page.text
    assert 'name="trust"' not in page.text
    assert "code" not in await silent(alice)


async def test_A_34_what_one_process_ends_the_other_asks_for_at_once(database: str, tmp_path: Path) -> None:
    """And one that trusts no browser does not heed what another was told."""
    async with (
        running(database, tmp_path, **TRUST) as here,
        running(database, tmp_path, **TRUST) as there,
        running(database, tmp_path) as without,
    ):
        await here.add_client()
        for number, other in enumerate((there, without), start=1):
            # All begin with the same randomness, and must not hand out the same secrets.
            other.app.state.provider.entropy(number * 1_000_003)
        alice, seed = await trusting(here)
        for other in (there, without):
            other.clock.now = here.clock.now
        moved = there.browser()
        moved.http.cookies = alice.http.cookies
        stricter = with_device_of(alice, without)
        assert asks_for_code(await by_password(stricter))
        assert "code" in response_of(await by_password(moved))
        desk = await at_desk(here, seed)
        await desk.post(f"{SESSIONS}/ask-again", {})
        assert (await silent(moved))["error"] == "login_required"
        assert asks_for_code(await moved.get(authorization()))
        await moved.post("/logout", {})
        for browser in (moved, alice):
            assert asks_for_code(await by_password(browser))
