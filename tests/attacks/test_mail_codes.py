"""A mailbox and a password against accounts that have a stronger second factor (ASVS 6.3.6; A-29, A-32, A-34)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from idp.authn.throttle import MOST_MISSES
from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator
from tests.driver import Browser, Rig, authorization, claims_of, code_of, exchange, response_of, running
from tests.texting import NUMBER, SMS, add_person, another_code, newest_code, texts, with_password
from tests.web.account.people import error_on, make_codes, text_of
from tests.web.trusting import put_into, silent

MAILBOX = {"number": None, "email": "carol@mail.test", "email_verified": True}


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, **SMS, IDP_EMAIL_CODES="on") as found:
        await found.add_client()
        await add_person(found, **MAILBOX)  # type: ignore[arg-type]
        yield found


async def by_mail(rig: Rig, browser: Browser | None = None, url: str = "/login") -> Browser:
    """Carol's browser, in which she has signed in by her password and a code by mail."""
    browser = browser or rig.browser()
    page = await with_password(browser, url=url)
    assert 'data-method="email"' in page.text
    await browser.submit(code=await newest_code(rig, "mail"))
    return browser


async def add_number(rig: Rig) -> None:
    """Let an operator confirm a number of hers."""
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET phone = $1, phone_verified = true", NUMBER)


async def add(rig: Rig, browser: Browser, kind: str) -> None:
    """Add a second factor of this kind to her account, in this browser."""
    if kind == "totp":
        await browser.add_totp(rig)
    elif kind == "webauthn":
        await add_passkey(browser, authenticator(rig.issuer))
    else:
        await add_number(rig)


@pytest.mark.parametrize("kind", ["totp", "webauthn", "sms"])
async def test_6_3_6_whoever_reads_the_mail_gets_past_nothing_stronger(rig: Rig, kind: str) -> None:
    """No code is sent or offered, none is taken, and one that was shown in a sign-in under way counts no more."""
    owner, begun = await by_mail(rig), rig.browser()
    page = await with_password(begun)
    former = await newest_code(rig, "mail")
    await add(rig, owner, kind)
    sent = len(await texts(rig, "mail"))
    late = await begun.post(f"/login?{page.url.query.decode()}&method=email", {"code": former})
    assert f'data-method="{kind}"' in late.text
    thief = rig.browser()
    page = await with_password(thief)
    query = page.url.query.decode()
    assert f'data-method="{kind}"' in page.text
    assert "Mail to" not in text_of(await thief.get(f"/login/another-way?{query}"))
    await thief.post(f"/login/another-way?{query}", {"method": "email"})
    await thief.post(f"/login/send-code?{query}&method=email", {})
    assert len(await texts(rig, "mail")) == sent
    await thief.post(f"/login?{query}&method=email", {"code": former})
    for browser in (begun, thief):
        assert "idp_session" not in browser.http.cookies
        assert (await browser.get("/account")).url.path == "/login"


@pytest.mark.parametrize("kind", ["totp", "webauthn", "sms"])
async def test_6_3_6_a_session_by_mail_is_short_of_what_was_added_since(rig: Rig, kind: str) -> None:
    """Neither the pages of the account nor an application have it for a full sign-in, nor for a step-up (A-32)."""
    elsewhere = await by_mail(rig, url=authorization())
    await elsewhere.submit(decision="allow")
    assert "code" in await silent(elsewhere, acr_values="mfa")
    await add(rig, await by_mail(rig), kind)
    assert (await elsewhere.get("/account")).url.path == "/login"
    assert (await elsewhere.get("/account/password")).url.path == "/login"
    for changes in ({}, {"acr_values": "mfa"}):
        assert (await silent(elsewhere, **changes))["error"] in {"login_required", "unmet_authentication_requirements"}
    assert f'data-method="{kind}"' in (await elsewhere.get(authorization())).text


async def test_6_3_6_where_the_stronger_factor_is_locked_mail_does_not_take_its_place(rig: Rig) -> None:
    await add(rig, await by_mail(rig), "totp")
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(
            """
            INSERT INTO attempts (factor, subject, source, misses, window_misses, window_from, last_missed_at)
            VALUES ('totp', 'sub-of-carol', '', $1, 1, $2, $2)
            """,
            MOST_MISSES,
            rig.clock(),
        )
    sent = len(await texts(rig, "mail"))
    page = await with_password(rig.browser())
    assert (page.status_code, error_on(page)) == (403, "factor_locked")
    assert 'href="/recover/factor?' in page.text, "what is lost is removed by mail, the password and a delay"
    assert len(await texts(rig, "mail")) == sent


async def test_6_3_6_tokens_say_nothing_of_a_code_by_mail_from_before(rig: Rig) -> None:
    """It was shown in this very session; now a text message or a passkey is what makes two steps."""
    browser = await by_mail(rig, url=authorization())
    await browser.submit(decision="allow")
    await add_number(rig)
    await browser.get(authorization())
    await another_code(browser)
    code = response_of(await browser.submit(code=await newest_code(rig)))["code"]
    claims = claims_of((await exchange(rig, code)).json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("mfa", ["pwd", "sms", "mfa"])


async def test_6_3_6_a_client_and_a_group_have_their_two_steps_from_the_stronger_factor(rig: Rig) -> None:
    await rig.add_client("strict", min_acr="mfa")
    await put_into(rig, "mfa", "carol")
    owner = await by_mail(rig)
    seed = await owner.add_totp(rig)
    rig.clock.advance(timedelta(minutes=1))
    for client_id in ("strict", "web"):
        browser = rig.browser()
        page = await with_password(browser, url=authorization(client_id=client_id))
        assert 'data-method="totp"' in page.text
        page = await browser.get(f"/login?{page.url.query.decode()}&method=email")
        assert 'data-method="totp"' in page.text
        answer = await browser.submit(code=code_of(seed, rig))
        assert answer.status_code == 303 or answer.url.path == "/consent"
        rig.clock.advance(timedelta(minutes=1))


async def test_6_3_6_with_the_last_stronger_factor_gone_codes_go_by_mail_again(rig: Rig) -> None:
    """So recovery codes stay, which stand in for those; and the address stays too, as long as they go there."""
    owner = await by_mail(rig)
    await owner.add_totp(rig)
    assert len(await make_codes(owner)) == 10
    async with transaction(rig.app.state.provider.pool) as conn:
        app = await conn.fetchval("SELECT id FROM totp_credentials")
    asked = await owner.get(f"/account/authenticators/{app}/remove")
    assert "Mail to c•••@mail.test" in text_of(asked)
    assert (await owner.post(f"/account/authenticators/{app}/remove", {})).url.path == "/account/authenticators"
    assert "10 of 10 left" in text_of(await owner.get("/account/recovery-codes"))
    assert 'data-method="email"' in (await with_password(rig.browser())).text
    rig.clock.advance(timedelta(minutes=11))
    page = await by_mail(rig)
    assert error_on(await page.post("/account/email/remove", {})) == "email_needed"


async def test_who_has_an_app_may_remove_the_address(rig: Rig) -> None:
    owner = await by_mail(rig)
    await owner.add_totp(rig)
    assert (await owner.post("/account/email/remove", {})).url.path == "/account/email"
    async with transaction(rig.app.state.provider.pool) as conn:
        assert await conn.fetchval("SELECT email FROM users") is None


async def test_a_passkey_that_the_browser_made_by_itself_leaves_codes_by_mail(rig: Rig) -> None:
    """Its owner may not know that it is there, and is asked for nothing by it."""
    owner = await by_mail(rig)
    await add(rig, owner, "webauthn")
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE webauthn_credentials SET voluntary = true")
    rig.clock.advance(timedelta(minutes=11))
    browser = rig.browser()
    page = await with_password(browser)
    page = await browser.post(f"/login/another-way?{page.url.query.decode()}", {"method": "email"})
    assert 'data-method="email"' in page.text
    assert (await browser.submit(code=await newest_code(rig, "mail"))).url.path == "/account"
