"""A-14, A-16 to A-18: refresh tokens. A-15, the race, is in journeys/test_races.py."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from idp.base.clock import system_clock
from idp.store import clients
from idp.store.database import transaction
from tests import driver
from tests.cluster import Cluster, answer_of, authorization, error_of, is_error_page, sub_of, totp_code
from tests.driver import PASSWORD, Rig, claims_of, running


async def test_A_14_refresh_reuse(cluster: Cluster) -> None:
    """The whole family dies, and the audit trail tells (ASVS 10.4.5; G3)."""
    oldest = (await cluster.tokens(client_id="spa"))["refresh_token"]
    newer = (await cluster.refresh(oldest, "spa")).json()["refresh_token"]
    newest = (await cluster.refresh(newer, "spa")).json()
    assert len({oldest, newer, newest["refresh_token"]}) == 3
    before = await cluster.last_event()
    assert error_of(await cluster.refresh(oldest, "spa")) == (400, "invalid_grant")
    assert error_of(await cluster.refresh(newest["refresh_token"], "spa")) == (400, "invalid_grant")
    assert (await cluster.userinfo(newest["access_token"])).status_code == 401
    told = [event for event in await cluster.events(before) if event.event == "authorization_revoked"]
    assert [(event.sub, event.client_id, event.details["reason"]) for event in told] == [
        (sub_of("bob"), "spa", "the refresh token was used again")
    ]


async def test_A_14_a_narrowed_replay_is_a_replay(cluster: Cluster) -> None:
    """Neither a narrower nor a wider scope hides it (ASVS 10.4.5)."""
    for scope in ("openid", "openid email"):
        old = (await cluster.tokens())["refresh_token"]
        new = (await cluster.refresh(old)).json()["refresh_token"]
        assert (await cluster.refresh(old, scope=scope)).status_code == 400
        assert error_of(await cluster.refresh(new)) == (400, "invalid_grant"), scope


async def test_A_14_a_late_replay_is_a_replay(rig: Rig) -> None:
    """Also of a token that would have expired meanwhile; in this process because of the clock (ASVS 10.4.5)."""
    old = await first(rig)
    rig.clock.advance(timedelta(days=4))
    new = await refreshed(rig, old)
    assert new is not None
    rig.clock.advance(timedelta(days=4))
    assert await refreshed(rig, old) is None
    assert await refreshed(rig, new) is None


async def test_A_16_a_restart_forgets_nothing(cluster: Cluster) -> None:
    """Neither of the servers nor of the database (F13)."""
    old = (await cluster.tokens())["refresh_token"]
    new = (await cluster.refresh(old)).json()["refresh_token"]
    other_old = (await cluster.tokens())["refresh_token"]
    assert (await cluster.refresh(other_old)).status_code == 200
    await cluster.restart(database=True)
    assert error_of(await cluster.refresh(other_old)) == (400, "invalid_grant")
    assert (await cluster.refresh(new)).status_code == 200, "and what was not used is still good"


async def test_A_17_disabled_user(cluster: Cluster) -> None:
    """The mark on the account alone ends everything at once, on both servers (ASVS 7.4.2; G17)."""
    browser = await cluster.signed_in("alice")
    tokens = (await cluster.exchange(await cluster.code(browser))).json()
    codes = [await cluster.code(browser) for _ in cluster.workers]
    assert (await cluster.introspect(tokens["access_token"]))["active"] is True
    async with transaction(cluster.pool) as conn:
        await conn.execute("UPDATE users SET disabled_at = $2 WHERE sub = $1", sub_of("alice"), system_clock())
    for code in codes:
        assert error_of(await cluster.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
        assert await cluster.introspect(tokens["access_token"]) == {"active": False}
        assert await cluster.introspect(tokens["refresh_token"]) == {"active": False}
        assert (await cluster.userinfo(tokens["access_token"])).status_code == 401
        assert error_of(await cluster.exchange(code)) == (400, "invalid_grant")
        for address in ("/account", authorization()):
            page = await browser.get(address)
            assert (page.status_code, 'id="username"' in page.text) == (200, True), address
    # What has become of the account is told after a right password and not before.
    for password, error in (("not her password", "wrong_credentials"), (PASSWORD, "account_unavailable")):
        refused = await browser.submit(username="alice", password=password)
        assert (refused.status_code, f'data-error="{error}"' in refused.text) == (400, True), refused.text
    await browser.http.aclose()


async def test_A_17_disabling_outlasts_a_return(cluster: Cluster) -> None:
    """Who is enabled again gets in anew; what was out before stays dead (ASVS 7.4.2)."""
    browser = await cluster.signed_in("alice")
    tokens = (await cluster.exchange(await cluster.code(browser))).json()
    for command in ("disable", "enable"):
        await cluster.command("user", command, "alice")
    page = await browser.get(authorization())
    assert (page.status_code, 'id="username"' in page.text) == (200, True)
    await browser.submit(username="alice", password=PASSWORD)
    assert answer_of(await browser.submit(code=totp_code()))["code"]
    assert error_of(await cluster.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    await browser.http.aclose()


@pytest.mark.parametrize("client_id", ["spa", "web"])
async def test_A_17_disabled_client(cluster: Cluster, client_id: str) -> None:
    """What a client holds is dead on both servers with the mark on the client, and a code of it too (G17)."""
    browser = await cluster.signed_in()
    async with browser.http:
        tokens = (await cluster.exchange(await cluster.code(browser, client_id), client_id)).json()
        code = await cluster.code(browser, client_id)
        await mark_client(cluster, client_id, system_clock())
        for _ in cluster.workers:
            assert (await cluster.userinfo(tokens["access_token"])).status_code == 401
            assert error_of(await cluster.refresh(tokens["refresh_token"], client_id)) == (401, "invalid_client")
            assert error_of(await cluster.exchange(code, client_id)) == (401, "invalid_client")
            assert is_error_page(await browser.http.get(authorization(client_id)))
        await mark_client(cluster, client_id, None)
    assert (await cluster.userinfo(tokens["access_token"])).status_code == 200


async def mark_client(cluster: Cluster, client_id: str, disabled_at: datetime | None) -> None:
    """Disable the client, or enable it."""
    async with transaction(cluster.pool) as conn:
        await clients.set_disabled(conn, client_id, disabled_at)


async def test_A_18_wrong_holder_and_wider_scope(cluster: Cluster) -> None:
    """Neither hurts the holder (ASVS 10.4.11)."""
    token = (await cluster.tokens(client_id="spa"))["refresh_token"]
    assert error_of(await cluster.refresh(token, "web")) == (400, "invalid_grant")
    assert error_of(await cluster.refresh(token, "native")) == (400, "invalid_grant")
    for scope in ("openid profile offline_access email", "openid api", "openid profile offline_access admin"):
        assert error_of(await cluster.refresh(token, "spa", scope=scope)) == (400, "invalid_scope")
    narrow = (await cluster.refresh(token, "spa", scope="openid")).json()
    assert narrow["scope"] == "openid"


async def test_A_18_a_client_gets_the_scopes_it_is_registered_for(cluster: Cluster) -> None:
    """(ASVS 10.4.11)"""
    tokens = await cluster.tokens(client_id="spa", scope="openid api address admin", prompt=None)
    assert tokens["scope"] == "openid"
    for scope in ("api openid", "openid", "admin"):
        answer = await cluster.post("/oauth/token", "m2m", grant_type="client_credentials", scope=scope)
        assert error_of(answer) == (400, "invalid_scope")


async def test_A_18_a_client_keeps_no_scope_that_it_has_lost(cluster: Cluster) -> None:
    """What was granted before is worth no more than what the client is registered for now (ASVS 8.3.2, 10.4.11; G17).

    Claims that were asked for by name go with the scope that opens them.
    """
    async with transaction(cluster.pool) as conn:
        await conn.execute("UPDATE users SET email = 'bob@mail.test' WHERE sub = $1", sub_of("bob"))
    browser = await cluster.signed_in(consent=())
    claims = '{"userinfo":{"email":null},"id_token":{"email":null}}'
    async with browser.http:
        await browser.get(authorization(scope="openid profile offline_access api", claims=claims))
        code = answer_of(await browser.submit(decision="allow"))["code"]
        tokens = (await cluster.exchange(code)).json()
        other_code = await cluster.code(browser, scope="openid email")
    assert claims_of(tokens["id_token"])["email"] == "bob@mail.test"
    assert (await cluster.userinfo(tokens["access_token"])).json()["email"] == "bob@mail.test"
    await narrow(cluster, "openid", "offline_access")
    for _ in cluster.workers:
        told = await cluster.introspect(tokens["access_token"])
        assert (told["active"], told["scope"]) == (True, "openid offline_access")
        assert (await cluster.introspect(tokens["refresh_token"]))["scope"] == "openid offline_access"
        assert (await cluster.userinfo(tokens["access_token"])).json() == {"sub": sub_of("bob")}
    assert error_of(await cluster.refresh(tokens["refresh_token"], scope="openid api")) == (400, "invalid_scope")
    new = (await cluster.refresh(tokens["refresh_token"])).json()
    assert (new["scope"], claims_of(new["access_token"])["scope"]) == ("openid offline_access",) * 2
    assert "email" not in claims_of(new["id_token"])
    assert (await cluster.exchange(other_code)).json()["scope"] == "openid"
    await narrow(cluster, "phone")
    assert await cluster.introspect(new["access_token"]) == {"active": False}
    assert error_of(await cluster.refresh(new["refresh_token"])) == (400, "invalid_grant")


async def test_A_18_a_client_of_its_own_keeps_no_scope_either(cluster: Cluster) -> None:
    """(ASVS 8.3.2)"""
    token = (await cluster.post("/oauth/token", grant_type="client_credentials", scope="api")).json()["access_token"]
    assert (await cluster.introspect(token))["scope"] == "api"
    await narrow(cluster, "openid")
    assert await cluster.introspect(token) == {"active": False}


async def narrow(cluster: Cluster, *scope: str) -> None:
    """Leave these scopes to `web`, as an update of the client would."""
    async with transaction(cluster.pool) as conn:
        await clients.update(conn, replace(await clients.lock_client(conn, "web"), scope=scope))


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_A_18_revocation(cluster: Cluster, kind: str) -> None:
    """Another's token: 200 and no effect; one's own: 200 and the family is dead (ASVS 10.4.10)."""
    tokens = await cluster.tokens(client_id="spa")
    assert (await cluster.post("/oauth/revoke", "web", token=tokens[kind])).status_code == 200
    tokens |= (await cluster.refresh(tokens["refresh_token"], "spa")).json()
    assert (await cluster.userinfo(tokens["access_token"])).status_code == 200
    before = await cluster.last_event()
    assert (await cluster.post("/oauth/revoke", "spa", token=tokens[kind])).status_code == 200
    for _ in cluster.workers:
        assert (await cluster.userinfo(tokens["access_token"])).status_code == 401
    assert error_of(await cluster.refresh(tokens["refresh_token"], "spa")) == (400, "invalid_grant")
    assert "authorization_revoked" in [event.event for event in await cluster.events(before)]


async def test_A_18_revocation_without_the_database(cluster: Cluster) -> None:
    """Not a word of success (F4)."""
    token = (await cluster.tokens(client_id="spa"))["refresh_token"]
    form = {"token": token, "client_id": "spa"}
    cluster.postgres.stop()
    try:
        async with cluster.http(faults=True) as http:
            answers = [await http.post("/oauth/revoke", data=form) for _ in cluster.workers]
    finally:
        # In this thread, the main one, with which the database ends.
        cluster.postgres.start()
    assert [(answer.status_code, "retry-after" in answer.headers) for answer in answers] == [(503, True)] * 2
    assert (await cluster.refresh(token, "spa")).status_code == 200


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found


async def refreshed(rig: Rig, token: str) -> str | None:
    """The successor of a refresh token, or None where it is refused."""
    answer = await driver.call(rig, "/oauth/token", {"grant_type": "refresh_token", "refresh_token": token})
    found: str | None = answer.json().get("refresh_token")
    return found


async def first(rig: Rig) -> str:
    """The first refresh token of a grant for offline use."""
    browser = rig.browser()
    await browser.get(driver.authorization(prompt="create", scope="openid offline_access"))
    await browser.register()
    code = driver.response_of(await browser.submit(decision="allow"))["code"]
    return str((await driver.exchange(rig, code)).json()["refresh_token"])


async def test_10_4_8_a_grant_ends_however_often_it_is_refreshed(rig: Rig) -> None:
    """In this process because of the clock: 30 days in all (G3)."""
    token: str | None = await first(rig)
    for _ in range(5):
        rig.clock.advance(timedelta(days=6) - timedelta(seconds=1))
        assert token is not None
        token = await refreshed(rig, token)
    assert token is not None
    rig.clock.advance(5)
    assert await refreshed(rig, token) is None


async def test_G3_an_idle_refresh_token_ends(rig: Rig) -> None:
    """In this process because of the clock: seven days."""
    token = await first(rig)
    rig.clock.advance(timedelta(days=7))
    assert await refreshed(rig, token) is None
