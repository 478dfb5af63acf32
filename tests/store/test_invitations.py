"""Invitations in the database: one for an address, taken once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from idp.model.invitation import Invitation
from idp.store.database import Connection, Pool, transaction
from idp.store.invitations import consume_invitation, create_invitation, delete_expired, find_invitation

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
FIRST = Invitation(b"first", "Alice@mail.test", "alice@mail.test", NOW, NOW + WEEK)


async def test_it_is_found_until_it_expires(conn: Connection) -> None:
    await create_invitation(conn, FIRST)
    assert await find_invitation(conn, b"first", now=NOW + WEEK - timedelta(seconds=1)) == FIRST
    for now in (NOW + WEEK, NOW + 2 * WEEK):
        assert await find_invitation(conn, b"first", now=now) is None
        assert await consume_invitation(conn, b"first", now=now) is None
    assert await find_invitation(conn, b"other", now=NOW) is None


async def test_a_newer_one_for_the_address_takes_its_place_and_one_for_another_does_not(conn: Connection) -> None:
    await create_invitation(conn, FIRST)
    await create_invitation(conn, replace(FIRST, digest=b"bob", email="bob@mail.test", email_canonical="bob@mail.test"))
    await create_invitation(conn, replace(FIRST, digest=b"newer", email="alice@mail.test"))
    assert await find_invitation(conn, b"first", now=NOW) is None
    assert (await find_invitation(conn, b"newer", now=NOW)) == replace(FIRST, digest=b"newer", email="alice@mail.test")
    assert await find_invitation(conn, b"bob", now=NOW) is not None
    await consume_invitation(conn, b"newer", now=NOW)
    await create_invitation(conn, replace(FIRST, digest=b"again"))
    assert await find_invitation(conn, b"again", now=NOW) is not None


async def test_of_many_at_once_one_takes_it(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await create_invitation(conn, FIRST)

    async def one() -> Invitation | None:
        async with transaction(pool) as conn:
            return await consume_invitation(conn, b"first", now=NOW)

    taken = await asyncio.gather(*(one() for _ in range(10)))
    assert [found for found in taken if found is not None] == [FIRST]


async def test_what_has_expired_is_forgotten(conn: Connection) -> None:
    await create_invitation(conn, FIRST)
    await delete_expired(conn, now=NOW + WEEK - timedelta(seconds=1))
    assert await conn.fetchval("SELECT count(*) FROM invitations") == 1
    await delete_expired(conn, now=NOW + WEEK)
    assert await conn.fetchval("SELECT count(*) FROM invitations") == 0
