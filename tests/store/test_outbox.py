"""The outbox: kept with its change, given to one sender at a time, forgotten when it is over."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from idp.model.message import Message
from idp.store.database import Connection, Pool, Row, open_pool, transaction
from idp.store.outbox import claim_due, delete_expired, drop_late, record_failure, record_sent
from tests.doubles import START
from tests.notify.gateways import MASTER, keep, message

LEASE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


async def claim(conn: Connection, now: datetime = START, **given: Any) -> tuple[Message, ...]:
    return await claim_due(
        conn, **{"channel": "mail", "now": now, "master": MASTER, "limit": 10, "lease": LEASE, **given}
    )


async def row_of(conn: Connection, message_id: str = "m1") -> Row:
    row = await conn.fetchrow(
        """SELECT sealed_text, fault, attempts, next_attempt_at, sent_at, failed_at FROM outbox WHERE id = $1""",
        message_id,
    )
    assert row is not None
    return row


async def test_what_is_kept_comes_back_with_its_attempt(conn: Connection) -> None:
    await keep(conn, message())
    assert await claim(conn) == (replace(message(), attempts=1),)


async def test_A_75_what_a_message_says_rests_sealed(conn: Connection) -> None:
    """A reader of the table, or of a copy of it, has no link and no code."""
    await keep(conn, message(text="https://id.test/recover/password?link=secret"))
    everything = await conn.fetchval("SELECT outbox::text FROM outbox")
    assert "secret" not in everything
    assert b"secret".hex() not in everything


async def test_F23_a_message_that_does_not_open_is_given_up_and_holds_up_no_other(
    conn: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("m1", "m2"):
        await keep(conn, message(id=name))
    await conn.execute("UPDATE outbox SET sealed_text = (SELECT sealed_text FROM outbox WHERE id = 'm2')")
    assert [one.id for one in await claim(conn)] == ["m2"]
    row = await row_of(conn)
    assert (row["failed_at"], row["fault"], row["sealed_text"]) == (START, "cannot be unsealed", None)
    assert "m1 (password_changed) cannot be unsealed" in caplog.text
    caplog.clear()


async def test_a_change_that_is_undone_leaves_no_notice(pool: Pool) -> None:
    with contextlib.suppress(LookupError):
        async with transaction(pool) as conn:
            await keep(conn, message())
            raise LookupError
    async with transaction(pool) as conn:
        assert await claim(conn) == ()


async def test_each_message_goes_to_one_of_eight_senders(database: str) -> None:
    pool = await open_pool(database, min_size=8)
    async with transaction(pool) as conn:
        for number in range(100):
            await keep(conn, message(id=f"m{number}"))
    taken: list[str] = []

    async def sender() -> None:
        while True:
            async with transaction(pool) as conn:
                mine = await claim(conn, limit=3)
                # Held for a moment, so that the others meet the locks.
                await asyncio.sleep(0.005)
            if not mine:
                return
            taken.extend(one.id for one in mine)

    await asyncio.gather(*(sender() for _ in range(8)))
    assert sorted(taken) == sorted(f"m{number}" for number in range(100))
    await pool.close()


async def test_a_locked_message_keeps_nobody_waiting(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await keep(conn, message())
        await keep(conn, message(id="m2", created_at=START))
    async with transaction(pool) as first, transaction(pool) as second:
        assert len(await claim(first, limit=1)) == 1
        assert len(await claim(second)) == 1


async def test_a_channel_has_its_own(conn: Connection) -> None:
    await keep(conn, message(channel="sms", recipient="+447700900123", subject=""))
    assert await claim(conn) == ()
    assert len(await claim(conn, channel="sms")) == 1


async def test_the_oldest_come_first(conn: Connection) -> None:
    for number in (2, 1, 3):
        await keep(conn, message(id=f"m{number}", created_at=START + number * SECOND))
    assert [one.id for one in await claim(conn, START + 3 * SECOND, limit=2)] == ["m1", "m2"]


async def test_a_message_of_a_sender_that_died_comes_again_ever_more_slowly(conn: Connection) -> None:
    await keep(conn, message(not_after=START + timedelta(days=1)))
    now, waits, claimed = START, [], 0
    while now < START + timedelta(days=1):
        claimed += len(await claim(conn, now))
        again = (await row_of(conn))["next_attempt_at"]
        assert await claim(conn, again - SECOND) == (), "leased"
        waits.append(again - now)
        now = again
    assert waits[:4] == [LEASE, 2 * LEASE, 4 * LEASE, 8 * LEASE]
    assert max(waits) == 64 * LEASE
    assert claimed == len(waits) < 30


async def test_F15_a_text_message_of_a_sender_that_died_does_not_come_again(conn: Connection) -> None:
    """It may have gone out before that; a code that is asked for again is another message."""
    await keep(conn, message(channel="sms", recipient="+447700900123"))
    taken = [
        await claim_due(conn, "sms", START + hours * timedelta(hours=1), MASTER, limit=9, lease=LEASE)
        for hours in (0, 9)
    ]
    assert [len(one) for one in taken] == [1, 0]


async def test_what_was_sent_is_over_and_its_text_forgotten(conn: Connection) -> None:
    await keep(conn, message())
    await claim(conn)
    await record_sent(conn, "m1", START)
    await record_failure(conn, "m1", "late", START, next_attempt_at=START)
    row = await row_of(conn)
    assert (row["sent_at"], row["failed_at"], row["sealed_text"], row["fault"]) == (START, None, None, None)
    assert await claim(conn, START + timedelta(hours=1)) == ()


async def test_a_failure_is_tried_again_at_its_time(conn: Connection) -> None:
    await keep(conn, message())
    await claim(conn)
    await record_failure(conn, "m1", "no answer", START, next_attempt_at=START + 5 * SECOND)
    assert await claim(conn, START + 4 * SECOND) == ()
    [again] = await claim(conn, START + 5 * SECOND)
    assert (again.attempts, again.text) == (2, message().text)
    assert (await row_of(conn))["fault"] == "no answer"


async def test_a_message_given_up_is_over_and_its_text_forgotten(conn: Connection) -> None:
    await keep(conn, message())
    await claim(conn)
    await record_failure(conn, "m1", "no such mailbox", START, next_attempt_at=None)
    await record_sent(conn, "m1", START + SECOND)
    row = await row_of(conn)
    assert (row["sent_at"], row["failed_at"], row["sealed_text"]) == (None, START, None)
    assert await claim(conn, START + timedelta(hours=1)) == ()


async def test_F15_what_is_older_than_its_use_is_dropped(conn: Connection) -> None:
    await keep(conn, message(not_after=START + 10 * SECOND))
    assert await claim(conn, START + 10 * SECOND) == ()
    assert await drop_late(conn, "mail", START + 9 * SECOND) == 0
    assert await drop_late(conn, "sms", START + 10 * SECOND) == 0
    assert await drop_late(conn, "mail", START + 10 * SECOND) == 1
    assert await drop_late(conn, "mail", START + 10 * SECOND) == 0
    row = await row_of(conn)
    assert (row["failed_at"], row["sealed_text"]) == (START + 10 * SECOND, None)


@pytest.mark.parametrize("end", ["sent", "given up", "never tried"])
async def test_messages_are_forgotten_a_while_after_their_end(conn: Connection, end: str) -> None:
    day = timedelta(days=1)
    await keep(conn, message(not_after=START))
    if end == "sent":
        await record_sent(conn, "m1", START)
    elif end == "given up":
        await record_failure(conn, "m1", "x", START, next_attempt_at=None)
    await delete_expired(conn, now=START + day - SECOND, keep=day)
    assert await conn.fetchval("SELECT count(*) FROM outbox") == 1
    await delete_expired(conn, now=START + day, keep=day)
    assert await conn.fetchval("SELECT count(*) FROM outbox") == 0


async def test_what_a_message_says_shows_in_no_representation() -> None:
    assert "alice" not in repr(message())
    assert "password was" not in repr(message())
