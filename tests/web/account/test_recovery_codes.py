"""Recovery codes on the pages of the account, and in the place of a second step."""

from datetime import timedelta

from idp.store import users
from idp.store.database import transaction
from tests.driver import Browser, Rig, authorization, claims_of, code_of, exchange, mails, response_of
from tests.web.account.people import (
    codes_on,
    error_on,
    make_codes,
    sign_in,
    sign_in_with_app,
    text_of,
    use_code,
)


async def alice(rig: Rig) -> tuple[Browser, str]:
    """Alice's browser, and the seed of her app."""
    browser = rig.browser()
    await browser.register()
    return browser, await browser.add_totp(rig)


async def test_ten_codes_are_shown_once(rig: Rig) -> None:
    browser, _ = await alice(rig)
    before = await browser.get("/account/recovery-codes")
    assert "Make recovery codes" in before.text
    shown = await browser.post("/account/recovery-codes", {})
    codes = codes_on(shown)
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "no-store"
    assert len(set(codes)) == 10
    assert "alice" in text_of(shown)
    assert "Made on 2 January 2026" in text_of(shown)
    after = await browser.get("/account/recovery-codes")
    assert "10 of 10 left" in text_of(after)
    for page in (after, await browser.get("/account"), await browser.get("/account/authenticators")):
        assert not [code for code in codes if code in page.text or code.replace("-", "") in page.text]


async def test_a_code_stands_in_for_a_lost_app(rig: Rig) -> None:
    """It gives ``mfa`` at most, and says what it was."""
    browser, _ = await alice(rig)
    codes = await make_codes(browser)
    fresh = rig.browser()
    await fresh.get(authorization())
    await fresh.submit(username="alice", password="correct horse battery staple")
    await use_code(fresh, codes[4].upper().replace("-", " "))
    code = response_of(await fresh.submit(decision="allow"))["code"]
    claims = claims_of((await exchange(rig, code)).json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("mfa", ["pwd", "otp", "mfa"])
    assert "9 of 10 left" in text_of(await browser.get("/account/recovery-codes"))


async def test_codes_are_among_the_other_ways_and_last(rig: Rig) -> None:
    browser, _ = await alice(rig)
    await make_codes(browser)
    fresh = rig.browser()
    page = await sign_in(fresh)
    assert 'data-method="totp"' in page.text
    ways = await fresh.get(f"/login/another-way?interaction={page.url.params['interaction']}")
    assert ways.text.index('data-method="totp"') < ways.text.index('data-method="recovery"')
    chosen = await fresh.submit(method="recovery")
    assert 'data-method="recovery"' in chosen.text
    assert 'name="code"' in chosen.text


async def test_a_code_stands_in_for_an_app_that_is_switched_off(rig: Rig) -> None:
    browser, _ = await alice(rig)
    code = (await make_codes(browser))[0]
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(
            """
            INSERT INTO attempts (factor, subject, source, misses, window_from, last_missed_at)
            SELECT 'totp', sub, '', 100, created_at, created_at FROM users
            ON CONFLICT (factor, subject, source) DO UPDATE SET misses = 100
            """
        )
    fresh = rig.browser()
    page = await sign_in(fresh)
    assert 'data-method="recovery"' in page.text
    assert (await fresh.submit(code=code)).url.path == "/account"


async def test_codes_do_not_reach_what_cannot_be_phished(rig: Rig) -> None:
    browser, _ = await alice(rig)
    code = (await make_codes(browser))[0]
    fresh = rig.browser()
    await fresh.get(authorization(acr_values="phr"))
    page = await fresh.submit(username="alice", password="correct horse battery staple")
    after = await fresh.post(f"/login?interaction={page.url.params['interaction']}&method=recovery", {"code": code})
    assert after.url.path == "/login"
    assert 'id="add-passkey"' in after.text


async def test_the_owner_is_told_of_each_use(rig: Rig) -> None:
    browser, _ = await alice(rig)
    pool = rig.app.state.provider.pool
    async with transaction(pool) as conn:
        await conn.execute("UPDATE users SET email = 'alice@mail.example', email_verified = true")
    codes = await make_codes(browser)
    fresh = rig.browser()
    await sign_in(fresh)
    await use_code(fresh, codes[0])
    async with transaction(pool) as conn:
        events = [row[0] for row in await conn.fetch("SELECT event FROM audit_events ORDER BY id")]
    kept = {mail.kind: mail.text for mail in await mails(rig)}
    assert kept.keys() >= {"recovery_codes_renewed", "recovery_code_used"}
    assert "Unused recovery codes: 9" in kept["recovery_code_used"]
    assert "recovery_codes_renewed" in events


async def test_the_account_says_when_codes_run_out(rig: Rig) -> None:
    browser, _ = await alice(rig)
    assert "You have no recovery codes yet." in text_of(await browser.get("/account/authenticators"))
    await make_codes(browser)
    calm = await browser.get("/account")
    assert "10 recovery codes" in text_of(calm)
    assert "note care" not in calm.text
    assert "You have no recovery codes yet." not in text_of(await browser.get("/account/authenticators"))
    for left, words in ((3, "3 recovery codes are left."), (1, "1 recovery code is left."), (0, "No recovery code is")):
        async with transaction(rig.app.state.provider.pool) as conn:
            await conn.execute(
                """
                UPDATE recovery_codes SET consumed_at = created_at
                WHERE code_hash NOT IN (SELECT code_hash FROM recovery_codes ORDER BY code_hash LIMIT $1)
                """,
                left,
            )
        assert words in text_of(await browser.get("/account"))


async def test_without_a_second_factor_there_is_nothing_to_stand_in_for(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    page = await browser.get("/account/recovery-codes")
    assert "renew-recovery-codes" not in page.text
    refused = await browser.post("/account/recovery-codes", {})
    assert (refused.status_code, codes_on(refused)) == (403, [])
    assert error_on(refused) == "no_second_factor"


async def test_A_33_making_codes_takes_a_fresh_second_factor(rig: Rig) -> None:
    """(ASVS 7.5.1) After the step-up one is back on this very page."""
    browser, secret = await alice(rig)
    rig.clock.advance(timedelta(minutes=21))
    refused = await browser.post("/account/recovery-codes", {})
    assert (refused.status_code, codes_on(refused)) == (403, [])
    await browser.submit()
    page = await browser.submit(code=code_of(secret, rig))
    assert (page.status_code, page.url.path) == (200, "/account/recovery-codes")
    assert len(await make_codes(browser)) == 10


async def test_A_33_a_session_of_the_password_alone_makes_none(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    other = rig.browser()
    await sign_in(other)
    await browser.add_totp(rig)
    answer = await other.post("/account/recovery-codes", {})
    assert (answer.url.path, codes_on(answer)) == ("/login", [])
    assert (await other.get("/account/recovery-codes")).url.path == "/login"


async def test_G13_a_new_set_brings_a_new_secret(rig: Rig) -> None:
    browser, _ = await alice(rig)
    before = browser.http.cookies["idp_session"]
    await make_codes(browser)
    assert browser.http.cookies["idp_session"] != before
    assert (await browser.get("/account")).url.path == "/account"


async def test_the_last_second_factor_takes_the_codes_with_it(rig: Rig) -> None:
    browser, secret = await alice(rig)
    rig.clock.advance(60)
    codes = await make_codes(browser)
    async with transaction(rig.app.state.provider.pool) as conn:
        app = await conn.fetchval("SELECT id FROM totp_credentials")
    asked = await browser.get(f"/account/authenticators/{app}/remove")
    assert "recovery" not in text_of(asked)
    await browser.submit()
    async with transaction(rig.app.state.provider.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM recovery_codes") == 0
        events = [row[0] for row in await conn.fetch("SELECT event FROM audit_events ORDER BY id")]
    assert events[-2:] == ["authenticator_removed", "recovery_codes_removed"]
    fresh = rig.browser()
    assert (await sign_in(fresh)).url.path == "/account"
    assert codes
    assert secret


async def test_one_of_two_factors_leaves_the_codes(rig: Rig) -> None:
    browser, _ = await alice(rig)
    rig.clock.advance(60)
    await browser.add_totp(rig)
    await make_codes(browser)
    async with transaction(rig.app.state.provider.pool) as conn:
        app = await conn.fetchval("SELECT id FROM totp_credentials LIMIT 1")
    asked = await browser.get(f"/account/authenticators/{app}/remove")
    assert "10 recovery codes left" in text_of(asked)
    await browser.submit()
    assert "10 of 10 left" in text_of(await browser.get("/account/recovery-codes"))


async def test_new_codes_open_what_guessing_had_closed(rig: Rig) -> None:
    browser, secret = await alice(rig)
    await make_codes(browser)
    guesser = rig.browser()
    await sign_in(guesser)
    for _ in range(12):
        await use_code(guesser, "abcd-efgh-ijkl-mn27")
    codes = await make_codes(browser)
    fresh = rig.browser()
    await sign_in(fresh)
    assert (await use_code(fresh, codes[0])).url.path == "/account"
    assert secret


async def test_who_was_disabled_while_at_it_makes_none(rig: Rig) -> None:
    browser, secret = await alice(rig)
    other = rig.browser()
    rig.clock.advance(60)
    await sign_in_with_app(other, rig, secret)
    async with transaction(rig.app.state.provider.pool) as conn:
        sub = await conn.fetchval("SELECT sub FROM users")
        await users.disable(conn, sub, rig.clock())
    assert codes_on(await browser.post("/account/recovery-codes", {})) == []
