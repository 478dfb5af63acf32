"""Lost second factors: asked for with the password, finished with the mailbox and the password, days later."""

import asyncio
import re
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from idp.authn.throttle import MOST_MISSES
from idp.jobs import JOBS, Duties
from idp.jobs.leader import Leader
from idp.settings import SettingsError, load_settings
from idp.store.database import own_connection, transaction
from idp.store.job_runs import list_runs
from idp.web.recover.factor_recovery import FINISH_LIFE, remind_some
from tests.attacks.test_guessing import missed_before
from tests.doubles import SeededEntropy
from tests.driver import PASSWORD, Rig, authorization, mails, running
from tests.texting import NUMBER, SMS
from tests.web.account.people import error_on, make_codes, sign_in, sign_in_with_app, text_of
from tests.web.losing import DELAY, alice_with_app, ask, finish, link_in, link_of_text, remind_ripe, ripen, texted
from tests.web.recovering import ADDRESS, alice, count, events, hidden_link

TABLES = ("totp_credentials", "webauthn_credentials", "recovery_codes", "known_devices")


async def state(rig: Rig) -> list[str]:
    """How the requests stand, oldest first."""
    async with transaction(rig.app.state.provider.pool) as conn:
        return [row["state"] for row in await conn.fetch("SELECT state FROM factor_recoveries ORDER BY created_at")]


async def test_6_4_4_the_way_from_the_password_to_a_new_second_step(rig: Rig) -> None:
    owner, _ = await alice_with_app(rig)
    await make_codes(owner)
    browser = rig.browser()
    page = await sign_in(browser)
    ways = await browser.get(str(page.url).replace("/login?", "/login/another-way?"))
    assert 'id="lost-factors" href="/recover/factor?interaction=' in ways.text
    asked = await ask(rig, browser)
    assert asked.url.path == "/recover/factor/asked"
    kinds = [mail.kind for mail in await mails(rig) if mail.recipient == ADDRESS]
    assert "factor_recovery_asked" in kinds
    await ripen(rig, DELAY - timedelta(seconds=1))
    assert "factor_recovery_ripe" not in [mail.kind for mail in await mails(rig)]
    await ripen(rig, timedelta(seconds=1))
    lost = rig.browser()
    done = await finish(lost, await link_in(rig, "factor_recovery_ripe"))
    assert (done.status_code, done.url.path) == (200, "/recover/factor/done")
    assert lost.http.cookies.get("idp_session") is None, "a link gives no session (A-34)"
    for table in TABLES:
        assert await count(rig, f"SELECT count(*) FROM {table}") == 0, table
    assert (await owner.get("/account")).url.path == "/login", "signed out everywhere"
    ways = await lost.get("/account/authenticators")
    back = await lost.submit(username="alice", password=PASSWORD)
    assert back.url.path == "/account/authenticators", "where a new second step is added"
    assert await lost.add_totp(rig)
    assert "factor_recovery_done" in [mail.kind for mail in await mails(rig)]
    assert [one for one in await events(rig) if one.startswith("factor_recovery")] == [
        "factor_recovery_asked",
        "factor_recovery_ripe",
        "factor_recovery_done",
    ]


async def test_a_factor_that_guessing_switched_off_can_be_recovered_as_well(rig: Rig) -> None:
    """A-37: who is kept out by what strangers tried is not kept out for ever."""
    await alice_with_app(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        sub = await conn.fetchval("SELECT sub FROM users")
    await missed_before(rig, sub, MOST_MISSES - 1)
    browser = rig.browser()
    await sign_in(browser)
    locked = await browser.submit(code="000000")
    assert locked.status_code == 403
    there = re.search(r'id="onward" href="([^"]+)"', locked.text)
    assert there is not None
    assert there[1].startswith("/recover/factor?interaction=")
    await browser.get(there[1])
    assert (await browser.submit()).url.path == "/recover/factor/asked"
    assert "factor_recovery_asked" in [mail.kind for mail in await mails(rig)]


async def test_the_owner_is_told_by_mail_and_text_message_and_stops_it_from_either(
    database: str, tmp_path: Path
) -> None:
    async with running(database, tmp_path, **SMS) as rig:
        await alice_with_app(rig)
        async with transaction(rig.app.state.provider.pool) as conn:
            await conn.execute("UPDATE users SET phone = $1, phone_verified = true", NUMBER)
        await ask(rig)
        [(kind, number, words)] = await texted(rig)
        assert (kind, number) == ("factor_recovery_asked", NUMBER)
        assert link_of_text(words) == await link_in(rig, "factor_recovery_asked")
        page = await rig.browser().get(link_of_text(words))
        assert hidden_link(page)
        assert await state(rig) == ["waiting"], "a scanner stops nothing"
        stranger = rig.browser()
        await stranger.get(link_of_text(words))
        done = await stranger.submit(link=hidden_link(page))
        assert done.url.path == "/recover/factor/cancelled"
        assert await state(rig) == ["cancelled"]
        assert [kind for kind, *_ in await texted(rig)] == ["factor_recovery_asked", "factor_recovery_cancelled"]
        assert "factor_recovery_cancelled" in [mail.kind for mail in await mails(rig)]
        again = await stranger.get(link_of_text(words))
        assert (again.status_code, error_on(again)) == (400, "link_gone")
        await ripen(rig)
        assert "factor_recovery_ripe" not in [mail.kind for mail in await mails(rig)]


async def test_the_reminder_goes_out_once_by_every_way_and_its_text_message_only_stops(
    database: str, tmp_path: Path
) -> None:
    async with running(database, tmp_path, **SMS) as rig:
        await alice_with_app(rig)
        async with transaction(rig.app.state.provider.pool) as conn:
            await conn.execute("UPDATE users SET phone = $1, phone_verified = true", NUMBER)
        await ask(rig)
        await ripen(rig)
        await asyncio.gather(*(remind_ripe(rig) for _ in range(5)))
        assert [mail.kind for mail in await mails(rig)].count("factor_recovery_ripe") == 1
        words = [words for kind, _, words in await texted(rig) if kind == "factor_recovery_ripe"]
        assert len(words) == 1
        assert "/recover/factor/cancel?" in link_of_text(words[0]), "the link that finishes is in the mailbox alone"
        await finish(rig.browser(), await link_in(rig, "factor_recovery_ripe"))
        assert await count(rig, "SELECT count(*) FROM users WHERE phone IS NOT NULL") == 0
        assert (await sign_in(rig.browser())).url.path == "/account"


async def test_the_reminder_is_a_job_that_no_other_holds_up(rig: Rig, database: str) -> None:
    """What it writes is written on the connection of the leader, and how many it wrote to is kept."""
    await alice_with_app(rig)
    await ask(rig)
    [job] = [job for job in JOBS if job.name == "factor_recovery_reminders"]
    provider = rig.app.state.provider
    duties = Duties(timedelta(days=400), provider.tools.master_key, partial(remind_some, provider))
    leader = Leader(database, JOBS, duties, rig.clock, SeededEntropy())
    async with own_connection(database) as conn:
        for waited, reminded in ((timedelta(hours=71), 0), (timedelta(hours=1), 1), (timedelta(hours=1), 0)):
            rig.clock.advance(waited)
            await leader.run_once(conn, job)
            assert (await list_runs(conn))[job.name].rows == reminded
    assert [mail.kind for mail in await mails(rig)].count("factor_recovery_ripe") == 1


async def test_a_sign_in_with_a_second_factor_stops_it(rig: Rig) -> None:
    _, seed = await alice_with_app(rig)
    await ask(rig)
    rig.clock.advance(30)
    assert (await sign_in_with_app(rig.browser(), rig, seed)).url.path == "/account"
    assert await state(rig) == ["cancelled"]
    assert "factor_recovery_cancelled" in [mail.kind for mail in await mails(rig)]


async def test_a_recovery_code_stops_it_and_the_password_alone_does_not(rig: Rig) -> None:
    owner, _ = await alice_with_app(rig)
    codes = await make_codes(owner)
    await ask(rig)
    browser = rig.browser()
    page = await sign_in(browser)
    assert await state(rig) == ["waiting"]
    await browser.get(f"{page.url}&method=recovery")
    await browser.submit(code=codes[0])
    assert await state(rig) == ["cancelled"]


async def test_one_at_a_time_however_many_ask_at_once(rig: Rig) -> None:
    await alice_with_app(rig)
    await asyncio.gather(*(ask(rig) for _ in range(3)))
    assert await state(rig) == ["waiting"]
    assert [mail.kind for mail in await mails(rig)].count("factor_recovery_asked") == 1
    await ripen(rig, DELAY + FINISH_LIFE)
    await ask(rig)
    assert await state(rig) == ["waiting"], "what is over makes way, and the clean-up has not been there"
    assert [mail.kind for mail in await mails(rig)].count("factor_recovery_asked") == 2


async def test_it_can_be_finished_once_until_its_end(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    link = await link_in(rig, "factor_recovery_ripe")
    pages = await asyncio.gather(*(finish(rig.browser(), link) for _ in range(3)), return_exceptions=True)
    assert [getattr(page, "status_code", None) for page in pages].count(200) == 1
    assert (await events(rig)).count("factor_recovery_done") == 1


async def test_a_wrong_password_leaves_the_link_alone(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    browser, link = rig.browser(), await link_in(rig, "factor_recovery_ripe")
    refused = await finish(browser, link, "not the right password")
    assert (refused.status_code, error_on(refused)) == (400, "password_wrong")
    assert await state(rig) == ["waiting"]
    assert (await finish(browser, link)).url.path == "/recover/factor/done"


async def test_switched_off_it_is_the_help_desk_that_helps(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path, IDP_FACTOR_RECOVERY_DELAY="off") as rig:
        await alice_with_app(rig)
        browser = rig.browser()
        page = await sign_in(browser)
        told = await browser.get(str(page.url).replace("/login?", "/recover/factor?"))
        assert "help desk" in text_of(told)
        await browser.post(str(told.url), {})
        assert await state(rig) == []


@pytest.mark.parametrize("delay", ["1h", "23h", "31d", "soon"])
def test_a_delay_in_which_nobody_can_object_stops_the_start(delay: str) -> None:
    with pytest.raises(SettingsError, match="IDP_FACTOR_RECOVERY_DELAY"):
        load_settings({"IDP_FACTOR_RECOVERY_DELAY": delay})


async def test_an_account_with_a_password_alone_has_nothing_to_lose(rig: Rig) -> None:
    await alice(rig)
    browser = rig.browser()
    page = await browser.get("/login")
    told = await browser.get(str(page.url).replace("/login?", "/recover/factor?"))
    assert told.url.path == "/login", "not before the password"
    assert await state(rig) == []


async def test_what_an_app_demands_is_demanded_afterwards_as_well(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    await finish(rig.browser(), await link_in(rig, "factor_recovery_ripe"))
    browser = rig.browser()
    await browser.get(authorization(acr_values="phr"))
    page = await browser.submit(username="alice", password=PASSWORD)
    assert page.status_code == 200
    assert "/account/authenticators/add-passkey" in page.text, "nothing but a passkey leads there"


async def test_the_request_and_its_mail_are_gone_with_the_account(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("DELETE FROM users")
        assert await conn.fetchval("SELECT count(*) FROM factor_recoveries") == 0
    await ripen(rig)
    assert "factor_recovery_ripe" not in [mail.kind for mail in await mails(rig)]
