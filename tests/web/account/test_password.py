"""Another password."""

import asyncio
from datetime import timedelta

import httpx2
import pytest

from idp.store.database import transaction
from tests.driver import PASSWORD, Browser, Rig, code_of
from tests.web.account.people import OTHER_PASSWORD, error_on, sign_in, text_of


async def send(browser: Browser, current: str = PASSWORD, new: str = OTHER_PASSWORD, **more: str) -> httpx2.Response:
    """The page after the form."""
    return await browser.post("/account/password", {"current_password": current, "password": new, **more})


async def change(browser: Browser, current: str = PASSWORD, new: str = OTHER_PASSWORD, **more: str) -> int:
    """The status of the answer to the form."""
    return (await send(browser, current, new, **more)).status_code


async def test_6_2_2_and_6_2_3_a_password_is_changed_by_who_has_the_old_one(rig: Rig) -> None:
    """(ASVS 6.2.2, 6.2.3)"""
    browser = rig.browser()
    await browser.register()
    page = await browser.get("/account/password")
    assert 'autocomplete="current-password"' in page.text
    assert 'autocomplete="new-password"' in page.text
    assert await change(browser) == 200
    assert browser.page is not None
    assert browser.page.url.path == "/account/authenticators"
    assert error_on(await sign_in(rig.browser())) == "wrong_credentials"
    assert (await sign_in(rig.browser(), OTHER_PASSWORD)).url.path == "/account"


@pytest.mark.parametrize("current", ["", "not the right password", PASSWORD.upper(), PASSWORD + " ", "x" * 600])
async def test_6_2_3_without_the_old_one_nothing_changes(rig: Rig, current: str) -> None:
    browser = rig.browser()
    await browser.register()
    refused = await send(browser, current, end_others="1")
    assert (refused.status_code, error_on(refused)) == (400, "password_wrong")
    assert OTHER_PASSWORD not in refused.text
    assert (await sign_in(rig.browser())).url.path == "/account"


async def test_6_2_3_nor_with_the_field_left_out(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    refused = await browser.post("/account/password", {"password": OTHER_PASSWORD})
    assert (refused.status_code, error_on(refused)) == (400, "password_wrong")


REFUSED = {
    "short": ("fourteen chars", "password_short"),
    "known": ("password123456789", "password_known"),
    "of the place": ("alice alice alice!", "password_context"),
    "long": ("correct horse " * 10, "password_long"),
    "none": ("", "password_short"),
}


@pytest.mark.parametrize(("new", "cause"), REFUSED.values(), ids=REFUSED)
async def test_6_2_1_and_6_2_4_and_6_2_11_what_may_not_be_chosen(rig: Rig, new: str, cause: str) -> None:
    browser = rig.browser()
    await browser.register()
    refused = await send(browser, new=new)
    assert (refused.status_code, error_on(refused)) == (400, cause)
    assert (await sign_in(rig.browser())).url.path == "/account"


async def test_G10_eight_characters_do_beside_a_second_factor(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    assert await change(browser, new="wq-7 tnd") == 400
    await browser.add_totp(rig)
    assert await change(browser, new="wq-7 tnd") == 200


async def test_A_71_the_others_end_if_so_wished(rig: Rig) -> None:
    """(ASVS 7.4.3) It is wished unless the tick is taken away."""
    browser, other = rig.browser(), rig.browser()
    await browser.register()
    await sign_in(other)
    page = await browser.get("/account/password")
    assert 'name="end_others" value="1" checked' in " ".join(page.text.split())
    assert await change(browser) == 200
    assert (await other.get("/account")).url.path == "/account"
    assert await change(browser, current=OTHER_PASSWORD, new=PASSWORD, end_others="1") == 200
    assert (await other.get("/account")).url.path == "/login"
    assert (await browser.get("/account")).url.path == "/account"


async def test_G13_a_change_brings_a_new_secret(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    before = browser.http.cookies["idp_session"]
    await change(browser)
    assert browser.http.cookies["idp_session"] != before


async def test_A_33_a_change_takes_a_fresh_second_factor(rig: Rig) -> None:
    """(ASVS 7.5.1)"""
    browser = rig.browser()
    await browser.register()
    secret = await browser.add_totp(rig)
    rig.clock.advance(timedelta(minutes=21))
    form = {"current_password": PASSWORD, "password": OTHER_PASSWORD}
    assert (await browser.post("/account/password", form)).status_code == 403
    assert (await browser.get("/account/password")).url.path == "/login"
    after = await browser.submit(code=code_of(secret, rig))
    assert (after.status_code, after.url.path) == (200, "/account/password")
    assert await change(browser) == 200


async def test_A_37_guesses_at_the_old_one_are_held_back(rig: Rig) -> None:
    """By the same limits as at the sign-in: the eleventh, a right one, reads like a wrong one (G5)."""
    browser = rig.browser()
    await browser.register()
    for _ in range(10):
        assert await change(browser, current="not the right password") == 400
    refused = await send(browser)
    assert error_on(refused) == "password_wrong"
    async with transaction(rig.app.state.provider.pool) as conn:
        events = [row[0] for row in await conn.fetch("SELECT event FROM audit_events ORDER BY id")]
    assert events.count("password_change_refused") == 10
    assert events[-1] == "password_change_held_back"
    rig.clock.advance(timedelta(minutes=16))
    assert await change(browser) == 200


async def test_the_owner_is_told(rig: Rig) -> None:
    """(ASVS 6.3.7)"""
    browser = rig.browser()
    await browser.register()
    pool = rig.app.state.provider.pool
    async with transaction(pool) as conn:
        await conn.execute("UPDATE users SET email = 'alice@mail.example', email_verified = true")
    await change(browser, current="not the right password")
    await change(browser, end_others="1")
    async with transaction(pool) as conn:
        kinds = [row[0] for row in await conn.fetch("SELECT kind FROM outbox")]
        events = [row[0] for row in await conn.fetch("SELECT event FROM audit_events ORDER BY id")]
    assert kinds == ["password_changed"]
    assert events[-3:] == ["password_change_refused", "password_changed", "sessions_ended"]
    assert "Changed on 2 January" in text_of(await browser.get("/account"))


async def test_of_two_changes_at_once_one_succeeds(rig: Rig) -> None:
    """Who proved the old password before it was replaced does not replace the new one."""
    browser, other = rig.browser(), rig.browser()
    await browser.register()
    await sign_in(other)
    rig.clock.advance(60)
    answers = await asyncio.gather(send(browser, new=f"{OTHER_PASSWORD} 1"), send(other, new=f"{OTHER_PASSWORD} 2"))
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    refused = max(answers, key=lambda answer: answer.status_code)
    assert error_on(refused) in {"form_expired", "password_wrong"}


async def test_a_first_password_takes_no_old_one(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    secret = await browser.add_totp(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET password_hash = NULL, password_changed_at = NULL")
    page = await browser.get("/account/password")
    assert "Set a password" in text_of(page)
    assert "current_password" not in page.text
    assert (await browser.post("/account/password", {"password": OTHER_PASSWORD})).status_code == 200
    rig.clock.advance(60)
    fresh = rig.browser()
    await fresh.get("/login")
    await fresh.submit(username="alice", password=OTHER_PASSWORD)
    assert (await fresh.submit(code=code_of(secret, rig))).url.path == "/account"
