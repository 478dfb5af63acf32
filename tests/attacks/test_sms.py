"""Codes by text message: of another flow, late, twice, guessed, asked for without end (A-41); gateways that fail."""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from idp.authn.methods.sent_code import digest_of
from idp.authn.throttle import FREE, MOST_MISSES, claim_limits
from idp.model.attempt import Tally
from idp.store.attempts import delete_expired, lock_tallies, record_tallies, remove_tallies
from idp.store.database import transaction
from tests.driver import PASSWORD, Browser, Rig, authorization, claims_of, exchange, response_of, running
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


ADD_PHONE = "/account/authenticators/add-phone"


async def test_A_63_a_stranger_who_claims_her_number_leaves_her_a_code(rig: Rig) -> None:
    """Claims share what one number gets in ten minutes, and do not use it up: carol can sign in."""
    mallory = rig.browser()
    await mallory.register("mallory")
    pages = [plain((await mallory.post(ADD_PHONE, {"phone": NUMBER})).text) for _ in range(5)]
    assert len(set(pages)) == 1
    assert len(await texts(rig)) == 2
    carol = rig.browser()
    await with_password(carol)
    await another_code(carol)
    assert len(await texts(rig)) == 3, "and no more than three in all (G8)"
    assert (await carol.submit(code=await newest_code(rig))).url.path == "/account"


async def test_A_63_claims_that_never_come_back_do_not_shut_out_who_signs_in(rig: Rig) -> None:
    """Two accounts claim neighbours of carol's number until nothing more goes to one; hers is not held back by that."""
    for name in ("mallory", "malice"):
        browser = rig.browser()
        await browser.register(name)
        for number in range(10):
            await browser.post(ADD_PHONE, {"phone": f"{NUMBER[:-4]}{len(name)}{number:03}"})
    assert len(await texts(rig)) == 15
    assert "sms_prefix" not in str(await events(rig, "code_held_back"))
    await with_password(rig.browser())
    rig.clock.advance(timedelta(minutes=11))
    carol = rig.browser()
    await with_password(carol)
    assert (await texts(rig))[-1][0] == NUMBER
    assert len(await texts(rig)) == 17
    assert (await carol.submit(code=await newest_code(rig))).url.path == "/account"
    rig.clock.advance(timedelta(hours=1))
    malice = rig.browser()
    await malice.register("malice2")
    await malice.post(ADD_PHONE, {"phone": f"{NUMBER[:-4]}9999"})
    assert len(await texts(rig)) == 17, "claims are judged by what came back of claims"


async def sessions_that_claim(rig: Rig, number: str, how_many: int) -> list[Browser]:
    """Browsers of one account, each with a session of its own in which this number waits to be confirmed."""
    browsers = [rig.browser() for _ in range(how_many)]
    await browsers[0].register("mallory")
    for browser in browsers[1:]:
        await browser.get("/login")
        assert (await browser.submit(username="mallory", password=PASSWORD)).url.path == "/account"
    for browser in browsers:
        await browser.post(ADD_PHONE, {"phone": number})
    return browsers


async def test_A_37_and_A_41_guesses_at_a_claimed_number_are_counted_over_all_sessions(rig: Rig) -> None:
    """New sessions bring neither new codes nor new guesses (AuthQuake): ten in all, then not even the right one."""
    number = "+447700900777"
    browsers = await sessions_that_claim(rig, number, 4)
    sent = await newest_code(rig)
    causes = [error_on(await browser.post(ADD_PHONE, {"code": "000000"})) for browser in browsers for _ in range(4)]
    assert set(causes) == {"code_wrong"}
    counts = [len(await events(rig, name)) for name in ("number_refused", "number_held_back")]
    assert counts == [FREE, len(causes) - FREE]
    assert error_on(await browsers[1].post(ADD_PHONE, {"code": sent})) == "code_wrong"
    assert not await proved(rig, "mallory")
    # The window over it is judged again, and what proves the number forgets the misses.
    rig.clock.advance(timedelta(minutes=15))
    await browsers[0].post(ADD_PHONE, {"phone": number})
    page = await browsers[0].post(ADD_PHONE, {"code": await newest_code(rig)})
    assert error_on(page) is None
    assert await proved(rig, "mallory")
    async with transaction(rig.app.state.provider.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM attempts WHERE factor = 'claim_phone'") == 0


async def test_G5_and_G6_an_account_that_has_guessed_a_hundred_times_proves_no_number(rig: Rig) -> None:
    (mallory,) = await sessions_that_claim(rig, "+447700900777", 1)
    async with transaction(rig.app.state.provider.pool) as conn:
        sub = await conn.fetchval("SELECT sub FROM users WHERE username = 'mallory'")
        long_ago = rig.clock() - timedelta(days=1)
        tallies = await lock_tallies(conn, claim_limits(sub), long_ago)
        counted = {bucket: Tally(MOST_MISSES, 1, long_ago, long_ago) for bucket in tallies}
        await record_tallies(conn, counted)
    assert error_on(await mallory.post(ADD_PHONE, {"code": await newest_code(rig)})) == "code_wrong"
    assert not await proved(rig, "mallory")
    async with transaction(rig.app.state.provider.pool) as conn:
        await delete_expired(conn, missed_before=rig.clock())
        assert await remove_tallies(conn, sub) > 0, "the clean-up does not forget it, and the operator can"
    assert error_on(await mallory.post(ADD_PHONE, {"code": await newest_code(rig)})) is None


async def test_A_38_and_A_41_parallel_guesses_at_a_claimed_number(rig: Rig) -> None:
    """Forty at once over two processes and four sessions: ten are judged."""
    browsers = await sessions_that_claim(rig, "+447700900777", 4)
    guesses = (browsers[at % 4].http.post(ADD_PHONE, data={"code": f"{at:06}"}) for at in range(40))
    assert {answer.status_code for answer in await asyncio.gather(*guesses)} == {400}
    assert len(await events(rig, "number_refused")) == FREE
    assert len(await events(rig, "number_held_back")) == 40 - FREE


async def test_G6_what_stands_in_for_a_code_is_right_for_no_six_digits(rig: Rig) -> None:
    """Asked for again and again, nothing is there to guess at but what was sent: all million of them are wrong."""
    browsers = await sessions_that_claim(rig, "+447700900777", 3)
    assert len(browsers) == 3
    async with transaction(rig.app.state.provider.pool) as conn:
        rows = await conn.fetch("SELECT flow, code_digest FROM sent_codes WHERE NOT sent")
    assert len(rows) == 1
    flow, digest = rows[0]["flow"], bytes(rows[0]["code_digest"])
    master = rig.app.state.provider.tools.master_key
    hkdf = HKDF(SHA256(), length=32, salt=None, info=b"idp digest sent_codes")
    key = hkdf.derive(master.secret)
    assert digest_of(master, flow, "123456") == hmac.digest(key, f"{flow} 123456".encode(), "sha256")
    assert len(digest) == 32
    assert all(hmac.digest(key, b"%s %06d" % (flow.encode(), code), "sha256") != digest for code in range(10**6))


async def proved(rig: Rig, username: str) -> bool:
    """Whether this account has a number that counts as its own."""
    async with transaction(rig.app.state.provider.pool) as conn:
        return bool(await conn.fetchval("SELECT phone_verified FROM users WHERE username = $1", username))


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
