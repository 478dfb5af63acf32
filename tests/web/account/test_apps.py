"""The page of connected apps: who can use the account, and no more from the moment that it is taken back."""

import asyncio
from datetime import timedelta

import httpx2

from idp.store.authorizations import revoke_of_client
from idp.store.consents import revoke_consent
from idp.store.database import transaction
from tests.cluster import Cluster
from tests.driver import Browser, Rig, authorization, call, exchange, response_of
from tests.web.account.people import error_on, sign_in, text_of

OFFLINE = "openid profile offline_access"


async def allow(rig: Rig, browser: Browser, scope: str = OFFLINE) -> dict[str, str]:
    """The tokens of the client ``web``, allowed in this browser."""
    answer = await browser.get(authorization(scope=scope, prompt="consent"))
    answer = await browser.submit(decision="allow")
    return dict((await exchange(rig, response_of(answer)["code"])).json())


async def refresh(rig: Rig, tokens: dict[str, str]) -> httpx2.Response:
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    return await call(rig, "/oauth/token", form)


async def is_active(rig: Rig, token: str) -> bool:
    return bool((await call(rig, "/oauth/introspect", {"token": token})).json()["active"])


async def test_10_7_3_one_sees_whom_one_has_let_in(rig: Rig) -> None:
    """Who, since when, for what, and who may act while one is away (ASVS 10.7.3)."""
    browser = rig.browser()
    await browser.register()
    assert "No app uses your account yet" in text_of(await browser.get("/account/apps"))
    assert "No apps can use your account" in text_of(await browser.get("/account"))
    tokens = await allow(rig, browser, "openid email api")
    text = text_of(await browser.get("/account/apps"))
    assert "Example Bank rp.test · allowed on 2 January 2026 · last used on 2 January 2026" in text
    assert "Know that it is you" in text
    assert "See your e-mail address" in text
    assert "Use one of its services for you: api" in text
    assert "away" not in text
    rig.clock.advance(timedelta(minutes=40))
    await allow(rig, browser)
    text = text_of(await browser.get("/account/apps"))
    assert "May act while you are away" in text
    assert text.count("Example Bank") == 2, "the name, and the name of its button"
    assert "1 app can use your account" in text_of(await browser.get("/account"))
    assert tokens


async def test_last_used_is_when_tokens_were_had_last(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    tokens = await allow(rig, browser)
    rig.clock.advance(timedelta(days=3))
    assert (await refresh(rig, tokens)).status_code == 200
    await sign_in(browser)
    text = text_of(await browser.get("/account/apps"))
    assert "allowed on 2 January 2026 · last used on 5 January 2026" in text


async def test_what_was_allowed_is_shown_without_a_grant_and_a_grant_without_what_was_allowed(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await allow(rig, browser, "openid")
    pool = rig.app.state.provider.pool
    async with transaction(pool) as conn:
        consents = await conn.fetch("DELETE FROM consents RETURNING sub")
    assert "Example Bank" in text_of(await browser.get("/account/apps"))
    async with transaction(pool) as conn:
        await conn.execute("UPDATE authorizations SET revoked_at = created_at")
    assert "Example Bank" not in text_of(await browser.get("/account/apps"))
    async with transaction(pool) as conn:
        await conn.execute(
            "INSERT INTO consents (sub, client_id, scope, granted_at) VALUES ($1, 'web', '{openid}', $2)",
            consents[0]["sub"],
            rig.clock(),
        )
    assert "never used" in text_of(await browser.get("/account/apps"))


async def test_10_4_9_an_app_is_removed_with_all_its_tokens(rig: Rig) -> None:
    """Asked first; then consent, grants and codes end, and those of others do not (ASVS 10.4.9, 7.5.2)."""
    browser, other = rig.browser(), rig.browser()
    await browser.register()
    await other.register("bob")
    tokens, others = await allow(rig, browser), await allow(rig, other)
    online = await allow(rig, browser, "openid")
    code = response_of(await browser.get(authorization(scope="openid")))["code"]
    asked = await browser.get("/account/apps/web/withdraw")
    assert "Remove the app “Example Bank”?" in asked.text
    assert "Act while you are away" in asked.text
    assert await is_active(rig, tokens["access_token"]), "asking changes nothing"
    after = await browser.submit()
    assert after.url.path == "/account/apps"
    assert "No app uses your account yet" in after.text
    assert not await is_active(rig, tokens["access_token"])
    assert not await is_active(rig, online["access_token"])
    assert (await refresh(rig, tokens)).json()["error"] == "invalid_grant"
    assert (await exchange(rig, code)).json()["error"] == "invalid_grant"
    assert 'value="allow"' in (await browser.get(authorization(scope="openid"))).text, "it has to ask again"
    assert await is_active(rig, others["access_token"])
    assert (await refresh(rig, others)).status_code == 200
    async with transaction(rig.app.state.provider.pool) as conn:
        row = await conn.fetchrow(
            "SELECT actor, client_id, details FROM audit_events WHERE event = 'consent_withdrawn'"
        )
    assert row is not None
    assert (row["actor"], row["client_id"]) == ("user", "web")
    assert row["details"] == {"scope": ["offline_access", "openid", "profile"], "authorizations": 3}


async def test_10_4_9_the_tokens_are_dead_on_every_server_at_once(cluster: Cluster) -> None:
    """Two servers on one database; the one that is asked is the one that did not do it, and the other way round."""
    tokens, kept = await cluster.tokens("bob"), await cluster.tokens("bob", "spa")
    browser = await cluster.signed_in("bob")
    async with browser.http:
        assert (await browser.post("/account/apps/web/withdraw", {})).url.path == "/account/apps"
        for worker in cluster.workers:
            async with cluster.http(worker) as http:
                headers = {"authorization": f"Bearer {tokens['access_token']}"}
                assert (await http.get("/oauth/userinfo", headers=headers)).status_code == 401
                headers = {"authorization": f"Bearer {kept['access_token']}"}
                assert (await http.get("/oauth/userinfo", headers=headers)).status_code == 200
    for _ in cluster.workers:
        assert not (await cluster.introspect(tokens["access_token"]))["active"]
        assert (await cluster.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await cluster.refresh(kept["refresh_token"], "spa")).status_code == 200


async def test_10_4_9_no_code_slips_past_a_withdrawal_under_way(rig: Rig) -> None:
    """The app asks in silence, again and again, also while it is removed (ASVS 10.4.9, 15.4.2)."""
    browser = rig.browser()
    await browser.register()
    await allow(rig, browser)
    async with transaction(rig.app.state.provider.pool) as conn:
        sub = await conn.fetchval("SELECT sub FROM users")
        await revoke_consent(conn, sub, "web")
        await revoke_of_client(conn, sub, "web", rig.clock())
        asking = asyncio.create_task(browser.http.get(authorization(prompt="none", scope=OFFLINE)))
        for _ in range(500):
            if await conn.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                break
            await asyncio.sleep(0.01)
    assert response_of(await asking)["error"] == "consent_required"


async def test_A_74_nobody_removes_the_app_of_another(rig: Rig) -> None:
    browser, mallory, stranger = rig.browser(), rig.browser(), rig.browser()
    await browser.register()
    tokens = await allow(rig, browser)
    await mallory.register("mallory")
    for wanted in ("web", "nobody", "%2e%2e"):
        for answer in (
            await mallory.get(f"/account/apps/{wanted}/withdraw"),
            await mallory.post(f"/account/apps/{wanted}/withdraw", {}),
        ):
            assert (answer.status_code, error_on(answer)) == (404, "not_found"), wanted
    assert (await mallory.post("/account/apps/%00/withdraw", {})).status_code == 400
    assert (await stranger.get("/account/apps/web/withdraw")).url.path == "/login"
    assert (await stranger.post("/account/apps/web/withdraw", {})).url.path == "/login"
    assert await is_active(rig, tokens["access_token"])
    assert "Example Bank" in text_of(await browser.get("/account/apps"))


async def test_a_session_that_ends_takes_only_what_needs_it(rig: Rig) -> None:
    browser, again = rig.browser(), rig.browser()
    await browser.register()
    await allow(rig, browser, "openid")
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("DELETE FROM consents")
    await browser.post("/account/sign-out", {})
    await sign_in(again)
    assert "Example Bank" not in text_of(await again.get("/account/apps"))


async def test_the_page_of_the_password_tells_what_goes_on(rig: Rig) -> None:
    """Signing out everywhere leaves what was allowed for while one is away."""
    browser = rig.browser()
    await browser.register()
    page = await browser.get("/account/password")
    assert "Apps that may act while you are away stay connected" in text_of(page)
    assert 'href="/account/apps"' in page.text.partition("<main")[2]
