import contextlib
from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import pytest

from idp.base.clock import system_clock
from idp.base.seal import MasterKey
from idp.model.event import Event
from idp.store.audit_events import delete_expired, list_activity, list_events, record_event
from idp.store.database import Connection, Pool, transaction
from tests.doubles import START
from tests.plans import rows_read

MASTER = MasterKey(bytes(range(32)))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHOLE = Event(
    "sign_in",
    "user",
    AT,
    sub="sub-of-alice",
    client_id="web",
    session_id="s1",
    address="2001:db8::1",
    request_id="r1",
    details={"acr": "mfa", "amr": ["pwd", "otp"], "steps": 2},
)


async def test_16_2_1_an_event_is_kept_whole(conn: Connection) -> None:
    """ASVS 16.2.1, 16.2.2: when, in UTC, who, what, and from where."""
    await record_event(conn, WHOLE)
    [kept] = await list_events(conn)
    assert kept.id is not None
    assert {name: getattr(kept, name) for name in Event.__slots__ if name != "id"} == {
        name: getattr(WHOLE, name) for name in Event.__slots__ if name != "id"
    }
    assert kept.at.utcoffset() == timedelta()


async def test_16_2_2_a_time_of_another_zone_comes_back_in_utc(conn: Connection) -> None:
    await record_event(conn, Event("sign_in", "user", AT.astimezone(timezone(timedelta(hours=5, minutes=45)))))
    [kept] = await list_events(conn)
    assert (kept.at, kept.at.utcoffset()) == (AT, timedelta())


async def test_the_newest_come_last(conn: Connection) -> None:
    for number in range(5):
        await record_event(conn, Event(f"e{number}", "system", AT, sub=f"s{number % 2}"))
    names = [event.event for event in await list_events(conn, limit=3)]
    assert names == ["e2", "e3", "e4"]
    assert [event.event for event in await list_events(conn, sub="s1")] == ["e1", "e3"]
    [first, *_] = await list_events(conn)
    assert first.id is not None
    assert len(await list_events(conn, after=first.id)) == 4


async def test_an_act_undone_leaves_no_row(pool: Pool) -> None:
    with contextlib.suppress(RuntimeError):
        async with transaction(pool) as conn:
            await record_event(conn, WHOLE)
            raise RuntimeError("the act fails after all")
    async with transaction(pool) as conn:
        assert await list_events(conn) == ()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET event = 'nothing'",
        "UPDATE audit_events SET at = at - interval '1 year'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "INSERT INTO audit_events (id, at, event, actor) VALUES (1, now(), 'forged', 'user')",
    ],
)
async def test_16_4_2_the_database_lets_nobody_alter_the_trail(pool: Pool, statement: str) -> None:
    """ASVS 16.4.2: not even who owns the table, as here; and a place in the trail cannot be chosen."""
    async with transaction(pool) as conn:
        await record_event(conn, Event("sign_in", "user", system_clock()))
    with pytest.raises((asyncpg.RaiseError, asyncpg.GeneratedAlwaysError)):
        async with transaction(pool) as conn:
            await conn.execute(statement)
    async with transaction(pool) as conn:
        assert [event.event for event in await list_events(conn)] == ["sign_in"]


async def test_16_4_2_only_old_events_can_be_forgotten(pool: Pool) -> None:
    """ASVS 16.4.2: what asks for too much of that is refused, and forgets nothing."""
    now = system_clock()
    async with transaction(pool) as conn:
        for days in (500, 100, 79, 10):
            await record_event(conn, Event(f"{days} days ago", "user", now - timedelta(days=days)))
        await delete_expired(conn, MASTER, now=now, keep=timedelta(days=400))
        assert [event.event for event in await list_events(conn)] == ["100 days ago", "79 days ago", "10 days ago"]
    with pytest.raises(asyncpg.RaiseError):
        async with transaction(pool) as conn:
            await delete_expired(conn, MASTER, now=now, keep=timedelta(days=20))
    async with transaction(pool) as conn:
        assert len(await list_events(conn)) == 3


async def test_A_64_activity_goes_back_no_further_than_it_is_asked_to(conn: Connection) -> None:
    """Of 3,000 events of a year, those of 90 days are read; one of a clock that was behind hides no other."""
    await conn.execute(
        """
        INSERT INTO audit_events (at, event, actor, sub)
        SELECT $1::timestamptz - (3000 - n) * interval '3 hours', CASE WHEN n % 50 = 0 THEN 'sign_in' ELSE 'x' END,
            'user', CASE WHEN n % 2 = 0 THEN 'alice' ELSE 'u' || n END
        FROM generate_series(1, 3000) AS n
        """,
        START,
    )
    await record_event(conn, Event("sign_in", "user", START - timedelta(days=89), sub="alice"))
    await conn.execute("ANALYZE audit_events")

    async def ask() -> list[timedelta]:
        acts = await list_activity(
            conn, "alice", since=START - timedelta(days=90), events={"sign_in"}, before=None, limit=51
        )
        return [START - one.event.at for one in acts]

    every = timedelta(hours=150)
    assert await ask() == [timedelta(days=89), *(every * number for number in range(15))]
    reading = await rows_read(conn, ask)
    assert reading["audit_events"].rows < 720 / 2 + 110
