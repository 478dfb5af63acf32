"""An account without a password: how it comes to be one, and how its owner signs in."""

import asyncio

import httpx2

from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator, ceremony_on, use_passkey
from tests.authn.authenticator import Authenticator
from tests.driver import PASSWORD, Browser, Rig, authorization, claims_of, code_of, exchange, mails, response_of
from tests.web.account.people import error_on, sign_in, text_of
from tests.web.account.test_passkey_upgrade import upgrade

PROVED = "UPDATE users SET email = 'a@mail.test', email_canonical = 'a@mail.test', email_verified = true"
REMOVE, WAYS = "/account/password/remove", "/account/authenticators"


async def owner(rig: Rig) -> tuple[Browser, Authenticator]:
    """Alice, who has a password and has just added a passkey."""
    browser, device = rig.browser(), authenticator(rig.issuer)
    await browser.register()
    await add_passkey(browser, device)
    return browser, device


async def passwordless(rig: Rig) -> tuple[Browser, Authenticator]:
    """Alice, who has just removed her password."""
    browser, device = await owner(rig)
    await browser.get("/account/password")
    assert (await browser.post(REMOVE, {})).url.path == WAYS
    return browser, device


async def has_password(rig: Rig) -> bool:
    async with transaction(rig.app.state.provider.pool) as conn:
        return bool(await conn.fetchval("SELECT password_hash IS NOT NULL FROM users"))


async def test_the_owner_of_a_passkey_may_do_without_a_password(rig: Rig) -> None:
    browser, device = await owner(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(PROVED)
    page = await browser.get("/account/password")
    assert "You have one passkey. If you lose it, you cannot get back in by yourself." in text_of(page)
    before = browser.http.cookies["idp_session"]
    assert (await browser.post(REMOVE, {})).url.path == WAYS
    assert browser.http.cookies["idp_session"] != before
    assert not await has_password(rig)
    assert [mail.kind for mail in await mails(rig)] == ["password_removed"]
    assert "Password removed" in text_of(await browser.get("/account/activity"))
    # The passkey is the last way in now, and stays.
    page = await browser.get(WAYS)
    assert "None yet" in text_of(await browser.get("/account"))
    [wanted] = {part.partition("/")[0] for part in page.text.split(f"{WAYS}/")[1:] if "/remove" in part[:60]}
    await browser.get(f"{WAYS}/{wanted}/remove")
    assert (await browser.post(f"{WAYS}/{wanted}/remove", {})).status_code == 400
    # A password can be set again.
    await browser.get("/account/password")
    assert (await browser.submit(password=PASSWORD)).url.path == WAYS
    assert await has_password(rig)
    assert device.credential_id


async def test_the_passkey_signs_in_where_the_person_is_known(rig: Rig) -> None:
    """design.md, "passwordless account": use your passkey, the person, the ceremony; and the tokens tell the truth."""
    browser, device = await passwordless(rig)
    rig.clock.advance(60)
    page = await browser.get(authorization(prompt="login"))
    assert "Use your passkey" in text_of(page)
    assert "alice" in text_of(page)
    assert 'type="password"' not in page.text
    asked = ceremony_on(page)
    assert asked.options["userVerification"] == "required"
    assert not asked.options.get("allowCredentials"), "ids are told to nobody who need not be the owner"
    await use_passkey(browser, device)
    told = claims_of(
        (await exchange(rig, response_of(await browser.submit(decision="allow"))["code"])).json()["id_token"]
    )
    assert (told["acr"], told["amr"]) == ("phr", ["swk", "user", "mfa"])


async def test_changes_are_confirmed_by_the_passkey(rig: Rig) -> None:
    """A-33: after 20 minutes."""
    browser, device = await passwordless(rig)
    rig.clock.advance(21 * 60)
    page = await browser.get(f"{WAYS}/add-totp")
    assert "Use your passkey" in text_of(page)
    assert (await use_passkey(browser, device, user_verified=False)).status_code == 400
    assert (await use_passkey(browser, device)).url.path == f"{WAYS}/add-totp"


async def test_A_48_and_A_50_strangers_do_not_see_who_has_none(rig: Rig) -> None:
    """G16: the former password, another one, and a name that nobody has are answered alike."""
    await passwordless(rig)
    pages: list[httpx2.Response] = []
    for username, password in (("alice", PASSWORD), ("alice", "something else"), ("nobody", PASSWORD)):
        stranger = rig.browser()
        await sign_in(stranger, password, username)
        assert stranger.page is not None
        pages.append(stranger.page)
    assert {(page.status_code, error_on(page)) for page in pages} == {(400, "wrong_credentials")}
    assert len({text_of(page) for page in pages}) == 1
    assert all('type="password"' in page.text for page in pages)


async def test_A_33_who_has_no_passkey_at_hand_cannot_remove_it(rig: Rig) -> None:
    """None at all, one that did not verify its user, one that was used too long ago."""
    await rig.browser().register("bobby")
    bob = rig.browser()
    await sign_in(bob, username="bobby")
    assert "Remove password" not in text_of(await bob.get("/account/password"))
    assert (await bob.post(REMOVE, {})).status_code == 404
    await add_passkey(bob, authenticator(rig.issuer, user_verified=False))
    assert "Remove password" not in text_of(await bob.get("/account/password"))
    assert (await bob.post(REMOVE, {})).status_code == 404
    rig.clock.advance(21 * 60)
    assert (await bob.post(REMOVE, {})).status_code == 403
    assert await has_password(rig)
    stranger = rig.browser()
    await stranger.get("/login")
    assert (await stranger.post(REMOVE, {})).url.path == "/login"


async def test_the_password_and_an_app_are_not_enough_to_remove_it(rig: Rig) -> None:
    """The passkey must be at hand, not merely known: it is all that is left."""
    browser, _ = await owner(rig)
    secret = await browser.add_totp(rig)
    rig.clock.advance(60 * 60)
    again = rig.browser()
    await sign_in(again)
    interaction = again.page.url.params["interaction"] if again.page else ""
    await again.get(f"/login?interaction={interaction}&method=totp")
    assert (await again.submit(code=code_of(secret, rig))).url.path == "/account"
    page = await again.get("/account/password")
    assert "Sign in with your passkey, and you can remove your password here." in text_of(page)
    assert (await again.post(REMOVE, {})).status_code == 404
    assert await has_password(rig)


async def test_a_passkey_that_the_browser_made_is_relied_on_from_then_on(rig: Rig) -> None:
    await rig.browser().register()
    browser, device = rig.browser(), authenticator(rig.issuer)
    await sign_in(browser)
    await upgrade(browser, device)
    again = rig.browser()
    await again.get("/login")
    await use_passkey(again, device)
    await again.get("/account/password")
    assert (await again.post(REMOVE, {})).url.path == WAYS
    async with transaction(rig.app.state.provider.pool) as conn:
        assert not await conn.fetchval("SELECT bool_or(voluntary) FROM webauthn_credentials")
    # What a password has shown elsewhere is too little for the account from now on.
    assert (await browser.get("/account")).url.path == "/login"


async def test_password_and_last_passkey_never_go_together(rig: Rig) -> None:
    """Two requests at once: one of the two ways stays."""
    for number in range(4):
        browser, device = rig.browser(), authenticator(rig.issuer, credential_id=b"credential no. %d" % number)
        username = f"alice{rig.clock().timestamp():.0f}"
        await browser.register(username)
        page = await add_passkey(browser, device)
        [wanted] = {part.partition("/")[0] for part in page.text.split(f"{WAYS}/")[1:] if "/remove" in part[:60]}
        await asyncio.gather(
            browser.http.post(REMOVE, data={"x": ""}), browser.http.post(f"{WAYS}/{wanted}/remove", data={"x": ""})
        )
        async with transaction(rig.app.state.provider.pool) as conn:
            left = await conn.fetchval(
                """
                SELECT count(*) FROM users WHERE password_hash IS NULL
                AND NOT EXISTS (SELECT FROM webauthn_credentials WHERE webauthn_credentials.sub = users.sub)
                """
            )
        assert left == 0
        rig.clock.advance(1)


async def test_a_key_that_does_not_find_its_account_by_itself_does_not_do_without_a_password(rig: Rig) -> None:
    """Until it has: not every browser says whether it does."""
    browser, device = rig.browser(), authenticator(rig.issuer, discoverable=False)
    await browser.register()
    await add_passkey(browser, device)
    assert (await browser.post(REMOVE, {})).status_code == 404
    again = rig.browser()
    await again.get("/login")
    await use_passkey(again, device)
    await again.get("/account/password")
    assert (await again.post(REMOVE, {})).url.path == WAYS


async def test_what_the_password_has_shown_counts_no_more_anywhere(rig: Rig) -> None:
    """Else a key that verifies nobody, beside a password that is gone, would be two factors."""
    browser, device = await owner(rig)
    elsewhere = rig.browser()
    await sign_in(elsewhere)
    assert (await use_passkey(elsewhere, device)).url.path == "/account"
    await browser.get("/account/password")
    await browser.post(REMOVE, {})
    async with transaction(rig.app.state.provider.pool) as conn:
        kept = await conn.fetch("SELECT evidence FROM sessions WHERE ended_at IS NULL")
    assert [{one["method"] for one in row["evidence"]} for row in kept] == [{"webauthn"}, {"webauthn"}]
    assert (await elsewhere.get("/account")).url.path == "/account"
