"""A-70, A-71, A-74: what ends with a session or a change of credentials, and what is nobody else's to touch.

What of A-70 does not concern the pages of the account is in test_browser_attacks.py.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.routing import Route

from idp.base.clock import system_clock
from idp.store import users
from idp.store.database import transaction
from idp.store.groups import add_member, create_group
from idp.store.known_devices import remember_device, trust_device
from idp.store.sessions import end_sessions_of
from idp.store.users import get_user
from idp.web.routes import ROUTES
from tests.attacks.passkeys import add_passkey, authenticator
from tests.cluster import Cluster, error_of, sub_of
from tests.driver import PASSWORD, Browser, Rig, authorization, call, claims_of, exchange, response_of, running
from tests.web.account.people import OTHER_PASSWORD, error_on, make_codes, sign_in

FORM = {"current_password": PASSWORD, "password": OTHER_PASSWORD}


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found


async def is_dead(cluster: Cluster, cookie: str, tokens: dict[str, str]) -> bool:
    """Whether neither the cookie nor a token opens anything on either server, at once (G17)."""
    seen = set()
    for worker in cluster.workers:
        async with httpx2.AsyncClient(base_url=worker, cookies={"idp_session": cookie}) as http:
            seen.add((await http.get("/account")).status_code == 303)
            bearer = {"authorization": f"Bearer {tokens['access_token']}"}
            seen.add((await http.get("/oauth/userinfo", headers=bearer)).status_code == 401)
        seen.add(not (await cluster.introspect(tokens["access_token"]))["active"])
        seen.add(not await refreshes(cluster, tokens))
    assert len(seen) == 1, "either all of it or nothing"
    return seen.pop()


async def refresh(rig: Rig, token: str) -> httpx2.Response:
    return await call(rig, "/oauth/token", {"grant_type": "refresh_token", "refresh_token": token})


async def refreshes(cluster: Cluster, tokens: dict[str, str]) -> bool:
    """Whether the refresh token is taken; then its successor takes its place."""
    answer = await cluster.refresh(tokens["refresh_token"])
    if answer.status_code == 200:
        tokens["refresh_token"] = answer.json()["refresh_token"]
        return True
    assert error_of(answer) == (400, "invalid_grant")
    return False


async def at_work(cluster: Cluster, username: str = "bob") -> tuple[Browser, str, dict[str, str]]:
    """A browser in which this user is signed in, its cookie, and the tokens of an application in it."""
    browser = await cluster.signed_in(username)
    tokens = (await cluster.exchange(await cluster.code(browser, scope="openid profile"))).json()
    return browser, browser.http.cookies["idp_session"], tokens


async def test_A_71_a_new_password_ends_the_others(cluster: Cluster) -> None:
    """Their sessions and tokens, on both servers, at once (ASVS 7.4.3; G17)."""
    here, cookie, tokens = await at_work(cluster)
    elsewhere = [await at_work(cluster) for _ in range(2)]
    bystander = await at_work(cluster, "mallory")
    changed = await here.post("/account/password", {**FORM, "end_others": "1"})
    assert (changed.status_code, changed.url.path) == (200, "/account/authenticators")
    for _, theirs, their_tokens in elsewhere:
        assert await is_dead(cluster, theirs, their_tokens)
    renewed = here.http.cookies["idp_session"]
    assert renewed != cookie
    assert not await is_dead(cluster, renewed, tokens)
    assert not await is_dead(cluster, bystander[1], bystander[2])
    assert error_on(await sign_in(cluster.browser(), username="bob")) == "wrong_credentials"
    for browser in (here, bystander[0], *(one for one, _, _ in elsewhere)):
        await browser.http.aclose()


async def test_A_71_a_sign_in_under_way_ends_with_the_others(rig: Rig) -> None:
    """What was proved with the old password, and waits at the consent page, does not begin a session anew."""
    alice, mallory = rig.browser(), rig.browser()
    await alice.register()
    await mallory.get(authorization())
    assert (await mallory.submit(username="alice", password=PASSWORD)).url.path == "/consent"
    rig.clock.advance(1)
    assert (await alice.post("/account/password", {**FORM, "end_others": "1"})).status_code == 200
    answer = await mallory.submit(decision="allow")
    assert (answer.status_code, answer.url.path) == (200, "/login")
    assert (await mallory.get("/account")).url.path == "/login"
    assert (await alice.get("/account")).url.path == "/account"


@pytest.mark.parametrize("change", ["a new password", "shut and let in again"])
async def test_A_71_no_sign_in_slips_past_a_change_under_way(rig: Rig, change: str) -> None:
    """The old password was right a moment ago, and its session would begin while the others are ended (ASVS 15.4.2)."""
    alice, thief = rig.browser(), rig.browser()
    await alice.register()
    begun = await thief.get("/login")
    async with transaction(rig.app.state.provider.pool) as conn:
        sub, now = await conn.fetchval("SELECT sub FROM users"), rig.clock() + timedelta(seconds=1)
        if change == "a new password":
            await users.update_password(conn, sub, "another hash", now)
        else:
            await users.disable(conn, sub, now)
        await end_sessions_of(conn, sub, now)
        form = {"username": "alice", "password": PASSWORD}
        sign_in_under_way = asyncio.create_task(thief.http.post(str(begun.url), data=form))
        for _ in range(500):
            if await conn.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                break
            await asyncio.sleep(0.01)
    answer = await sign_in_under_way
    assert "idp_session" not in answer.cookies
    async with transaction(rig.app.state.provider.pool) as conn:
        await users.enable(conn, sub, now)
    for browser in (thief, alice):
        assert (await browser.get("/account")).url.path == "/login"


async def test_A_71_what_has_expired_is_refused_though_it_is_still_there(rig: Rig) -> None:
    """One second after its end and before any clean-up: tokens, a sign-in under way, a session (ASVS 7.3.1)."""
    browser, waiting = rig.browser(), rig.browser()
    await browser.register()
    await waiting.get(authorization())
    await browser.get(authorization())
    code = response_of(await browser.submit(decision="allow"))["code"]
    bearer = {"authorization": f"Bearer {(await exchange(rig, code)).json()['access_token']}"}
    async with rig.browser().http as http:
        rig.clock.advance(timedelta(minutes=10) - timedelta(seconds=1))
        assert (await http.get("/oauth/userinfo", headers=bearer)).status_code == 200
        rig.clock.advance(2)
        assert (await http.get("/oauth/userinfo", headers=bearer)).status_code == 401
    rig.clock.advance(timedelta(minutes=50))
    begun_anew = await waiting.submit(username="alice", password=PASSWORD)
    assert (begun_anew.url.path, 'name="username"' in begun_anew.text) == ("/login", True)
    assert (await waiting.get("/account")).url.path == "/login"
    assert (await browser.get("/account")).url.path == "/login"
    async with rig.app.state.provider.pool.acquire() as conn:
        assert await conn.fetchval("SELECT count(*) FROM sessions") == 1
        assert await conn.fetchval("SELECT count(*) FROM interactions WHERE expires_at <= $1", rig.clock()) >= 1


async def test_7_3_1_an_application_at_work_keeps_no_browser_signed_in(rig: Rig) -> None:
    """It refreshes for hours after its user has gone: its grant goes on, and the browser has to sign in (ASVS 7.3.1).

    The grant has an idle time of its own, and ends with the session's absolute life.
    """
    browser = rig.browser()
    await browser.register()
    await browser.get(authorization())
    tokens = (await exchange(rig, response_of(await browser.submit(decision="allow"))["code"])).json()
    sid = claims_of(tokens["id_token"])["sid"]
    for _ in range(13):
        rig.clock.advance(timedelta(minutes=50))
        tokens = (await refresh(rig, tokens["refresh_token"])).json()
        assert claims_of(tokens["id_token"])["sid"] == sid
        told = await call(rig, "/oauth/introspect", {"token": tokens["refresh_token"]})
        assert told.json()["active"] is True
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await browser.http.get("/oauth/userinfo", headers=bearer)).status_code == 200
    assert response_of(await browser.get(authorization(prompt="none")))["error"] == "login_required"
    assert (await browser.get("/account")).url.path == "/login"
    rig.clock.advance(timedelta(hours=12) - 13 * timedelta(minutes=50))
    assert (await refresh(rig, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await call(rig, "/oauth/introspect", {"token": tokens["refresh_token"]})).json() == {"active": False}


async def test_7_3_1_a_code_outlives_the_idle_time_of_its_session(rig: Rig) -> None:
    """It was issued while the browser was signed in: half a minute later the application has its tokens all the same.

    Who signs in anew sees the app among those that can use the account, and nothing of it after a sign-out everywhere.
    """
    browser, again = rig.browser(), rig.browser()
    await browser.register()
    await browser.get(authorization())
    await browser.submit(decision="allow")
    rig.clock.advance(timedelta(minutes=59, seconds=30))
    async with rig.app.state.provider.pool.acquire() as conn:
        await conn.execute("UPDATE sessions SET seen_at = $1", rig.clock() - timedelta(hours=1) + timedelta(seconds=1))
    code = response_of(await browser.get(authorization(prompt="none")))["code"]
    async with rig.app.state.provider.pool.acquire() as conn:
        await conn.execute("UPDATE sessions SET seen_at = $1", rig.clock() - timedelta(hours=1))
        await conn.execute("DELETE FROM consents")
    tokens = (await exchange(rig, code)).json()
    assert (await browser.get("/account")).url.path == "/login"
    await sign_in(again)
    assert "Example Bank" in (await again.get("/account/apps")).text
    await again.post("/account/sessions/end-others", {})
    assert "Example Bank" not in (await again.get("/account/apps")).text
    assert (await refresh(rig, tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("how", ["a page of ours", "the app", "another account", "a new sign-in", "somebody else"])
async def test_A_70_what_was_granted_ends_with_an_idle_session_too(rig: Rig, how: str) -> None:
    """The browser has nothing to end any more; its sign-out, or its next sign-in, ends what is left (ASVS 7.4.1)."""
    browser, other = rig.browser(), rig.browser()
    await other.register("bob")
    await browser.register()
    await browser.get(authorization())
    tokens = (await exchange(rig, response_of(await browser.submit(decision="allow"))["code"])).json()
    rig.clock.advance(timedelta(hours=2))
    tokens = (await refresh(rig, tokens["refresh_token"])).json()
    if how == "a page of ours":
        await browser.post("/account/sign-out", {})
    elif how == "the app":
        await browser.get("/oauth/logout?" + urlencode({"id_token_hint": tokens["id_token"]}))
    elif how == "another account":
        page = await browser.get(authorization())
        await browser.get(f"/login/other-account?{page.url.query.decode()}")
    else:
        await sign_in(browser, username="alice" if how == "a new sign-in" else "bob")
        assert (await browser.get("/account")).url.path == "/account"
    assert (await refresh(rig, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    async with rig.browser().http as http:
        assert (await http.get("/oauth/userinfo", headers=bearer)).status_code == 401
    async with rig.app.state.provider.pool.acquire() as conn:
        assert await conn.fetchval("SELECT count(*) FROM audit_events WHERE event = 'sign_out'") == 1


async def test_A_70_an_access_token_ends_with_its_session_also_where_its_grant_lives_on(cluster: Cluster) -> None:
    """What was granted for offline use may be refreshed after the sign-out; what comes then names no session (G17)."""
    browser = await cluster.signed_in()
    async with browser.http:
        tokens = (await cluster.exchange(await cluster.code(browser, scope="openid offline_access"))).json()
        assert (await cluster.userinfo(tokens["access_token"])).status_code == 200
        await browser.post("/account/sign-out", {})
    for _ in cluster.workers:
        assert (await cluster.userinfo(tokens["access_token"])).status_code == 401
        assert await cluster.introspect(tokens["access_token"]) == {"active": False}
    renewed = (await cluster.refresh(tokens["refresh_token"])).json()
    assert "sid" in claims_of(tokens["access_token"])
    assert "sid" not in claims_of(renewed["access_token"]) | claims_of(renewed["id_token"])
    assert (await cluster.userinfo(renewed["access_token"])).status_code == 200


async def test_A_70_a_session_ended_from_elsewhere(cluster: Cluster) -> None:
    """One of them, then all others (ASVS 7.4.1, 7.5.2; G17)."""
    here, cookie, tokens = await at_work(cluster)
    elsewhere = [await at_work(cluster) for _ in range(3)]
    offered = re.findall(r"/account/sessions/(\w+)/end\"", (await here.get("/account/sessions")).text)
    assert len(offered) == 3
    await here.post(f"/account/sessions/{offered[0]}/end", {})
    assert [await is_dead(cluster, theirs, tokens_) for _, theirs, tokens_ in elsewhere].count(True) == 1
    await here.post("/account/sessions/end-others", {})
    assert all([await is_dead(cluster, theirs, tokens_) for _, theirs, tokens_ in elsewhere])
    assert not await is_dead(cluster, cookie, tokens)
    for browser in (here, *(one for one, _, _ in elsewhere)):
        await browser.http.aclose()


async def test_A_74_mallory_at_alices_things(cluster: Cluster) -> None:
    """Her authenticator and her session, by every route that takes an id; and by routes that take none (ASVS 8.2.2)."""
    alice, cookie, tokens = await at_work(cluster, "alice")
    mallory, _, _ = await at_work(cluster, "mallory")
    async with cluster.pool.acquire() as conn:
        session_id = await conn.fetchval("SELECT id FROM sessions WHERE sub = $1", sub_of("alice"))
    for path in ("/account/authenticators/app-of-alice/rename", "/account/authenticators/app-of-alice/remove"):
        assert (await mallory.get(path)).status_code == 404
        assert (await mallory.post(path, {"name": "Mine"})).status_code == 404
    refused = await mallory.post(f"/account/sessions/{session_id}/end", {})
    assert (refused.status_code, error_on(refused)) == (404, "not_found")
    for path in ("/account/sessions", "/account/authenticators", "/account"):
        assert not {"app-of-alice", session_id, "alice"} & set(re.findall(r"[\w-]+", (await mallory.get(path)).text))
    named = {"sub": sub_of("alice"), "username": "alice", "session": session_id}
    await mallory.post("/account/sessions/end-others", named)
    await mallory.post("/account/password", {**FORM, **named})
    assert not await is_dead(cluster, cookie, tokens)
    names = re.findall(r"<b dir=\"auto\">([^<]+)</b>", (await alice.get("/account/authenticators")).text)
    assert "App" in names
    fresh = cluster.browser()
    assert 'data-method="totp"' in (await sign_in(fresh)).text, "her password is what it was"
    for browser in (alice, mallory, fresh):
        await browser.http.aclose()


async def test_A_74_new_codes_are_for_oneself(cluster: Cluster) -> None:
    alice, _, _ = await at_work(cluster, "alice")
    mallory, _, _ = await at_work(cluster, "mallory")
    assert len(await make_codes(alice)) == 10
    refused = await mallory.post("/account/recovery-codes", {"sub": sub_of("alice"), "username": "alice"})
    assert refused.status_code == 403
    async with cluster.pool.acquire() as conn:
        owners = await conn.fetch("SELECT sub, count(*) AS many FROM recovery_codes GROUP BY sub")
    assert [(row["sub"], row["many"]) for row in owners] == [(sub_of("alice"), 10)]
    for browser in (alice, mallory):
        await browser.http.aclose()


OWNED = (
    *("users", "totp_credentials", "webauthn_credentials", "recovery_codes", "sessions", "consents", "authorizations"),
    *("known_devices", "user_groups"),
)


async def belongings(cluster: Cluster) -> dict[str, list[str]]:
    """All that is alice's, but for when it was used."""
    async with cluster.pool.acquire() as conn:
        return {
            table: sorted(
                row["kept"]
                for row in await conn.fetch(
                    f"SELECT (to_jsonb(one) - '{{seen_at,last_used_at}}'::text[])::text AS kept FROM {table} AS one "
                    "WHERE sub = $1",
                    sub_of("alice"),
                )
            )
            for table in OWNED
        }


async def test_A_74_alices_things_at_every_address_there_is(cluster: Cluster) -> None:
    """By every route and method, with her ids in the address, the query and the form (ASVS 8.2.1, 8.2.2)."""
    alice, _, tokens = await at_work(cluster, "alice")
    await make_codes(alice)
    assert (await add_passkey(alice, authenticator(cluster.issuer))).url.path == "/account/authenticators"
    now = system_clock()
    async with transaction(cluster.pool) as conn:
        user = await get_user(conn, sub_of("alice"))
        await remember_device(conn, "d" * 43, user, former=None, now=now, life=timedelta(days=1))
        until = now + timedelta(days=1)
        await trust_device(conn, "d" * 43, sub_of("alice"), "trustofalice", until=until, user_agent="")
        await create_group(conn, "staff", "mfa", now=now)
        await add_member(conn, "staff", sub_of("alice"))
        session = await conn.fetchval("SELECT id FROM sessions WHERE sub = $1", sub_of("alice"))
        passkey = await conn.fetchval("SELECT id FROM webauthn_credentials WHERE sub = $1", sub_of("alice"))
    before, ids = await belongings(cluster), ("app-of-alice", session, passkey, "trustofalice", "web", sub_of("alice"))
    assert all(before.values()), "there is something of each kind"
    named = {"sub": sub_of("alice"), "account": sub_of("alice"), "confirmation": "alice", "session": session}
    named |= {"id": passkey, "credential_id": passkey, "client_id": "web", "user": "alice", "password": OTHER_PASSWORD}
    mallory = await cluster.signed_in("mallory", consent=())
    for route in ROUTES:
        # A reset is begun for anybody by anybody, and goes to the owner's own mailbox.
        if not isinstance(route, Route) or route.path == "/recover":
            continue
        places = [re.sub(r"\{\w+(:\w+)?\}", one, route.path) for one in ids] if "{" in route.path else [route.path]
        for place, method in product(places, sorted((route.methods or {"GET"}) & {"GET", "POST"})):
            if "idp_session" not in mallory.http.cookies:
                mallory = await cluster.signed_in("mallory", consent=())
            form = urlencode(named) if method == "POST" else None
            kind = {"content-type": "application/x-www-form-urlencoded"}
            # What a page is asked with it may repeat: what it shows is looked at without that.
            query = f"?{form}" if form else ""
            answer = await mallory.http.request(method, place + query, content=form, headers=kind)
            if "{id}" in route.path or "{client_id}" in route.path:
                assert answer.status_code in {404, 303 if "trusted" in place else 404}, (method, place)
            shown = set(re.findall(r"[\w-]+", answer.text)) if method == "GET" and answer.status_code == 200 else set()
            assert not shown & {"app-of-alice", session, passkey, "trustofalice", "alice@example"}, place
    assert await belongings(cluster) == before
    assert not await is_dead(cluster, alice.http.cookies["idp_session"], tokens)
    for path in ("/admin", "/api/users", "/users", "/account/users", "/oauth/clients", f"/users/{sub_of('alice')}"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert (await mallory.http.request(method, path)).status_code == 404, path
    for browser in (alice, mallory):
        await browser.http.aclose()
