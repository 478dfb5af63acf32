"""Codes by text message: of another flow, late, twice, guessed, asked for without end (A-41); gateways that fail."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import pytest

from idp.store.database import transaction
from tests.driver import Rig, authorization, claims_of, exchange, response_of, running
from tests.notify.gateways import Service, eventually, service
from tests.texting import NUMBER, SMS, add_person, another_code, code_in, newest_code, texts, with_password, wrong
from tests.web.account.people import error_on


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, **SMS) as found:
        await found.add_client()
        await add_person(found)
        yield found


async def events(rig: Rig, name: str) -> list[dict[str, object]]:
    async with transaction(rig.app.state.provider.pool) as conn:
        return [dict(row) for row in await conn.fetch("SELECT event, details FROM audit_events WHERE event = $1", name)]


async def test_G8_a_code_is_a_second_step(rig: Rig) -> None:
    """It gives `mfa`, said as what it was, and nothing that is phishing-resistant."""
    browser = rig.browser()
    page = await with_password(browser, url=authorization())
    assert 'data-method="sms"' in page.text
    assert "idp_session" not in browser.http.cookies
    answer = await browser.submit(code=await newest_code(rig))
    if answer.status_code == 200:
        answer = await browser.submit(decision="allow")
    claims = claims_of((await exchange(rig, response_of(answer)["code"])).json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("mfa", ["pwd", "sms", "mfa"])
    refused = await browser.get(authorization(acr_values="phr", prompt="none"))
    assert response_of(refused)["error"] == "unmet_authentication_requirements"


async def test_A_41_and_6_6_2_a_code_belongs_to_its_flow(rig: Rig) -> None:
    """ASVS 6.6.2: not to another sign-in of the same person, in the same browser or another."""
    one, two = rig.browser(), rig.browser()
    await with_password(one)
    code = await newest_code(rig)
    await with_password(two)
    other = await newest_code(rig)
    assert error_on(await two.submit(code=code)) == "code_wrong"
    assert error_on(await one.submit(code=other)) == "code_wrong"
    interaction = one.page and one.page.url.params["interaction"]
    await with_password(one)
    assert one.page is not None
    assert one.page.url.params["interaction"] != interaction
    assert error_on(await one.submit(code=code)) == "code_wrong"
    assert (await two.submit(code=other)).url.path == "/account"


async def test_A_41_and_6_5_5_a_code_is_dead_after_ten_minutes(rig: Rig) -> None:
    browser = rig.browser()
    await with_password(browser)
    code = await newest_code(rig)
    rig.clock.advance(timedelta(minutes=11))
    page = await browser.submit(code=code)
    assert (page.status_code, error_on(page)) == (400, "code_expired")
    assert 'id="resend-code"' in page.text


async def test_A_41_and_6_5_5_a_code_lives_nearly_ten_minutes(rig: Rig) -> None:
    browser = rig.browser()
    await with_password(browser)
    rig.clock.advance(timedelta(minutes=10) - timedelta(seconds=1))
    assert (await browser.submit(code=await newest_code(rig))).url.path == "/account"


async def test_A_41_and_6_5_1_a_code_works_once(rig: Rig) -> None:
    """Eight browsers' worth of the same form at once, and again afterwards."""
    browser = rig.browser()
    await with_password(browser)
    assert browser.page is not None
    code, url = await newest_code(rig), f"/login?{browser.page.url.query.decode()}&method=sms"
    answers = await asyncio.gather(*(browser.http.post(url, data={"code": code}) for _ in range(8)))
    assert len([one for one in answers if one.status_code == 303]) == 1
    assert len([one for one in answers if "set-cookie" in one.headers]) == 1
    fresh = rig.browser()
    await with_password(fresh)
    assert error_on(await fresh.submit(code=code)) == "code_wrong"


async def test_A_41_a_new_code_takes_the_place_of_the_former(rig: Rig) -> None:
    browser = rig.browser()
    await with_password(browser)
    former = await newest_code(rig)
    await another_code(browser)
    newest = await newest_code(rig)
    assert newest != former
    assert error_on(await browser.submit(code=former)) == "code_wrong"
    assert (await browser.submit(code=newest)).url.path == "/account"


async def test_A_41_and_6_6_3_five_misses_kill_a_code(rig: Rig) -> None:
    browser = rig.browser()
    await with_password(browser)
    code = await newest_code(rig)
    causes = [error_on(await browser.submit(code=wrong(code, by))) for by in range(1, 6)]
    assert causes == ["code_wrong"] * 4 + ["code_dead"]
    page = await browser.submit(code=code)
    assert (page.status_code, error_on(page)) == (400, "code_dead")
    await another_code(browser)
    assert (await browser.submit(code=await newest_code(rig))).url.path == "/account"


async def test_A_41_parallel_misses_do_not_pass_the_fifth(rig: Rig) -> None:
    browser = rig.browser()
    await with_password(browser)
    assert browser.page is not None
    code, url = await newest_code(rig), f"/login?{browser.page.url.query.decode()}&method=sms"
    await asyncio.gather(*(browser.http.post(url, data={"code": wrong(code, by)}) for by in range(1, 9)))
    assert error_on(await browser.submit(code=code)) in {"code_dead", "code_wrong"}
    async with transaction(rig.app.state.provider.pool) as conn:
        assert await conn.fetchval("SELECT max(misses) FROM sent_codes") == 5


async def test_A_41_one_number_gets_three_codes_in_ten_minutes(rig: Rig) -> None:
    """Asked twenty times at once, in one flow and over several; the page does not tell."""
    browser = rig.browser()
    shown = (await with_password(browser)).text
    assert browser.page is not None
    url = f"/login/send-code?{browser.page.url.query.decode()}&method=sms"
    answers = await asyncio.gather(*(browser.http.post(url, data={"x": "y"}) for _ in range(19)))
    assert {one.status_code for one in answers} == {303}
    assert len(await texts(rig)) == 3
    assert plain((await another_code(browser)).text) == plain(shown)
    other = rig.browser()
    assert plain((await with_password(other)).text) == plain(shown)
    assert len(await texts(rig)) == 3
    held_back = await events(rig, "code_held_back")
    assert len(held_back) == 19
    assert all("recipient" in str(one["details"]) for one in held_back)
    # What was sent last still works where it was asked for.
    assert (await browser.submit(code=await newest_code(rig))).url.path == "/account"
    rig.clock.advance(timedelta(minutes=10, seconds=1))
    await with_password(rig.browser())
    assert len(await texts(rig)) == 4


def plain(html: str) -> str:
    """A page without what is different for every flow."""
    return re.sub(r"interaction=\w+|&amp;method=sms", "", html)


async def test_A_41_numbers_of_one_prefix_share_thirty_an_hour(rig: Rig) -> None:
    """Twenty accounts with neighbouring numbers, which would make sixty; others are not held back by it."""
    for number in range(20):
        await add_person(rig, f"person{number}", f"+4477119001{number:02}")
    for _ in range(2):
        for number in range(20):
            page = await with_password(rig.browser(), f"person{number}")
            assert 'id="resend-code"' in page.text
    assert len(await texts(rig)) == 30
    assert any("prefix" in str(one["details"]) for one in await events(rig, "code_held_back"))
    await with_password(rig.browser())
    assert (await texts(rig))[-1][0] == NUMBER


async def test_A_41_codes_that_never_come_back_open_the_breaker(rig: Rig) -> None:
    """Fifteen to one prefix, spread out so that no other limit is near, and none was typed in."""
    for number in range(16):
        await add_person(rig, f"person{number}", f"+4477119001{number:02}")
        await with_password(rig.browser(), f"person{number}")
        rig.clock.advance(timedelta(minutes=11))
    assert len(await texts(rig)) == 15
    assert any("unused" in str(one["details"]) for one in await events(rig, "code_held_back"))
    rig.clock.advance(timedelta(hours=6))
    await with_password(rig.browser(), "person0")
    assert len(await texts(rig)) == 16


async def test_A_41_an_account_cannot_have_many_numbers_tried(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register("mallory")
    for number in range(12):
        answer = await browser.post("/account/authenticators/add-phone", {"phone": f"+44771{number:02}00123"})
        assert answer.status_code == 200
    assert len(await texts(rig)) == 10


async def test_A_41_no_get_sends(rig: Rig) -> None:
    """What a browser fetches ahead, again, or to look at it (RFC 9110 §9.2.1)."""
    browser = rig.browser()
    page = await with_password(browser)
    for _ in range(3):
        await browser.get(str(page.url))
        await browser.get(f"{page.url}&method=sms")
    assert len(await texts(rig)) == 1


async def test_A_35_a_code_goes_to_the_stored_number_alone(rig: Rig) -> None:
    """Whatever a form adds, at every step that sends."""
    theirs, browser = "+447700900999", rig.browser()
    more = {"phone": theirs, "recipient": theirs, "to": theirs, "number": theirs, "phone_number": theirs}
    await browser.get("/login")
    await browser.submit(username="carol", password="correct horse battery staple", **more)
    assert browser.page is not None
    query = browser.page.url.query.decode()
    await browser.post(f"/login/send-code?{query}&method=sms&phone=%2B447700900999", more)
    await browser.post(f"/login/another-way?{query}", {"method": "sms", **more})
    assert [recipient for recipient, _ in await texts(rig)] == [NUMBER] * 2


async def test_A_41_nobody_sends_before_the_password(rig: Rig) -> None:
    browser = rig.browser()
    page = await browser.get("/login")
    query = page.url.query.decode()
    await browser.post(f"/login/send-code?{query}&method=sms", {"username": "carol"})
    await browser.post(f"/login/another-way?{query}", {"method": "sms", "username": "carol"})
    await browser.post(f"/login?{query}&method=sms", {"username": "carol", "code": "123456"})
    assert await texts(rig) == []


async def test_A_41_a_number_that_changed_takes_its_code_along(rig: Rig) -> None:
    """Sent to the former number, while another sign-in moved the account to a new one."""
    browser = rig.browser()
    await with_password(browser)
    code = await newest_code(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET phone = '+447700900124' WHERE username = 'carol'")
    assert error_on(await browser.submit(code=code)) == "code_wrong"


@pytest.mark.parametrize("fault", ["hangs", "answers after 30 seconds", "refuses"])
async def test_F15_a_gateway_that_fails_slows_no_page_and_is_asked_once(
    database: str, tmp_path: Path, fault: str
) -> None:
    """ASVS 16.5.2: the page is there at once, the other way is offered, and no second text goes out by itself."""
    gateway = Service(
        status=500 if fault == "refuses" else 200, seconds={"hangs": 3600.0, "refuses": 0.0}.get(fault, 30)
    )
    async with service(gateway), running(database, tmp_path, IDP_SMS_URL=f"json://127.0.0.1:{gateway.port}/sms") as rig:
        await add_person(rig)
        browser = rig.browser()
        before = perf_counter()
        page = await with_password(browser)
        assert perf_counter() - before < 5, "it did not wait for the gateway, whose answer takes longer"
        assert 'id="use-another-way"' in page.text
        await eventually(lambda: len(gateway.got) == 1, "the gateway was asked")
        assert gateway.got[0]["to"] == NUMBER
        # The person has the code all the same: a gateway that is slow to answer may have sent it long ago.
        assert (await browser.submit(code=code_in(gateway.got[0]["message"]))).url.path == "/account"
        if fault == "refuses":
            await failed(rig)
            rig.clock.advance(timedelta(minutes=9))
            await with_password(rig.browser())
            await eventually(lambda: len(gateway.got) == 2, "the next code goes out")
        assert len({str(one["message"]) for one in gateway.got}) == len(gateway.got)
        gateway.hang_up()


async def failed(rig: Rig) -> None:
    """Wait until the text message is given up."""
    for _ in range(1000):
        async with transaction(rig.app.state.provider.pool) as conn:
            if await conn.fetchval("SELECT failed_at IS NOT NULL AND sealed_text IS NULL FROM outbox"):
                return
        await asyncio.sleep(0.01)
    raise AssertionError("it was not given up")


async def test_A_75_and_F23_no_code_rests_in_the_database(rig: Rig) -> None:
    """Neither in the clear nor as a digest that a million tries would open."""
    await with_password(rig.browser())
    code = await newest_code(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        found = await conn.fetch("SELECT sent_codes::text FROM sent_codes UNION ALL SELECT outbox::text FROM outbox")
    assert len(found) == 2
    assert not any(code in row[0] for row in found)
