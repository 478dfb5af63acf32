"""Whoever owns an account hears of every change of what one signs in with: one walk through all of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator
from tests.driver import PASSWORD, Browser, Rig, mails, running
from tests.texting import SMS, newest_code
from tests.web.account.people import OTHER_PASSWORD, make_codes, sign_in, use_code
from tests.web.recovering import alice

WAYS = "/account/authenticators"


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, **SMS) as found:
        await found.add_client()
        yield found


async def heard(rig: Rig) -> list[str]:
    """The kinds of mails since the last time, by name."""
    found = sorted(mail.kind for mail in await mails(rig))
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE outbox SET sealed_text = NULL WHERE channel = 'mail'")
    return found


async def only_id(rig: Rig, table: str) -> str:
    async with transaction(rig.app.state.provider.pool) as conn:
        return str(await conn.fetchval(f"SELECT id FROM {table}"))


async def remove(browser: Browser, credential: str) -> None:
    page = await browser.get(f"{WAYS}/{credential}/remove")
    assert page.url.path.endswith("/remove"), page.url
    await browser.submit()


async def test_6_3_7_every_change_is_told(rig: Rig) -> None:
    browser = await alice(rig)
    assert await heard(rig) == []
    await browser.add_totp(rig)
    assert await heard(rig) == ["authenticator_added"]
    codes = await make_codes(browser)
    assert await heard(rig) == ["recovery_codes_renewed"]
    await add_passkey(browser, authenticator(rig.issuer))
    assert await heard(rig) == ["authenticator_added"]
    await browser.get(f"{WAYS}/add-phone")
    await browser.submit(phone="+44 7700 900123")
    await browser.submit(code=await newest_code(rig))
    assert await heard(rig) == ["authenticator_added"]
    await remove(browser, "phone")
    assert await heard(rig) == ["authenticator_removed"]
    await browser.post("/account/password", {"current_password": PASSWORD, "password": OTHER_PASSWORD})
    assert await heard(rig) == ["password_changed"]
    await remove(browser, await only_id(rig, "webauthn_credentials"))
    assert await heard(rig) == ["authenticator_removed"]

    other = rig.browser()
    await sign_in(other, OTHER_PASSWORD)
    await use_code(other, codes[0])
    assert await heard(rig) == ["new_device", "recovery_code_used"]

    await browser.post("/account/email", {"email": "new@mail.test"})
    assert await heard(rig) == ["email_change_requested", "verify_email"]
    await browser.post("/account/email/remove", {})
    assert await heard(rig) == ["email_removed"]


async def test_6_3_7_what_is_not_proved_is_told_nothing(rig: Rig) -> None:
    """An address that somebody merely gave is nobody's yet."""
    browser = rig.browser()
    await browser.register()
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET email = 'x@mail.test', email_canonical = 'x@mail.test'")
    await browser.add_totp(rig)
    assert await heard(rig) == []
