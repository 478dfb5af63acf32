"""A passkey that the browser makes by itself after a password: when, and how little follows from it."""

from datetime import timedelta
from typing import Any

import httpx2

from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator, decoded, use_passkey
from tests.authn.authenticator import Authenticator
from tests.driver import Browser, Rig, authorization, claims_of, exchange, mails, response_of
from tests.web.account.people import sign_in, sign_in_with_app

PROVED = "UPDATE users SET email = 'a@mail.test', email_canonical = 'a@mail.test', email_verified = true"
OPTIONS, UPGRADE = "/account/passkey-upgrade/options", "/account/passkey-upgrade"


async def upgrade(browser: Browser, device: Authenticator, **switches: Any) -> httpx2.Response | None:
    """What the script of the page does; None where the server sees nothing to do."""
    begun = await browser.http.post(OPTIONS, data={"x": ""})
    if begun.status_code in {204, 403}:
        return None
    assert begun.status_code == 200, begun.text
    options = begun.json()
    handle = decoded(options["user"]["id"])
    made = device.make(decoded(options["challenge"]), **{"user_handle": handle, **switches})
    return await browser.http.post(UPGRADE, data={"credential": made})


async def credentials(rig: Rig) -> list[Any]:
    async with transaction(rig.app.state.provider.pool) as conn:
        rows = await conn.fetch("SELECT uv_initialized, voluntary FROM webauthn_credentials ORDER BY created_at")
    return [tuple(row) for row in rows]


async def owner(rig: Rig) -> Browser:
    """Alice, who has just signed in by her password."""
    await rig.browser().register()
    browser = rig.browser()
    await sign_in(browser)
    return browser


async def test_a_password_just_given_makes_a_passkey_that_is_asked_of_nobody(rig: Rig) -> None:
    """1.6: user presence is waived here, and verification is what the flags say."""
    browser, device = await owner(rig), authenticator(rig.issuer)
    assert browser.page is not None
    assert f'data-passkey-upgrade="{UPGRADE}"' in browser.page.text
    before = browser.http.cookies["idp_session"]
    answer = await upgrade(browser, device, user_present=False, user_verified=False)
    assert answer is not None
    assert (answer.status_code, answer.content) == (204, b"")
    assert await credentials(rig) == [(False, True)]
    assert browser.http.cookies["idp_session"] != before
    # The session is what it was, and the account asks for no more than it did.
    assert (await browser.get("/account/authenticators")).url.path == "/account/authenticators"
    told = claims_of((await exchange(rig, await consented(browser))).json()["id_token"])
    assert (told["acr"], told["amr"]) == ("1fa", ["pwd"])
    another = rig.browser()
    assert (await sign_in(another)).url.path == "/account"
    # That it verifies its user later says nothing while it is all that is shown.
    third = rig.browser()
    await third.get("/login")
    assert (await use_passkey(third, device)).status_code == 400


async def test_a_passkey_that_verified_its_user_when_it_was_made_signs_in_alone(rig: Rig) -> None:
    browser, device = await owner(rig), authenticator(rig.issuer)
    await upgrade(browser, device, user_present=False)
    assert await credentials(rig) == [(True, True)]
    other = rig.browser()
    await other.get("/login")
    assert (await use_passkey(other, device)).url.path == "/account"


async def consented(browser: Browser) -> str:
    await browser.get(authorization())
    return response_of(await browser.submit(decision="allow"))["code"]


async def test_it_is_audited_and_told(rig: Rig) -> None:
    browser = await owner(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(PROVED)
    await upgrade(browser, authenticator(rig.issuer))
    async with transaction(rig.app.state.provider.pool) as conn:
        [row] = await conn.fetch("SELECT details FROM audit_events WHERE event = 'authenticator_added'")
    assert row["details"]["by_itself"] is True
    assert [mail.kind for mail in await mails(rig)] == ["authenticator_added"]


async def test_A_33_only_fresh_after_a_password_and_with_the_second_factor(rig: Rig) -> None:
    """As any change of what one signs in with: not late, not after another sign-in, not without what is asked for."""
    browser = await owner(rig)
    rig.clock.advance(5 * 60)
    assert await upgrade(browser, authenticator(rig.issuer)) is None
    assert (await browser.http.post(UPGRADE, data={"credential": "{}"})).status_code == 403
    stranger = rig.browser()
    assert (await stranger.http.post(OPTIONS, data={"x": ""})).status_code == 403
    browser = rig.browser()
    await sign_in(browser)
    secret = await browser.add_totp(rig)
    half = rig.browser()
    await sign_in(half)
    assert await upgrade(half, authenticator(rig.issuer)) is None
    rig.clock.advance(60)
    whole = rig.browser()
    await sign_in_with_app(whole, rig, secret)
    assert await upgrade(whole, authenticator(rig.issuer)) is not None
    assert len(await credentials(rig)) == 1


async def test_A_33_a_second_factor_of_long_ago_is_not_enough(rig: Rig) -> None:
    browser = await owner(rig)
    await browser.add_totp(rig)
    earlier = (rig.clock() - timedelta(minutes=21)).isoformat()
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(
            """
            UPDATE sessions SET evidence = (
                SELECT jsonb_agg(CASE WHEN one ->> 'method' = 'totp' THEN one || jsonb_build_object('at', $1::text)
                                 ELSE one END)
                FROM jsonb_array_elements(evidence) AS one
            )
            """,
            earlier,
        )
    assert (await browser.get("/account")).url.path == "/account"
    assert await upgrade(browser, authenticator(rig.issuer)) is None


async def test_a_passkey_sign_in_asks_for_no_other(rig: Rig) -> None:
    browser, device = await owner(rig), authenticator(rig.issuer)
    await add_passkey(browser, device)
    assert await upgrade(browser, authenticator(rig.issuer, credential_id=b"another credential")) is None
    assert await credentials(rig) == [(True, False)]


async def test_A_43_and_A_44_the_ceremony_is_no_less_exact(rig: Rig) -> None:
    browser = await owner(rig)
    for switches in ({"origin": "https://evil.test"}, {"rp_id": "evil.test"}, {"type": "webauthn.get"}):
        answer = await upgrade(browser, authenticator(rig.issuer), **switches)
        assert answer is not None
        assert answer.status_code == 204
    begun = (await browser.http.post(OPTIONS, data={"x": ""})).json()
    device = authenticator(rig.issuer)
    made = device.make(decoded(begun["challenge"]), user_handle=decoded(begun["user"]["id"]))
    foreign = {"origin": "https://evil.test", "sec-fetch-site": "cross-site"}
    assert (await browser.http.post(UPGRADE, data={"credential": made}, headers=foreign)).status_code == 403
    assert await credentials(rig) == []
    await browser.http.post(UPGRADE, data={"credential": made})
    await browser.http.post(UPGRADE, data={"credential": made})
    assert len(await credentials(rig)) == 1


async def test_1_6_nowhere_else_is_user_presence_waived(rig: Rig) -> None:
    browser = await owner(rig)
    assert (await add_passkey(browser, authenticator(rig.issuer), user_present=False)).status_code == 400
    assert await credentials(rig) == []


async def test_what_one_has_already_is_excluded(rig: Rig) -> None:
    browser, device = await owner(rig), authenticator(rig.issuer)
    await upgrade(browser, device)
    options = (await browser.http.post(OPTIONS, data={"x": ""})).json()
    assert [decoded(one["id"]) for one in options["excludeCredentials"]] == [device.credential_id]
    assert options["authenticatorSelection"]["residentKey"] == "required"
