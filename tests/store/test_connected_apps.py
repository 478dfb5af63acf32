"""Who has been let in, and that it does not cost more with all that a person has ever done."""

from datetime import timedelta

import pytest

from idp.model.authorization import ConnectedApp
from idp.store.connected_apps import count_apps, list_apps
from idp.store.database import Connection
from idp.store.refresh_tokens import create_refresh_token
from tests.doubles import START
from tests.plans import rows_read

DAY = timedelta(days=1)
MANY = 850

PEOPLE = """
INSERT INTO users (sub, username, username_canonical, created_at, updated_at)
SELECT s, s, s, $1::timestamptz, $1 FROM unnest(ARRAY['alice', 'bob']) AS s
UNION ALL SELECT 'u' || n, 'u' || n, 'u' || n, $1, $1 FROM generate_series(1, 500) AS n
"""
CLIENTS = """
INSERT INTO clients (client_id, client_name, token_endpoint_auth_method, redirect_uris, grant_types, scope,
    post_logout_redirect_uris, id_token_signed_response_alg, created_at)
SELECT 'c' || n, 'C' || n, 'none', ARRAY['https://c' || n || '.test/'], '{}', '{}', '{}', 'RS256', $1::timestamptz
FROM generate_series(1, 9) AS n
"""
GIVE = """
INSERT INTO authorizations (id, sub, client_id, session_id, scope, claims, acr, amr, auth_time, created_at, revoked_at)
VALUES ($1, $2, $3, $4, $5, '{}', '1fa', '{}', $6::timestamptz, $6, $7)
"""


@pytest.fixture(autouse=True)
async def people(conn: Connection) -> None:
    await conn.execute(PEOPLE, START)
    await conn.execute(CLIENTS, START)
    for name, ended, expires in (("open", None, START + DAY), ("ended", START, START + DAY), ("over", None, START)):
        await conn.execute(
            """
            INSERT INTO sessions (id, secret_hash, sub, evidence, created_at, seen_at, expires_at, ended_at)
            VALUES ($1, sha256($1::text::bytea), 'alice', '[]', $2, $3, $4, $5)
            """,
            name,
            START - DAY,
            START - DAY,
            expires,
            ended,
        )


async def give(
    conn: Connection,
    client_id: str,
    scope: str,
    *,
    session: str | None = "open",
    sub: str = "alice",
    age: timedelta = DAY,
    revoked: bool = False,
) -> str:
    """An authorization; answers its id."""
    id_ = f"{sub} {client_id} {scope} {session} {age}"
    await conn.execute(GIVE, id_, sub, client_id, session, scope.split(), START - age, START if revoked else None)
    return id_


async def consent(conn: Connection, client_id: str, scope: str, *, sub: str = "alice") -> None:
    await conn.execute("INSERT INTO consents VALUES ($1, $2, $3, $4)", sub, client_id, scope.split(), START)


async def apps_of(conn: Connection, sub: str = "alice") -> list[ConnectedApp]:
    found = await list_apps(conn, sub, now=START)
    assert await count_apps(conn, sub, now=START) == len(found)
    return list(found)


async def test_those_with_a_consent_or_a_living_authorization_are_listed(conn: Connection) -> None:
    assert await apps_of(conn) == []
    await give(conn, "c1", "openid")
    await give(conn, "c2", "openid", session="ended")
    await give(conn, "c3", "openid", session="over")
    await give(conn, "c4", "openid", session=None)
    await give(conn, "c5", "offline_access openid", session=None)
    await give(conn, "c6", "offline_access openid", revoked=True)
    await consent(conn, "c7", "openid")
    await give(conn, "c8", "openid", sub="bob")
    await consent(conn, "c9", "openid", sub="bob")
    assert [app.client_id for app in await apps_of(conn)] == ["c1", "c5", "c7"]
    assert [app.client_id for app in await apps_of(conn, "bob")] == ["c9"]


async def test_an_app_is_listed_once_with_all_that_it_may(conn: Connection) -> None:
    """Since the first that holds, last used by anything that was not taken back."""
    await give(conn, "c1", "openid", session="ended", age=9 * DAY)
    await give(conn, "c1", "openid profile", age=3 * DAY)
    await give(conn, "c1", "openid email", age=2 * DAY)
    await give(conn, "c1", "phone", revoked=True)
    dead = await give(conn, "c1", "address", session="over", age=8 * DAY)
    await consent(conn, "c1", "api openid")
    await create_refresh_token(conn, "r", dead, "c1", now=START - timedelta(hours=5), expires_at=START)
    [app] = await apps_of(conn)
    assert app.scope == ("api", "email", "openid", "profile")
    assert (app.since, app.last_used_at) == (START - 3 * DAY, START - timedelta(hours=5))
    assert (app.name, app.redirect_uris) == ("C1", ("https://c1.test/",))


async def test_an_app_that_may_nothing_is_listed_too(conn: Connection) -> None:
    await consent(conn, "c1", "")
    [app] = await apps_of(conn)
    assert (app.scope, app.since, app.last_used_at) == ((), START, None)


async def test_the_last_use_is_kept_at_most_once_a_minute(conn: Connection) -> None:
    """What is kept with every token would be a second row written for each of them."""
    id_ = await give(conn, "c1", "openid offline_access")
    used = []
    for number, seconds in enumerate((0, 59, 60, 61, 200)):
        now = START + timedelta(seconds=seconds)
        await create_refresh_token(conn, f"r{number}", id_, "c1", now=now, expires_at=now + DAY)
        used.append(await conn.fetchval("SELECT last_used_at FROM authorizations"))
    assert [(at - START).total_seconds() for at in used] == [0, 0, 0, 61, 200]


async def test_A_64_a_long_past_is_not_gone_through(conn: Connection) -> None:
    """850 authorizations of eight clients: counting reads some rows of each client, the list each of them once."""
    await conn.execute(
        """
        INSERT INTO authorizations (id, sub, client_id, session_id, scope, claims, acr, amr, auth_time, created_at)
        SELECT 'a' || n, 'alice', 'c' || n % 8 + 1, 'open', '{openid,offline_access}', '{}', '1fa', '{}',
            $1::timestamptz, $1::timestamptz - n * interval '1 hour'
        FROM generate_series(1, 850) AS n
        """,
        START,
    )
    await conn.execute(
        """
        INSERT INTO authorizations (id, sub, client_id, scope, claims, acr, amr, auth_time, created_at)
        SELECT 'b' || n, 'u' || n % 500 + 1, 'c9', '{openid}', '{}', '1fa', '{}', $1::timestamptz, $1
        FROM generate_series(1, 2000) AS n
        """,
        START,
    )
    await conn.execute(
        """
        INSERT INTO refresh_tokens (token_hash, authorization_id, client_id, issued_at, expires_at)
        SELECT sha256(('r' || n)::bytea), 'a' || n % 850 + 1, 'c1', $1::timestamptz, $1
        FROM generate_series(1, 3000) AS n
        """,
        START,
    )
    await consent(conn, "c1", "openid")
    await conn.execute("ANALYZE")
    assert len(await apps_of(conn)) == 8
    counting = await rows_read(conn, lambda: count_apps(conn, "alice", now=START))
    assert sum(read.rows for read in counting.values()) < 60, counting
    listing = await rows_read(conn, lambda: list_apps(conn, "alice", now=START))
    assert listing["authorizations"].rows == MANY
    assert listing["refresh_tokens"].rows == 0
    assert sum(read.rows for read in listing.values()) < MANY + 60, listing
