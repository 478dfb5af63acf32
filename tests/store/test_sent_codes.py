"""Codes that were sent: one live one in each flow, taken once, dead after five misses, and counted where they went."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from idp.model.sent_code import Sendings, SentCode, Tried
from idp.model.user import User
from idp.store.database import Connection, Pool, open_pool, transaction
from idp.store.sent_codes import (
    MOST_MISSES,
    consume_code,
    create_code,
    create_stand_in,
    delete_expired,
    find_recipient,
    lock_sendings,
    revoke_codes,
)
from idp.store.users import create
from tests.doubles import START

LIFE = timedelta(minutes=10)
SECOND = timedelta(seconds=1)
NUMBER = "+447700900123"


def code(secret: bytes = b"right", flow: str = "f1", now: datetime = START, recipient: str = NUMBER) -> SentCode:
    return SentCode(flow, "sms", "s1", recipient, recipient[:-4], secret, now, now + LIFE)


async def try_(
    conn: Connection,
    secret: bytes = b"right",
    *,
    flow: str = "f1",
    method: str = "sms",
    sub: str = "s1",
    recipient: str = NUMBER,
    now: datetime = START,
) -> Tried:
    return await consume_code(conn, flow, method, sub=sub, recipient=recipient, digest=secret, now=now)


async def counted(conn: Connection, now: datetime = START, **changes: str) -> Sendings:
    where = {"sub": "s1", "recipient": NUMBER, "prefix": NUMBER[:-4], **changes}
    return await lock_sendings(conn, "sms", **where, now=now)


@pytest.fixture(autouse=True)
async def people(pool: Pool) -> None:
    async with transaction(pool) as conn:
        for number in (1, 2):
            await create(conn, User(f"s{number}", f"u{number}", START, START), username_canonical=f"u{number}")


async def test_a_code_is_right_once(conn: Connection) -> None:
    await create_code(conn, code())
    assert await find_recipient(conn, "f1", "sms", "s1", now=START) == NUMBER
    assert [await try_(conn) for _ in range(3)] == [Tried.RIGHT, Tried.USED, Tried.USED]
    assert await find_recipient(conn, "f1", "sms", "s1", now=START) is None


async def test_A_41_of_eight_at_once_one_is_right(database: str) -> None:
    pool = await open_pool(database, max_size=8)
    try:
        async with transaction(pool) as conn:
            await create_code(conn, code())

        async def one() -> Tried:
            async with transaction(pool) as own:
                return await try_(own)

        outcomes = await asyncio.gather(*(one() for _ in range(8)))
    finally:
        await pool.close()
    assert sorted(tried.name for tried in outcomes) == ["RIGHT", *["USED"] * 7]


async def test_A_41_of_eight_wrong_ones_at_once_five_are_judged(database: str) -> None:
    pool = await open_pool(database, max_size=8)
    try:
        async with transaction(pool) as conn:
            await create_code(conn, code())

        async def one() -> Tried:
            async with transaction(pool) as own:
                return await try_(own, b"wrong")

        outcomes = await asyncio.gather(*(one() for _ in range(8)))
        async with transaction(pool) as conn:
            assert await conn.fetchval("SELECT misses FROM sent_codes") == MOST_MISSES
            assert await try_(conn) is Tried.DEAD
    finally:
        await pool.close()
    assert sorted(tried.name for tried in outcomes) == ["DEAD"] * 4 + ["WRONG"] * 4


@pytest.mark.parametrize(
    "changes",
    [{"flow": "f2"}, {"method": "email"}, {"sub": "s2"}, {"recipient": "+447700900124"}],
    ids=lambda changes: str(*changes),
)
async def test_G8_a_code_of_something_else_is_none_and_counts_nothing(
    conn: Connection, changes: dict[str, str]
) -> None:
    await create_code(conn, code())
    assert await try_(conn, **changes) is Tried.NONE  # type: ignore[arg-type]
    assert await conn.fetchval("SELECT misses FROM sent_codes") == 0
    assert await try_(conn) is Tried.RIGHT


async def test_G8_a_code_lives_ten_minutes(conn: Connection) -> None:
    await create_code(conn, code())
    assert await try_(conn, now=START + LIFE) is Tried.LATE
    assert await find_recipient(conn, "f1", "sms", "s1", now=START + LIFE) is None
    assert await try_(conn, now=START + LIFE - SECOND) is Tried.RIGHT


async def test_a_new_code_takes_the_place_of_the_former(conn: Connection) -> None:
    await create_code(conn, code(b"first"))
    await try_(conn, b"wrong")
    await create_code(conn, code(b"second"))
    assert await try_(conn, b"first") is Tried.WRONG
    assert await conn.fetchval("SELECT misses FROM sent_codes WHERE replaced_at IS NULL") == 1, "a new count"
    assert await try_(conn, b"second") is Tried.RIGHT


async def test_what_is_held_back_looks_like_a_code_and_replaces_none(conn: Connection) -> None:
    held_back = replace(code(b"unknown"), sent=False)
    await create_stand_in(conn, held_back)
    assert await find_recipient(conn, "f1", "sms", "s1", now=START) == NUMBER
    assert (await counted(conn)).to_recipient == 0
    await create_code(conn, code())
    await create_stand_in(conn, held_back)
    assert await try_(conn) is Tried.RIGHT


async def test_revoked_codes_are_none(conn: Connection) -> None:
    await create_code(conn, code())
    await revoke_codes(conn, "f1", "sms", START)
    assert await try_(conn) is Tried.NONE


async def test_sendings_are_counted_by_where_they_went_and_when(conn: Connection) -> None:
    for number, recipient in enumerate((NUMBER, NUMBER, "+447700900999", "+15551230000")):
        await create_code(conn, code(b"%d" % number, f"f{number}", recipient=recipient))
    await try_(conn, b"0", flow="f0")
    assert await counted(conn) == Sendings(2, 4, 3, 4, over=1, used=1)
    assert await counted(conn, sub="s2", recipient="+15551230000", prefix="+1555123") == Sendings(1, 0, 1, 4, 0, 0)
    assert await counted(conn, START + LIFE) == Sendings(0, 4, 3, 4, over=3, used=1)
    assert await counted(conn, START + timedelta(hours=1)) == Sendings(0, 0, 0, 0, over=3, used=1)
    assert await counted(conn, START + timedelta(hours=6)) == Sendings(0, 0, 0, 0, 0, 0)


async def test_the_window_slides(conn: Connection) -> None:
    """Three at the end of ten minutes and three at the beginning of the next would be six."""
    for minute in (0, 8, 9):
        await create_code(conn, code(flow=f"f{minute}", now=START + timedelta(minutes=minute)))
    assert (await counted(conn, START + LIFE)).to_recipient == 2


async def test_what_is_counted_stays_for_a_while_and_is_forgotten(conn: Connection) -> None:
    await create_code(conn, code())
    await delete_expired(conn, now=START + LIFE + timedelta(days=1) - SECOND, keep=timedelta(days=1))
    assert await conn.fetchval("SELECT count(*) FROM sent_codes") == 1
    await delete_expired(conn, now=START + LIFE + timedelta(days=1), keep=timedelta(days=1))
    assert await conn.fetchval("SELECT count(*) FROM sent_codes") == 0


async def test_an_account_takes_its_codes_along(conn: Connection) -> None:
    await create_code(conn, code())
    await conn.execute("DELETE FROM users WHERE sub = 's1'")
    assert await conn.fetchval("SELECT count(*) FROM sent_codes") == 0
