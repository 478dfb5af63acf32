"""Attacks on the recovery of lost second factors (A-29 to A-31, A-49, A-61 to A-72)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from idp.authn.throttle import MOST_MISSES
from idp.store.database import transaction
from idp.web.recover.factor_recovery import FINISH_LIFE
from tests.attacks.test_guessing import missed_before
from tests.driver import PASSWORD, Rig, mails, running
from tests.web.account.people import error_on, sign_in
from tests.web.losing import alice_with_app, ask, finish, link_in, ripen
from tests.web.recovering import alice, count, follow, link_for, secret_of


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        yield found


async def factors(rig: Rig) -> int:
    """How many apps there are."""
    return await count(rig, "SELECT count(*) FROM totp_credentials")


async def test_A_67_the_mailbox_alone_removes_nothing(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    link = await link_in(rig, "factor_recovery_ripe")
    for password in ("", "not the right password", "x" * 600):
        refused = await finish(rig.browser(), link, password)
        assert (refused.status_code, error_on(refused)) == (400, "password_wrong")
    assert await factors(rig) == 1


async def test_A_67_a_reset_by_mail_does_not_get_around_it(rig: Rig) -> None:
    """Who reads the mail asks for a new password too, and is asked for the second factor as ever (ASVS 6.4.3)."""
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    browser = rig.browser()
    step = await follow(browser, await link_for(rig))
    assert step.url.path == "/recover/step"
    here = str(step.url).replace("/recover/step", "/recover/factor")
    assert (await browser.get(here)).status_code == 400, "a reset is no sign-in"
    assert (await browser.post(here, {})).status_code == 403
    assert await factors(rig) == 1


async def test_A_67_the_password_alone_removes_nothing(rig: Rig) -> None:
    await alice_with_app(rig)
    browser = rig.browser()
    await ask(rig, browser)
    await ripen(rig)
    first = await link_in(rig, "factor_recovery_asked")
    for secret in ("", "x" * 43, secret_of(first)):
        refused = await browser.post("/recover/factor/finish", {"link": secret, "password": PASSWORD})
        assert refused.status_code == 403
    assert await factors(rig) == 1


async def test_A_67_the_link_is_worth_nothing_too_early_too_late_or_twice(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    link = await link_in(rig, "factor_recovery_ripe")
    rig.clock.advance(-timedelta(seconds=1))
    assert (await rig.browser().get(link)).status_code == 400, "its secret does not make the delay shorter"
    rig.clock.advance(FINISH_LIFE + timedelta(seconds=1))
    assert (await rig.browser().get(link)).status_code == 400, "over, and the clean-up has not been there (A-71)"
    rig.clock.advance(-timedelta(seconds=1))
    assert (await finish(rig.browser(), link)).url.path == "/recover/factor/done"
    assert (await rig.browser().get(link)).status_code == 400


async def test_A_67_a_link_of_one_kind_is_none_of_another(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    finishing, stopping = await link_in(rig, "factor_recovery_ripe"), await link_in(rig, "factor_recovery_asked")
    assert secret_of(finishing) != secret_of(stopping)
    browser = rig.browser()
    for path in ("/recover/password", "/confirm-email", "/recover/factor/cancel"):
        assert (await browser.post(path, {"link": secret_of(finishing)})).status_code == 403
    assert (await browser.post("/recover/password", {"link": secret_of(await link_for(rig))})).status_code == 200
    reset = secret_of(await link_for(rig))
    assert (await browser.post("/recover/factor/finish", {"link": reset, "password": PASSWORD})).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        "email = 'other@mail.test', email_canonical = 'other@mail.test'",
        "email_verified = false",
        "email = NULL, email_canonical = NULL, email_verified = false",
        "disabled_at = now()",
    ],
)
async def test_A_72_a_mailbox_that_was_not_told_at_the_beginning_finishes_nothing(rig: Rig, change: str) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    link = await link_in(rig, "factor_recovery_ripe")
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(f"UPDATE users SET {change}")
    assert (await rig.browser().get(link)).status_code == 400
    refused = await rig.browser().post("/recover/factor/finish", {"link": secret_of(link), "password": PASSWORD})
    assert refused.status_code == 403
    assert await factors(rig) == 1


async def test_A_72_nor_does_it_get_the_link(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET email = 'other@mail.test', email_canonical = 'other@mail.test'")
    await ripen(rig)
    assert "factor_recovery_ripe" not in [mail.kind for mail in await mails(rig)]


async def test_A_71_a_password_that_was_changed_meanwhile_is_the_one_that_counts(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        hashed = await rig.app.state.provider.tools.hasher.hash("an entirely different sentence")
        await conn.execute("UPDATE users SET password_hash = $1, password_changed_at = $2", hashed, rig.clock())
    refused = await finish(rig.browser(), await link_in(rig, "factor_recovery_ripe"))
    assert error_on(refused) == "password_wrong"
    assert await factors(rig) == 1


async def test_A_29_and_A_30_no_step_is_skipped(rig: Rig) -> None:
    """Before the password nothing is asked for, whoever is meant, and in nobody else's interaction."""
    await alice_with_app(rig)
    browser = rig.browser()
    page = await browser.get("/login")
    here = str(page.url).replace("/login?", "/recover/factor?")
    await browser.post(here, {"username": "alice"})
    await browser.get("/login")
    await browser.submit(username="alice", password="not the right password")
    await browser.post(here, {"username": "alice"})
    begun = await sign_in(rig.browser())
    other = await browser.post(str(begun.url).replace("/login?", "/recover/factor?"), {})
    assert other.status_code == 403, "the interaction of another browser (A-31)"
    assert await count(rig, "SELECT count(*) FROM factor_recoveries") == 0


async def test_A_49_nobody_learns_whether_there_is_an_address_or_a_wait(rig: Rig) -> None:
    await alice_with_app(rig)
    bob = rig.browser()
    await bob.register("bob-1")
    await bob.add_totp(rig)
    pages = [await ask(rig), await ask(rig)]
    browser = rig.browser()
    await browser.get("/login")
    page = await browser.submit(username="bob-1", password=PASSWORD)
    await browser.get(str(page.url).replace("/login?", "/recover/factor?"))
    pages.append(await browser.submit())
    assert len({(page.status_code, page.url.path, len(page.text)) for page in pages}) == 1
    assert await count(rig, "SELECT count(*) FROM factor_recoveries") == 1


async def test_6_1_1_who_asks_without_end_writes_three_times_a_day(rig: Rig) -> None:
    await alice_with_app(rig)
    for _ in range(5):
        await ask(rig)
        async with transaction(rig.app.state.provider.pool) as conn:
            await conn.execute("DELETE FROM factor_recoveries")
    assert [mail.kind for mail in await mails(rig)].count("factor_recovery_asked") == 3
    rig.clock.advance(timedelta(days=1))
    await ask(rig)
    assert [mail.kind for mail in await mails(rig)].count("factor_recovery_asked") == 4


async def test_6_1_1_the_password_behind_the_link_is_guessed_at_within_limits(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    link = await link_in(rig, "factor_recovery_ripe")
    for _ in range(10):
        await finish(rig.browser(), link, "not the right password")
    held = await finish(rig.browser(), link)
    assert (held.status_code, error_on(held)) == (400, "password_wrong"), "the right one reads like a wrong one"
    rig.clock.advance(timedelta(hours=2))
    assert (await finish(rig.browser(), link)).url.path == "/recover/factor/done"


async def test_A_65_stopped_and_finished_at_once_only_one_of_them_happens(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    link, stop = await link_in(rig, "factor_recovery_ripe"), await link_in(rig, "factor_recovery_asked")
    await asyncio.gather(
        finish(rig.browser(), link), rig.browser().post("/recover/factor/cancel", {"link": secret_of(stop)})
    )
    async with transaction(rig.app.state.provider.pool) as conn:
        [state] = [row["state"] for row in await conn.fetch("SELECT state FROM factor_recoveries")]
    assert await factors(rig) == (1 if state == "cancelled" else 0)


async def test_A_37_codes_by_mail_that_were_switched_off_do_not_outlive_it(database: str, tmp_path: Path) -> None:
    """Whoever knew the password has guessed at them; nobody can remove them; the owner gets back in."""
    async with running(database, tmp_path, IDP_EMAIL_CODES="on") as rig:
        await alice(rig)
        async with transaction(rig.app.state.provider.pool) as conn:
            sub = await conn.fetchval("SELECT sub FROM users")
        await missed_before(rig, sub, MOST_MISSES, factor="email")
        off = await sign_in(rig.browser())
        assert (off.status_code, error_on(off)) == (403, "factor_locked")
        await ask(rig)
        await ripen(rig)
        await finish(rig.browser(), await link_in(rig, "factor_recovery_ripe"))
        assert 'data-method="email"' in (await sign_in(rig.browser())).text


async def test_what_rests_in_the_database_is_no_link(rig: Rig) -> None:
    await alice_with_app(rig)
    await ask(rig)
    await ripen(rig)
    secrets = {secret_of(await link_in(rig, kind)) for kind in ("factor_recovery_ripe", "factor_recovery_asked")}
    async with transaction(rig.app.state.provider.pool) as conn:
        [row] = await conn.fetch("SELECT factor_recoveries::text AS text FROM factor_recoveries")
    assert all(secret not in row["text"] for secret in secrets)


async def test_A_29_a_session_from_before_the_second_factor_is_no_password(rig: Rig) -> None:
    """Who has the browser, and not the password, cannot ask."""
    owner, _ = await alice_with_app(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("""UPDATE sessions SET evidence = (evidence::jsonb - 1)::jsonb""")
    page = await owner.get("/account")
    assert page.url.path == "/login", "the session alone is not enough any more"
    asked = await owner.get(str(page.url).replace("/login?", "/recover/factor?"))
    assert asked.url.path == "/login"
    await owner.post(str(page.url).replace("/login?", "/recover/factor?"), {})
    assert await count(rig, "SELECT count(*) FROM factor_recoveries") == 0
