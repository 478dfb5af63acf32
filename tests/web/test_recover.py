"""A new password by mail: from the question to the end of all sessions."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from idp.store.database import transaction
from idp.store.outbox import text_of as opened
from tests.driver import PASSWORD, Browser, Rig, code_of, mails, running
from tests.web.account.people import error_on, make_codes, sign_in, text_of
from tests.web.recovering import (
    ADDRESS,
    NEW,
    alice,
    ask,
    count,
    events,
    follow,
    hidden_link,
    link_for,
    prove_address,
    reset_mails,
    secret_of,
)


async def test_a_new_password_ends_all_sessions_and_then_signs_in(rig: Rig) -> None:
    owner, browser = await alice(rig), rig.browser()
    link = await link_for(rig)
    assert link.startswith(f"{rig.issuer}/recover/password?link=")
    form = await follow(browser, link)
    assert form.url.path == "/recover/new-password"
    assert secret_of(link) not in str(form.url), "the address bar has the link no more"
    assert secret_of(link) not in form.text
    done = await browser.submit(password=NEW)
    assert (done.status_code, done.url.path) == (200, "/recover/done")
    assert browser.http.cookies.get("idp_session") is None
    assert (await owner.get("/account")).url.path == "/login", "signed out everywhere"
    assert await count(rig, "SELECT count(*) FROM known_devices") == 0
    assert error_on(await sign_in(rig.browser())) == "wrong_credentials"
    assert (await sign_in(rig.browser(), NEW)).url.path == "/account"
    assert {"recovery_started", "password_reset"} <= set(await events(rig))
    assert {mail.kind for mail in await mails(rig) if mail.recipient == ADDRESS} == {"reset_password", "password_reset"}


async def test_the_sign_in_page_leads_there(rig: Rig) -> None:
    page = await rig.browser().get("/login")
    assert '<a id="forgot-password" href="/recover">' in page.text


@pytest.mark.parametrize("typed", ["alice", "ALICE", " alice ", ADDRESS, ADDRESS.upper()])
async def test_the_name_and_the_address_lead_to_the_address_as_it_is_stored(rig: Rig, typed: str) -> None:
    await alice(rig)
    await ask(rig, typed)
    assert [mail.recipient for mail in await reset_mails(rig)] == [ADDRESS]


async def test_a_scanner_that_opens_links_does_not_use_them_up(rig: Rig) -> None:
    await alice(rig)
    link = await link_for(rig)
    for _ in range(5):
        page = await rig.browser().get(link)
        assert hidden_link(page) == secret_of(link)
    assert (await follow(rig.browser(), link)).url.path == "/recover/new-password"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"


async def test_6_4_3_the_second_factor_is_asked_for_first(rig: Rig) -> None:
    owner = await alice(rig)
    seed = await owner.add_totp(rig)
    browser = rig.browser()
    step = await follow(browser, await link_for(rig))
    assert step.url.path == "/recover/step"
    assert 'data-method="totp"' in step.text
    assert "Not you?" not in step.text
    rig.clock.advance(30)
    form = await browser.submit(code=code_of(seed, rig))
    assert form.url.path == "/recover/new-password"
    assert (await browser.submit(password="wq-7 tnd")).url.path == "/recover/done", "8 do beside a second factor"
    fresh = rig.browser()
    assert 'data-method="totp"' in (await sign_in(fresh, "wq-7 tnd")).text, "asked for at the sign-in as ever"


async def test_a_recovery_code_stands_in_and_is_told_of(rig: Rig) -> None:
    owner = await alice(rig)
    await owner.add_totp(rig)
    codes = await make_codes(owner)
    browser = rig.browser()
    step = await follow(browser, await link_for(rig))
    ways = await browser.get(str(step.url).replace("/step?", "/step/another-way?"))
    assert 'data-method="recovery"' in ways.text
    assert 'data-method="password"' not in ways.text
    page = await browser.submit(method="recovery")
    assert 'data-method="recovery"' in page.text
    assert (await browser.submit(code=codes[0])).url.path == "/recover/new-password"
    assert "recovery_code_used" in {mail.kind for mail in await mails(rig)}


@pytest.mark.parametrize(
    ("password", "cause"),
    [("fourteen chars", "password_short"), ("alice alice alice!", "password_context"), ("", "password_short")],
)
async def test_6_2_4_what_may_not_be_chosen_leaves_the_link_alone(rig: Rig, password: str, cause: str) -> None:
    await alice(rig)
    browser = rig.browser()
    await follow(browser, await link_for(rig))
    refused = await browser.submit(password=password)
    assert (refused.status_code, error_on(refused)) == (400, cause)
    assert (await browser.submit(password=NEW)).url.path == "/recover/done"


async def test_an_account_with_a_passkey_alone_is_told_to_use_it(rig: Rig) -> None:
    await alice(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET password_hash = NULL")
        await conn.execute(
            """
            INSERT INTO webauthn_credentials (
                id, sub, name, credential_id, public_key, sign_count, aaguid, transports, backup_eligible, backed_up,
                uv_initialized, discoverable, attested, created_at
            )
            SELECT 'k', sub, 'Key', 'k', 'k', 0, '', '{}', false, false, true, true, false, created_at FROM users
            """
        )
    await ask(rig)
    [mail] = await mails(rig)
    assert mail.kind == "recovery_by_passkey"
    assert "link=" not in mail.text


async def test_an_account_that_never_had_a_password_gets_its_first_one_so(rig: Rig) -> None:
    await alice(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET password_hash = NULL, password_changed_at = NULL")
    browser = rig.browser()
    await follow(browser, await link_for(rig))
    await browser.submit(password=NEW)
    assert (await sign_in(rig.browser(), NEW)).url.path == "/account"


@pytest.mark.parametrize(
    "change",
    [
        "email_verified = false",
        "email = NULL, email_canonical = NULL, email_verified = false",
        "email = 'new@mail.test', email_canonical = 'new@mail.test', generation = generation + 1",
        "disabled_at = created_at",
    ],
)
async def test_a_link_dies_with_what_it_rests_on(rig: Rig, change: str) -> None:
    """The address that it went to has to be the account's still, and the account has to be open."""
    await alice(rig)
    link, browser = await link_for(rig), rig.browser()
    form = await follow(browser, link)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(f"UPDATE users SET {change}")
    refused = await browser.submit(password=NEW)
    assert (refused.status_code, error_on(refused)) == (403, "link_gone")
    assert error_on(await browser.get(str(form.url))) == "link_gone"
    assert error_on(await browser.get(link)) == "link_gone"
    assert await count(rig, "SELECT count(*) FROM audit_events WHERE event = 'password_reset'") == 0


async def test_an_account_that_is_shut_gets_no_mail(rig: Rig) -> None:
    await alice(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET disabled_at = created_at")
    await ask(rig)
    assert await mails(rig) == []


async def test_three_mails_in_ten_minutes_and_the_fourth_is_held_back_silently(rig: Rig) -> None:
    await alice(rig)
    pages = [await ask(rig, typed, address=f"198.51.{n}.7") for n, typed in enumerate(["alice", ADDRESS] * 2)]
    assert len({page.text for page in pages}) == 1
    assert len(await reset_mails(rig)) == 3, "the name and the address are one account"
    assert "recovery_held_back" in await events(rig)
    rig.clock.advance(timedelta(minutes=10))
    await ask(rig)
    assert len(await reset_mails(rig)) == 4


async def test_ten_in_ten_minutes_from_one_network(rig: Rig) -> None:
    await alice(rig)
    for number in range(10):
        await ask(rig, f"nobody{number}", address=f"198.51.100.{number}")
    assert "Look into your mailbox" in (await ask(rig, address="198.51.100.200")).text
    assert await reset_mails(rig) == []
    await ask(rig, address="203.0.113.5")
    assert len(await reset_mails(rig)) == 1, "strangers elsewhere do not keep her from it"


async def test_guesses_at_the_second_step_are_slowed_told_and_locked_like_any_other(rig: Rig) -> None:
    owner = await alice(rig)
    seed = await owner.add_totp(rig)
    browser = rig.browser()
    await follow(browser, await link_for(rig))
    rig.clock.advance(30)
    for _ in range(10):
        assert error_on(await browser.submit(code="000000")) == "code_wrong"
    refused = await browser.submit(code=code_of(seed, rig))
    assert (refused.status_code, error_on(refused)) == (400, "code_wrong")
    assert [mail.kind for mail in await mails(rig)].count("recovery_refused") == 1
    assert (await events(rig)).count("recovery_refused") == 11
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE attempts SET misses = 100 WHERE factor = 'totp' AND source = ''")
    locked = await browser.get(str(browser.page.url) if browser.page else "")
    assert (locked.status_code, error_on(locked)) == (403, "factor_locked")


async def test_wrong_passwords_from_before_do_not_hold_back_the_new_one(rig: Rig) -> None:
    await alice(rig)
    visitor = rig.browser(address="198.51.100.7")
    for _ in range(10):
        await sign_in(visitor, "not the right one at all")
    assert error_on(await sign_in(visitor)) == "wrong_credentials", "the right one too"
    await follow(visitor, await link_for(rig))
    await visitor.submit(password=NEW)
    assert (await sign_in(visitor, NEW)).url.path == "/account"


async def test_a_reset_belongs_to_its_browser_and_is_no_sign_in(rig: Rig) -> None:
    """(A-52) Nor does it open any page of the sign-in."""
    await alice(rig)
    browser = rig.browser()
    form = await follow(browser, await link_for(rig))
    stranger = rig.browser()
    await stranger.get("/login")
    assert error_on(await stranger.get(str(form.url))) == "link_gone"
    for path in ("/login", "/register", "/consent", "/login/choose", "/login/another-way", "/login/cancel"):
        gone = await browser.get(f"{path}?{form.url.query.decode()}")
        assert (gone.status_code, error_on(gone)) == (400, "interaction_gone"), path


async def test_an_ordinary_sign_in_is_no_reset(rig: Rig) -> None:
    await alice(rig)
    browser = rig.browser()
    page = await browser.get("/login")
    for path in ("/recover/step", "/recover/new-password", "/recover/step/another-way"):
        assert error_on(await browser.get(f"{path}?{page.url.query.decode()}")) == "link_gone"
    refused = await browser.post(f"/recover/new-password?{page.url.query.decode()}", {"password": NEW})
    assert (refused.status_code, error_on(refused)) == (403, "link_gone")
    assert (await sign_in(rig.browser())).url.path == "/account"


@pytest.mark.parametrize("link", ["", "x", "x" * 43, "é" * 43, "%00", "x" * 5000])
async def test_what_is_no_link_gets_a_calm_page(rig: Rig, link: str) -> None:
    browser = rig.browser()
    page = await browser.get(f"/recover/password?link={link}")
    assert page.status_code == 400
    refused = await browser.post("/recover/password", {"link": link})
    assert refused.status_code in {400, 403}
    assert error_on(refused) in {"link_gone", "invalid_request"}


async def test_an_address_of_somebody_else_is_not_written_to(rig: Rig) -> None:
    """Of two accounts with one address the one that has proved it is meant."""
    await alice(rig)
    other = rig.browser()
    await other.get("/register")
    await other.submit(username="mallory", password=PASSWORD, email="mallory@mail.test", phone="")
    await prove_address(rig, "mallory", "mallory@mail.test")
    await ask(rig, ADDRESS)
    [mail] = await reset_mails(rig)
    assert mail.recipient == ADDRESS
    assert mail.text.startswith("Hello alice,")
    assert "one hour" in text_of(await Browser(rig.browser().http).get("/recover/sent"))


async def test_a_code_by_text_message_is_sent_and_asked_for(database: str, tmp_path: Path) -> None:
    """Of who has a telephone number as the second factor; the message goes to the number of the account."""
    async with running(database, tmp_path, IDP_SMS_URL="outbox:") as rig:
        await alice(rig)
        async with transaction(rig.app.state.provider.pool) as conn:
            await conn.execute("UPDATE users SET phone = '+447700900123', phone_verified = true")
        browser = rig.browser()
        step = await follow(browser, await link_for(rig))
        assert 'data-method="sms"' in step.text
        query = step.url.query.decode()
        assert (await browser.post(f"/recover/new-password?{query}", {"password": NEW})).status_code == 403
        await browser.post(f"/recover/step/send-code?{query}&method=sms", {"phone": "+15550100"})
        async with transaction(rig.app.state.provider.pool) as conn:
            row = await conn.fetchrow("SELECT id, recipient, sealed_text FROM outbox WHERE channel = 'sms'")
        assert row is not None
        assert row["recipient"] == "+447700900123"
        said = opened(row["id"], row["sealed_text"], rig.app.state.provider.tools.master_key)
        [code] = re.findall(r"\b\d{6}\b", said)[:1]
        form = await browser.post(f"/recover/step?{query}&method=sms", {"code": code})
        assert form.url.path == "/recover/new-password"
        assert (await browser.submit(password="wq-7 tnd")).url.path == "/recover/done"
