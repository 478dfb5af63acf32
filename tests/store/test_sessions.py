"""Where somebody is signed in, without going through where they have been."""

from datetime import timedelta

from idp.store.database import Connection
from idp.store.sessions import count_live, list_live
from tests.doubles import START
from tests.plans import rows_read

IDLE = timedelta(hours=1)


async def test_A_64_sessions_that_ended_are_not_gone_through(conn: Connection) -> None:
    """Three live ones of 1,000 are counted and listed, the one used last first."""
    await conn.execute(
        """
        INSERT INTO users (sub, username, username_canonical, created_at, updated_at)
        SELECT 'u' || n, 'u' || n, 'u' || n, $1::timestamptz, $1 FROM generate_series(1, 2) AS n
        """,
        START,
    )
    await conn.execute(
        """
        INSERT INTO sessions (id, secret_hash, sub, evidence, created_at, seen_at, expires_at, ended_at)
        SELECT n, sha256(n::text::bytea), 'u' || n / 1001 + 1, '[]', $1::timestamptz,
            $1::timestamptz - n * interval '1 second', $1::timestamptz + interval '1 day',
            CASE WHEN n % 1000 > 3 THEN $1::timestamptz END
        FROM generate_series(1, 2000) AS n
        """,
        START,
    )
    await conn.execute("ANALYZE")
    live = await list_live(conn, "u1", now=START, idle=IDLE)
    assert [one.id for one in live] == ["1", "2", "3", "1000"]
    assert [one.id for one in await list_live(conn, "u1", now=START, idle=IDLE, limit=2)] == ["1", "2"]
    assert await count_live(conn, "u1", now=START, idle=IDLE) == 4
    assert await count_live(conn, "u1", now=START, idle=IDLE, id_="3") == 1
    for nobodys in ("4", "1001", "nothing"):
        assert await count_live(conn, "u1", now=START, idle=IDLE, id_=nobodys) == 0
    for work in (count_live, list_live):
        reading = await rows_read(conn, lambda work=work: work(conn, "u1", now=START, idle=IDLE))  # type: ignore[misc]
        assert reading["sessions"].rows <= 10, work


async def test_sessions_that_are_over_are_not_counted(conn: Connection) -> None:
    await conn.execute(
        "INSERT INTO users (sub, username, username_canonical, created_at, updated_at) VALUES ('u', 'u', 'u', $1, $1)",
        START,
    )
    for name, seen, expires in (("idle", -60, 1), ("over", 0, 0), ("live", -59, 1)):
        await conn.execute(
            """
            INSERT INTO sessions (id, secret_hash, sub, evidence, created_at, seen_at, expires_at)
            VALUES ($1, sha256($1::text::bytea), 'u', '[]', $2, $3, $4)
            """,
            name,
            START,
            START + timedelta(minutes=seen),
            START + timedelta(minutes=expires),
        )
    assert await count_live(conn, "u", now=START, idle=IDLE) == 1
    assert [one.id for one in await list_live(conn, "u", now=START, idle=IDLE)] == ["live"]
