"""What the organisation asks for, with its time of grace."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator
from tests.driver import PASSWORD, Browser, Rig, authorization, code_of, response_of, running
from tests.texting import SMS
from tests.web.account.people import text_of
from tests.web.trusting import allow, by_password, enrolled, events, leave, put_into, silent

DAY = timedelta(days=1)


class With(Protocol):
    """Starts a provider with these settings."""

    def __call__(self, **environ: str) -> AbstractAsyncContextManager[Rig]: ...


@pytest.fixture
def with_settings(database: str, tmp_path: Path) -> With:
    return partial(running, database, tmp_path)


@pytest.fixture
async def rig(with_settings: With) -> AsyncIterator[Rig]:
    async with with_settings() as found:
        await found.add_client()
        yield found


async def registered(rig: Rig) -> Browser:
    """Alice's browser, in which she is signed in by her password, all that she has, and has allowed the client."""
    alice = rig.browser()
    await alice.register()
    await allow(alice)
    return alice


async def test_in_grace_one_is_told_once_each_sign_in_and_goes_on(rig: Rig) -> None:
    alice = await registered(rig)
    await put_into(rig, "mfa")
    page = await alice.get(authorization())
    assert "Your organisation asks for two steps" in text_of(page)
    assert "You have 7 days" in text_of(page)
    again = await alice.get(authorization())
    assert 'id="later"' in again.text
    assert "code" in response_of(await alice.submit())
    for _ in range(2):
        assert "code" in response_of(await alice.get(authorization()))
    assert (await alice.get("/account")).url.path == "/account"
    assert await events(rig, "enrolment_deferred") == [{"reasons": ["group: mfa"]}]
    await leave(rig, alice)
    rig.clock.advance(DAY)
    assert "You have 6 days" in text_of(await by_password(alice))
    assert "code" in response_of(await alice.submit())
    assert "code" in response_of(await alice.get(authorization()))
    assert len(await events(rig, "enrolment_deferred")) == 2
    assert await events(rig, "enrolment_enforced") == []


async def test_in_grace_nothing_may_ask_and_nothing_is_said_in_silence(rig: Rig) -> None:
    """Nor does the time begin to run where nobody was told."""
    alice = await registered(rig)
    await put_into(rig, "mfa")
    assert "code" in await silent(alice)
    rig.clock.advance(timedelta(minutes=20))
    assert "code" in await silent(alice)
    assert "You have 7 days" in text_of(await alice.get(authorization()))
    assert "code" in await silent(alice)
    assert "code" in response_of(await alice.submit())
    assert "code" in await silent(alice)


async def test_on_ones_own_visit_one_is_told_as_well(rig: Rig) -> None:
    alice = await registered(rig)
    await leave(rig, alice)
    await put_into(rig, "phr")
    await alice.get("/login")
    page = await alice.submit(username="alice", password=PASSWORD)
    assert "a sign-in that cannot be phished" in text_of(page)
    assert 'id="add-passkey"' in page.text
    assert 'id="add-totp"' not in page.text
    assert (await alice.submit()).url.path == "/account"


async def test_after_the_grace_nothing_goes_on_but_enrolling(rig: Rig) -> None:
    """In the session from before, too."""
    alice, desk = await registered(rig), rig.browser()
    await put_into(rig, "mfa")
    await alice.get(authorization())
    rig.clock.advance(7 * DAY)
    page = await by_password(desk)
    assert 'id="later"' not in page.text
    interaction = page.url.params["interaction"]
    page = await desk.post(f"/login/later?interaction={interaction}", {})
    assert page.url.path == "/login"
    assert 'id="add-totp"' in page.text
    assert await events(rig, "enrolment_deferred") == []
    assert await events(rig, "enrolment_enforced") == [{"reasons": ["group: mfa"]}]
    assert (await silent(desk))["error"] == "unmet_authentication_requirements"
    for path in ("/account", "/account/password", "/account/email"):
        assert (await desk.get(path)).url.path == "/login"
    await desk.add_totp(rig)
    assert "code" in await silent(desk)
    assert (await desk.get("/account")).url.path == "/account"


async def test_a_session_from_before_is_held_up_once_the_grace_is_over(rig: Rig) -> None:
    alice = await registered(rig)
    await put_into(rig, "mfa")
    await alice.get(authorization())
    assert "code" in response_of(await alice.submit())
    assert "code" in await silent(alice)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET enrolment_due_at = $1", rig.clock())
    assert (await silent(alice))["error"] == "unmet_authentication_requirements"
    assert 'id="later"' not in (await alice.get(authorization())).text
    assert (await alice.get("/account")).url.path == "/login"


async def test_the_grace_runs_once_and_not_anew_for_what_is_asked_later(rig: Rig) -> None:
    alice = await registered(rig)
    await put_into(rig, "mfa")
    await alice.get(authorization())
    await alice.submit()
    await leave(rig, alice)
    rig.clock.advance(3 * DAY)
    await put_into(rig, "phr", group="finance")
    page = await by_password(alice)
    assert "You have 4 days" in text_of(page)


async def test_without_grace_it_holds_at_once(with_settings: With) -> None:
    async with with_settings(IDP_ENROLMENT_GRACE="0") as rig:
        await rig.add_client()
        alice = await registered(rig)
        await put_into(rig, "mfa")
        assert (await silent(alice))["error"] == "unmet_authentication_requirements"
        page = await alice.get(authorization())
        assert "Add one of these, then go on." in text_of(page)
        assert 'id="later"' not in page.text
        await alice.post(f"/login/later?interaction={page.url.params['interaction']}", {})
        assert "code" not in await silent(alice)
        assert (await alice.get("/account")).url.path == "/login"
        assert await events(rig, "enrolment_deferred") == []


async def test_what_the_installation_asks_holds_for_everybody(with_settings: With) -> None:
    async with with_settings(IDP_MIN_ACR="mfa") as rig:
        await rig.add_client()
        alice = rig.browser()
        page = await alice.register()
        assert "Your organisation asks for two steps" in text_of(page)
        assert 'id="later"' in page.text
        rig.clock.advance(7 * DAY)
        page = await by_password(alice)
        assert "Your organisation asks for two steps" in text_of(page)
        assert 'id="later"' not in page.text
        assert await events(rig, "enrolment_enforced") == [{"reasons": ["installation: mfa"]}]
        seed = await alice.add_totp(rig)
        await leave(rig, alice)
        await by_password(alice)
        page = await alice.submit(code=code_of(seed, rig))
        assert page.url.path == "/consent"
        assert (await events(rig, "sign_in"))[-1]["reasons"] == ["account: mfa", "installation: mfa"]


async def test_a_level_that_can_be_reached_is_asked_for_though_grace_runs(rig: Rig) -> None:
    """What could wait as long as it was lacking waits no more once it is there."""
    alice, seed = await enrolled(rig)
    await put_into(rig, "phr")
    await by_password(alice)
    page = await alice.submit(code=code_of(seed, rig))
    assert 'id="later"' in page.text
    assert "code" in await silent(alice)
    await add_passkey(alice, authenticator(rig.issuer))
    await leave(rig, alice)
    page = await by_password(alice)
    assert 'data-method="webauthn"' in page.text
    assert 'id="later"' not in page.text
    interaction = page.url.params["interaction"]
    page = await alice.get(f"/login?interaction={interaction}&method=totp")
    assert 'data-method="webauthn"' in page.text
    assert "code" not in await silent(alice)


async def test_what_the_account_has_is_asked_for_though_more_is_lacking(rig: Rig) -> None:
    alice, _ = await enrolled(rig)
    await put_into(rig, "phr")
    assert 'data-method="totp"' in (await by_password(alice)).text
    assert (await silent(alice))["error"] == "login_required"


async def test_a_requirement_of_a_client_has_no_grace(rig: Rig) -> None:
    """Not even where a group asks for the same, which waits elsewhere."""
    await rig.add_client("strict", min_acr="mfa")
    alice = await registered(rig)
    await put_into(rig, "mfa")
    await alice.get(authorization())
    assert "code" in response_of(await alice.submit())
    page = await alice.get(authorization(client_id="strict"))
    assert "Example Bank asks for two steps" in text_of(page)
    assert 'id="later"' not in page.text
    await alice.post(f"/login/later?interaction={page.url.params['interaction']}", {})
    assert (await silent(alice, client_id="strict"))["error"] == "unmet_authentication_requirements"
    assert (await silent(alice, acr_values="mfa"))["error"] == "unmet_authentication_requirements"
    assert "code" in await silent(alice)


async def test_a_phone_number_is_offered_where_it_would_do(with_settings: With) -> None:
    """Where there are codes by text message, and two steps are all that is asked."""
    async with with_settings(**SMS) as rig:
        await rig.add_client()
        alice = await registered(rig)
        await put_into(rig, "mfa")
        page = await alice.get(authorization())
        assert 'id="add-phone"' in page.text
        page = await alice.get("/account/authenticators/add-phone")
        assert page.url.path == "/account/authenticators/add-phone"
        await put_into(rig, "phr", group="finance")
        assert 'id="add-phone"' not in (await alice.get(authorization())).text
    async with with_settings() as rig:
        bob = rig.browser()
        for app in rig.apps:
            app.state.provider.entropy(1_000_003)
        await bob.register("bob")
        await allow(bob)
        await put_into(rig, "mfa", "bob", group="others")
        page = await bob.get(authorization())
        assert 'id="add-totp"' in page.text
        assert 'id="add-phone"' not in page.text
