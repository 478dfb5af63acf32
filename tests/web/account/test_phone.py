"""A telephone number for codes: typed, confirmed by what was sent there, changed and removed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx2
import pytest

from idp.store.database import transaction
from tests.driver import Browser, Rig, mails, running
from tests.texting import NUMBER, SMS, add_person, newest_code, texts, with_password, wrong
from tests.web.account.people import error_on, sign_in, text_of
from tests.web.losing import texted
from tests.web.recovering import prove_address

ADD = "/account/authenticators/add-phone"
WAYS = "/account/authenticators"


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, **SMS) as found:
        await found.add_client()
        yield found


async def add_phone(browser: Browser, rig: Rig, number: str = "+44 7700 900123") -> httpx2.Response:
    """The page after a number was given and confirmed."""
    await browser.get(f"{ADD}?another=1")
    await browser.submit(phone=number)
    return await browser.submit(code=await newest_code(rig))


async def stored(rig: Rig) -> tuple[str | None, bool]:
    async with transaction(rig.app.state.provider.pool) as conn:
        row = await conn.fetchrow("SELECT phone, phone_verified FROM users")
    assert row is not None
    return row["phone"], row["phone_verified"]


async def test_6_6_1_a_number_counts_once_it_is_confirmed(rig: Rig) -> None:
    """And the page says how weak it is, with the offer of something stronger (ASVS 6.6.1)."""
    browser = rig.browser()
    await browser.register()
    page = await browser.get(ADD)
    assert "weakest second step" in page.text
    assert 'id="add-passkey"' in page.text
    assert 'id="add-totp"' in page.text
    page = await browser.submit(phone="+44 7700 900123")
    assert (page.url.path, page.status_code) == (ADD, 200)
    assert NUMBER in text_of(page)
    assert await stored(rig) == (None, False)
    [(recipient, text)] = await texts(rig)
    assert recipient == NUMBER
    assert text.endswith(f"@localhost #{await newest_code(rig)}"), "so that a browser fills it in on our pages alone"
    secret = browser.http.cookies["idp_session"]
    page = await browser.submit(code=await newest_code(rig))
    assert page.url.path == WAYS
    assert await stored(rig) == (NUMBER, True)
    assert browser.http.cookies["idp_session"] != secret
    assert NUMBER in page.text
    other = rig.browser()
    assert 'data-method="sms"' in (await sign_in(other)).text
    assert (await other.submit(code=await newest_code(rig))).url.path == "/account"


async def test_6_6_1_registration_confirms_no_number(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get("/register")
    await browser.submit(username="alice", password="correct horse battery staple", email="", phone=NUMBER)
    assert await stored(rig) == (NUMBER, False)
    assert (await sign_in(rig.browser())).url.path == "/account"


async def test_a_number_that_is_none_comes_back_with_the_reason(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await browser.get(ADD)
    page = await browser.submit(phone="0770 <b>")
    assert (page.status_code, error_on(page)) == (400, "phone_invalid")
    assert "0770 &lt;b&gt;" in page.text
    assert await texts(rig) == []


async def test_6_6_2_wrong_dead_and_late_codes_confirm_nothing(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await browser.get(ADD)
    await browser.submit(phone=NUMBER)
    code = await newest_code(rig)
    causes = [error_on(await browser.submit(code=wrong(code, by))) for by in range(1, 6)]
    assert causes == ["code_wrong"] * 4 + ["code_dead"]
    assert error_on(await browser.submit(code=code)) == "code_dead"
    await browser.post(ADD, {"phone": NUMBER})
    rig.clock.advance(timedelta(minutes=10))
    page = await browser.submit(code=await newest_code(rig))
    assert (page.status_code, error_on(page)) == (400, "code_expired")
    assert await stored(rig) == (None, False)


async def test_A_41_a_code_for_another_number_or_session_confirms_nothing(rig: Rig) -> None:
    """The form cannot say which number it is about (A-35)."""
    one, two = rig.browser(), rig.browser()
    await one.register()
    await sign_in(two)
    await one.post(ADD, {"phone": "+447700900999"})
    first = await newest_code(rig)
    await one.post(ADD, {"phone": NUMBER})
    assert error_on(await one.post(ADD, {"code": first, "phone": "+447700900999"})) == "code_wrong"
    await two.post(ADD, {"phone": NUMBER})
    assert error_on(await one.post(ADD, {"code": await newest_code(rig)})) == "code_wrong"
    assert await stored(rig) == (None, False)


async def test_A_41_a_code_to_sign_in_confirms_no_number(rig: Rig) -> None:
    await add_person(rig)
    browser = rig.browser()
    await with_password(browser)
    await browser.submit(code=await newest_code(rig))
    await browser.post(ADD, {"phone": "+447700900124"})
    other = rig.browser()
    await with_password(other)
    assert (await texts(rig))[-1][0] == NUMBER
    assert error_on(await browser.post(ADD, {"code": await newest_code(rig)})) == "code_wrong"


async def test_6_3_7_a_change_is_told_and_the_former_number_works_no_more(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await prove_address(rig)
    await add_phone(browser, rig)
    await add_phone(browser, rig, "+44 7700 900124")
    told = [(mail.kind, mail.text) for mail in await mails(rig)]
    kinds = [kind for kind, _ in told]
    assert sorted(kinds) == ["authenticator_added", "authenticator_added", "authenticator_removed"]
    assert any("••• 123" in text for kind, text in told if kind == "authenticator_removed")
    assert any("••• 124" in text for kind, text in told if kind == "authenticator_added")
    assert [(kind, number) for kind, number, _ in await texted(rig)] == [("phone_replaced", NUMBER)], "at both ends"
    await sign_in(rig.browser())
    assert (await texts(rig))[-1][0] == "+447700900124"


async def test_6_5_6_a_number_is_removed_like_any_other_way(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await prove_address(rig)
    await add_phone(browser, rig)
    page = await browser.get(f"{WAYS}/phone/remove")
    assert "Remove “Text messages to " in page.text
    page = await browser.submit()
    assert page.url.path == WAYS
    assert NUMBER not in page.text
    assert await stored(rig) == (None, False)
    assert [mail.kind for mail in await mails(rig)][-1] == "authenticator_removed"
    assert [(kind, number) for kind, number, _ in await texted(rig)] == [("phone_replaced", NUMBER)]
    assert (await sign_in(rig.browser())).url.path == "/account"


async def test_A_33_changing_the_number_takes_a_fresh_second_step(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await add_phone(browser, rig)
    rig.clock.advance(timedelta(minutes=21))
    page = await browser.post(ADD, {"phone": "+447700900999"})
    assert page.status_code == 403
    assert all(recipient == NUMBER for recipient, _ in await texts(rig))
    page = await browser.get(ADD)
    assert page.url.path == "/login"
    assert 'id="resend-code"' in page.text, "nothing was sent, for nothing was asked"
    sent = len(await texts(rig))
    await browser.submit()
    assert len(await texts(rig)) == sent + 1
    assert (await browser.submit(code=await newest_code(rig))).url.path == ADD


async def test_one_who_has_to_add_something_comes_back_to_the_app(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await browser.get(f"{ADD}?return_to=%2Flogin%3Finteraction%3Dabc")
    page = await browser.submit(phone=NUMBER)
    assert unescape(str(page.url.params["return_to"])) == "/login?interaction=abc"
    page = await browser.get(f"{page.url}&another=1")
    page = await browser.submit(phone=NUMBER)
    assert "another" not in page.url.params
    assert NUMBER in page.text


async def test_without_a_gateway_there_are_no_numbers(database: str, tmp_path: Path) -> None:
    """Neither to add, nor to sign in with: a number is then a fact about a person and no more."""
    async with running(database, tmp_path) as rig:
        await add_person(rig)
        browser = rig.browser()
        assert (await with_password(browser)).url.path == "/account"
        assert 'id="add-phone"' not in (await browser.get(WAYS)).text
        assert (await browser.get(ADD)).status_code == 404
        assert (await browser.post(ADD, {"phone": NUMBER})).status_code == 404
        assert await texts(rig) == []
