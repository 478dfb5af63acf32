"""Codes on their way: by text message and by mail, by choice, again, and where a password is reset."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from idp.store.database import transaction
from tests.driver import Browser, Rig, authorization, code_of, running
from tests.texting import NUMBER, SMS, add_person, another_code, newest_code, texts, with_password
from tests.web.account.people import error_on, text_of
from tests.web.recovering import ask, follow, link_for, prove_address

ADDRESS = "carol@mail.test"


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, **SMS, IDP_EMAIL_CODES="on") as found:
        await found.add_client()
        yield found


async def events(rig: Rig) -> list[str]:
    async with transaction(rig.app.state.provider.pool) as conn:
        return [row["event"] for row in await conn.fetch("SELECT event FROM audit_events ORDER BY id")]


async def with_both(rig: Rig) -> Browser:
    """Carol's browser after her password; she has a number and an authenticator app."""
    await add_person(rig)
    browser = rig.browser()
    await with_password(browser)
    await browser.submit(code=await newest_code(rig))
    browser.http.headers["x-secret"] = await browser.add_totp(rig)
    rig.clock.advance(timedelta(minutes=30))
    fresh = rig.browser()
    fresh.http.headers.update(browser.http.headers)
    await with_password(fresh)
    return fresh


async def test_the_page_says_where_the_code_goes_and_not_the_whole_number(rig: Rig) -> None:
    await add_person(rig)
    page = await with_password(rig.browser())
    assert "••• 123" in page.text
    assert NUMBER not in page.text
    assert "900" not in text_of(page)
    assert (await events(rig))[-2:] == ["factor_proved", "code_sent"]


async def test_6_6_2_a_code_by_mail_is_a_second_step_where_it_is_switched_on(rig: Rig) -> None:
    await add_person(rig, number=None, email=ADDRESS, email_verified=True)
    browser = rig.browser()
    page = await with_password(browser)
    assert 'data-method="email"' in page.text
    assert ADDRESS not in page.text
    [(recipient, text)] = await texts(rig, "mail")
    assert recipient == ADDRESS
    assert "Give it to nobody" in " ".join(text.split())
    assert (await browser.submit(code=await newest_code(rig, "mail"))).url.path == "/account"


async def test_6_3_6_by_default_no_code_goes_by_mail(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path, **SMS) as rig:
        await add_person(rig, number=None, email=ADDRESS, email_verified=True)
        assert (await with_password(rig.browser())).url.path == "/account"
        assert await texts(rig, "mail") == []


async def test_a_code_for_one_method_is_none_for_the_other(rig: Rig) -> None:
    """A number is confirmed while a code by mail is on its way."""
    await add_person(rig, number=None, email=ADDRESS, email_verified=True)
    browser = rig.browser()
    page = await with_password(browser)
    query = page.url.query.decode()
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET phone = $1, phone_verified = true", NUMBER)
    await browser.post(f"/login/send-code?{query}&method=sms", {})
    by_sms, by_mail = await newest_code(rig), await newest_code(rig, "mail")
    assert error_on(await browser.post(f"/login?{query}&method=email", {"code": by_sms})) == "code_wrong"
    assert error_on(await browser.post(f"/login?{query}&method=sms", {"code": by_mail})) == "code_wrong"
    assert (await browser.post(f"/login?{query}&method=sms", {"code": by_sms})).url.path == "/account"


async def test_what_was_used_last_comes_first_and_choosing_a_text_sends_it_once(rig: Rig) -> None:
    browser = await with_both(rig)
    assert browser.page is not None
    assert 'data-method="totp"' in browser.page.text
    sent = len(await texts(rig))
    query = browser.page.url.query.decode()
    for _ in range(2):
        await browser.get(f"/login/another-way?{query}")
        page = await browser.post(f"/login/another-way?{query}", {"method": "sms"})
        assert 'data-method="sms"' in page.text
    assert len(await texts(rig)) == sent + 1
    assert (await browser.submit(code=await newest_code(rig))).url.path == "/account"


async def test_an_app_serves_as_well_and_nothing_is_sent(rig: Rig) -> None:
    browser = await with_both(rig)
    sent = len(await texts(rig))
    page = await browser.submit(code=code_of(browser.http.headers["x-secret"], rig))
    assert page.url.path == "/account"
    assert len(await texts(rig)) == sent


async def test_a_text_is_not_sent_where_it_leads_nowhere(rig: Rig) -> None:
    """A request that wants more than a text message can show: one is sent for the account itself, and no more."""
    await add_person(rig)
    browser = rig.browser()
    await with_password(browser, url=authorization(acr_values="phr"))
    page = await browser.submit(code=await newest_code(rig))
    assert 'id="add-passkey"' in page.text
    await another_code(browser)
    query = page.url.query.decode()
    await browser.post(f"/login/another-way?{query}", {"method": "sms"})
    assert len(await texts(rig)) == 1


@pytest.mark.parametrize("method", ["", "totp", "password", "x", "sms&method=y", "sms:phone"])
async def test_other_methods_send_nothing(rig: Rig, method: str) -> None:
    await add_person(rig)
    browser = rig.browser()
    await with_password(browser)
    await another_code(browser, method)
    assert len(await texts(rig)) == 1


async def test_a_sign_in_that_is_over_sends_nothing(rig: Rig) -> None:
    await add_person(rig)
    browser = rig.browser()
    page = await with_password(browser)
    query = page.url.query.decode()
    await browser.submit(code=await newest_code(rig))
    assert "You are already signed in" in (await browser.post(f"/login/send-code?{query}&method=sms", {})).text
    assert (
        await rig.browser().post(f"http://localhost:8000/login/send-code?{query}&method=sms", {})
    ).status_code == 403
    assert len(await texts(rig)) == 1


async def test_A_67_a_reset_asks_for_a_text_and_not_for_a_mail(rig: Rig) -> None:
    """The link came by mail already (ASVS 6.3.6, 6.4.3)."""
    await add_person(rig)
    await prove_address(rig, "carol", ADDRESS)
    browser = rig.browser()
    page = await follow(browser, await link_for(rig, "carol"))
    assert page.url.path == "/recover/step"
    assert 'data-method="sms"' in page.text
    assert await texts(rig) == []
    page = await browser.submit()
    assert (page.url.path, len(await texts(rig))) == ("/recover/step", 1)
    query = page.url.query.decode()
    await browser.post(f"/recover/step/send-code?{query.partition('&')[0]}&method=email", {})
    assert await texts(rig, "mail") == []
    await browser.get(f"/recover/step?{query}")
    page = await browser.submit(code=await newest_code(rig))
    assert page.url.path == "/recover/new-password"


async def test_A_41_a_code_of_a_sign_in_is_none_for_a_reset(rig: Rig) -> None:
    await add_person(rig)
    await prove_address(rig, "carol", ADDRESS)
    await with_password(rig.browser())
    code = await newest_code(rig)
    browser = rig.browser()
    page = await follow(browser, await link_for(rig, "carol"))
    url = f"/recover/step?{page.url.query.decode()}&method=sms"
    assert error_on(await browser.post(url, {"code": code})) == "code_wrong"


async def test_asking_for_a_new_password_sends_no_code(rig: Rig) -> None:
    await add_person(rig)
    await prove_address(rig, "carol", ADDRESS)
    await ask(rig, "carol")
    assert await texts(rig) == []
