"""The end of an account at its owner's wish."""

from datetime import timedelta

import httpx2
import pytest

from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator
from tests.driver import PASSWORD, Browser, Rig, authorization, call, code_of, exchange, mails, response_of
from tests.web.account.people import error_on, make_codes, sign_in, text_of


async def delete(browser: Browser, confirmation: str = "alice") -> httpx2.Response:
    """The page after the form."""
    return await browser.post("/account/delete", {"confirmation": confirmation})


async def exists(rig: Rig, username: str = "alice") -> bool:
    async with transaction(rig.app.state.provider.pool) as conn:
        return bool(await conn.fetchval("SELECT EXISTS (SELECT FROM users WHERE username = $1)", username))


async def prove_email(rig: Rig, email: str = "alice@mail.test") -> None:
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET email = $1, email_canonical = $1, email_verified = true", email)


async def left_of(rig: Rig, sub: str) -> dict[str, int]:
    """How many rows of each table still name this account."""
    async with transaction(rig.app.state.provider.pool) as conn:
        tables = await conn.fetch(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'sub' AND table_schema = 'public'"
        )
        return {
            name: count
            for (name,) in tables
            if (count := await conn.fetchval(f"SELECT count(*) FROM {name} WHERE sub = $1", sub))
        }


async def test_7_5_3_everything_ends_at_once(rig: Rig) -> None:
    """Sessions, tokens, ways to sign in; the trail stays, and says nothing of whose it was but the name."""
    browser, phone, mallory = rig.browser(), rig.browser(), rig.browser()
    await mallory.register("mallory")
    await browser.register()
    await sign_in(phone)
    await browser.add_totp(rig)
    await add_passkey(browser, authenticator(rig.issuer))
    await make_codes(browser)
    await browser.get(authorization(scope="openid offline_access"))
    tokens = (await exchange(rig, response_of(await browser.submit(decision="allow"))["code"])).json()
    async with transaction(rig.app.state.provider.pool) as conn:
        sub = await conn.fetchval("SELECT sub FROM users WHERE username = 'alice'")
    asked = text_of(await browser.get("/account/delete"))
    assert "Your ways to sign in: Password, Authenticator app, Passkey or security key and Recovery code" in asked
    assert "Your sign-in on 2 devices" in asked
    assert "1 connected app" in asked
    gone = await delete(browser)
    assert (gone.status_code, gone.url.path) == (200, "/goodbye")
    assert "Your account is deleted" in text_of(gone)
    assert not {"idp_session", "idp_browser"} & set(browser.http.cookies)
    assert await left_of(rig, sub) == {"audit_events": await trail_of(rig, sub)}
    for one in (browser, phone):
        assert (await one.get("/account")).url.path == "/login"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await call(rig, "/oauth/token", form)).json()["error"] == "invalid_grant"
    assert not (await call(rig, "/oauth/introspect", {"token": tokens["access_token"]})).json()["active"]
    assert error_on(await sign_in(rig.browser())) == "wrong_credentials"
    assert (await mallory.get("/account")).url.path == "/account"
    async with transaction(rig.app.state.provider.pool) as conn:
        rows = await conn.fetch("SELECT sub, actor, details FROM audit_events WHERE event = 'account_deleted'")
    assert [tuple(row) for row in rows] == [(sub, "user", {"username": "alice"})]


async def trail_of(rig: Rig, sub: str) -> int:
    async with transaction(rig.app.state.provider.pool) as conn:
        return int(await conn.fetchval("SELECT count(*) FROM audit_events WHERE sub = $1", sub))


async def test_whoever_takes_the_name_is_somebody_else(rig: Rig) -> None:
    browser, second = rig.browser(), rig.browser()
    await browser.register()
    await delete(browser)
    assert (await second.register()).url.path == "/account"
    assert "No app uses your account yet" in text_of(await second.get("/account/apps"))
    assert text_of(await second.get("/account/activity")).count("Account made") == 1


async def test_the_owner_is_told_at_the_proved_address(rig: Rig) -> None:
    """The message is in the outbox though the account is gone."""
    browser = rig.browser()
    await browser.register()
    await prove_email(rig)
    await delete(browser)
    assert not await exists(rig)
    (mail,) = await mails(rig)
    assert (mail.recipient, mail.kind) == ("alice@mail.test", "account_deleted")
    assert "Your account was deleted" in mail.text


async def test_nobody_is_told_at_an_address_that_is_not_proved(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get("/register")
    await browser.submit(username="alice", password=PASSWORD, email="somebody@mail.test", phone="")
    await delete(browser)
    assert not await exists(rig)
    assert "account_deleted" not in {mail.kind for mail in await mails(rig)}


@pytest.mark.parametrize("typed", ["", "alic", "mallory", "alice@mail.test", "x" * 4000])
async def test_another_name_deletes_nothing(rig: Rig, typed: str) -> None:
    browser = rig.browser()
    await browser.register()
    page = await delete(browser, typed)
    assert (page.status_code, error_on(page)) == (400, "confirmation_wrong")
    assert (await browser.post("/account/delete", {"username": "alice"})).status_code == 400
    assert await exists(rig)
    assert (await browser.get("/account")).url.path == "/account"


@pytest.mark.parametrize("typed", ["alice", " ALICE ", "ａｌｉｃｅ"])
async def test_the_name_is_compared_as_names_are(rig: Rig, typed: str) -> None:
    browser = rig.browser()
    await browser.register()
    assert (await delete(browser, typed)).url.path == "/goodbye"


async def test_7_5_3_a_proof_is_good_for_five_minutes_and_not_for_six(rig: Rig) -> None:
    """What is enough to add a passkey is not enough here: the second factor is asked for anew (ASVS 7.5.3, A-33)."""
    browser = rig.browser()
    await browser.register()
    seed = await browser.add_totp(rig)
    rig.clock.advance(timedelta(minutes=5))
    assert "Delete your account?" in text_of(await browser.get("/account/delete"))
    rig.clock.advance(1)
    assert (await browser.get("/account/authenticators/add-passkey")).url.path == "/account/authenticators/add-passkey"
    refused = await delete(browser)
    assert refused.status_code == 403
    assert "What you show counts for 5 minutes." in refused.text
    assert await exists(rig)
    page = await browser.get("/account/delete")
    assert 'data-method="totp"' in page.text, "the proof of six minutes ago does not count in the step-up either"
    page = await browser.submit(code=code_of(seed, rig))
    assert page.url.path == "/account/delete"
    assert (await delete(browser)).url.path == "/goodbye"


async def test_7_5_3_a_password_that_stands_alone_is_asked_for_again(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    rig.clock.advance(timedelta(minutes=6))
    page = await browser.get("/account/delete")
    assert 'data-method="password"' in page.text
    assert (await browser.submit(username="alice", password=PASSWORD)).url.path == "/account/delete"
    assert (await delete(browser)).url.path == "/goodbye"


async def test_A_74_nobody_deletes_the_account_of_another(rig: Rig) -> None:
    browser, mallory, stranger = rig.browser(), rig.browser(), rig.browser()
    await browser.register()
    await mallory.register("mallory")
    assert error_on(await delete(mallory)) == "confirmation_wrong"
    assert (await delete(stranger)).url.path == "/login"
    assert await exists(rig)
    assert await exists(rig, "mallory")
    assert (await stranger.get("/goodbye")).status_code == 200


async def test_A_51_another_site_deletes_nothing(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    answer = await browser.http.post(
        "/account/delete", data={"confirmation": "alice"}, headers={"origin": "https://evil.test"}
    )
    assert answer.status_code == 403
    assert await exists(rig)


async def test_twice_at_once_is_once(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await delete(browser)
    assert (await delete(browser)).url.path == "/login"
    async with transaction(rig.app.state.provider.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM audit_events WHERE event = 'account_deleted'") == 1
