"""Links by mail: one live one of a kind for each account, taken once, and for its own purpose alone."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from idp.base.digest import sha256
from idp.model.mail_link import LinkKind, MailLink
from idp.model.user import User
from idp.store.database import Connection, Pool, open_pool, transaction
from idp.store.mail_links import (
    consume_link,
    create_link,
    delete_expired,
    find_link,
    find_link_of,
    revoke_links,
    revoke_links_to,
)
from idp.store.users import create
from tests.doubles import START

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def link(secret: str = "one", kind: LinkKind = "reset_password", sub: str = "s1") -> MailLink:
    return MailLink(sha256(secret), kind, sub, "Alice@mail.test", "alice@mail.test", START, START + HOUR)


async def people(conn: Connection) -> None:
    for number, name in enumerate(("alice", "bob"), 1):
        await create(conn, User(f"s{number}", name, START, START), username_canonical=name)


async def lives(conn: Connection, one: MailLink, now: datetime = START) -> bool:
    return await find_link(conn, one.digest, one.kind, now=now) is not None


@pytest.fixture
async def with_people(pool: Pool) -> Pool:
    async with transaction(pool) as conn:
        await people(conn)
    return pool


async def test_of_eight_who_take_it_one_gets_it(with_people: Pool, database: str) -> None:
    async with transaction(with_people) as conn:
        await create_link(conn, link())
    wide = await open_pool(database, min_size=8)

    async def take() -> MailLink | None:
        async with transaction(wide) as conn:
            taken = await consume_link(conn, link().digest, "reset_password", now=START)
            # Held for a moment, so that the others meet the lock.
            await asyncio.sleep(0.01)
            return taken

    taken = await asyncio.gather(*(take() for _ in range(8)))
    assert [one for one in taken if one is not None] == [link()]
    await wide.close()


async def test_of_eight_asked_for_at_once_one_lives(with_people: Pool, database: str) -> None:
    wide = await open_pool(database, min_size=8)

    async def ask(number: int) -> None:
        async with transaction(wide) as conn:
            await create_link(conn, link(f"link {number}"))

    await asyncio.gather(*(ask(number) for number in range(8)))
    async with transaction(with_people) as conn:
        assert sum([await lives(conn, link(f"link {number}")) for number in range(8)]) == 1
    await wide.close()


async def test_it_works_for_its_own_purpose_alone(conn: Connection) -> None:
    await people(conn)
    await create_link(conn, link(kind="verify_email"))
    assert await consume_link(conn, link().digest, "reset_password", now=START) is None
    assert await find_link(conn, link().digest, "reset_password", now=START) is None
    assert await consume_link(conn, link().digest, "verify_email", now=START) is not None


async def test_it_ends_with_its_time(conn: Connection) -> None:
    await people(conn)
    await create_link(conn, link())
    assert await lives(conn, link(), START + HOUR - SECOND)
    for now in (START + HOUR, START + 61 * timedelta(minutes=1)):
        assert not await lives(conn, link(), now)
        assert await find_link_of(conn, "s1", "reset_password", now=now) is None
        assert await consume_link(conn, link().digest, "reset_password", now=now) is None
    await delete_expired(conn, now=START + HOUR - SECOND)
    assert await conn.fetchval("SELECT count(*) FROM mail_links") == 1
    await delete_expired(conn, now=START + HOUR)
    assert await conn.fetchval("SELECT count(*) FROM mail_links") == 0


async def test_a_newer_one_of_the_same_kind_and_account_takes_its_place(conn: Connection) -> None:
    await people(conn)
    others = (link("verify", "verify_email"), link("bob's", sub="s2"))
    for one in (link(), *others, link("two")):
        await create_link(conn, one)
    assert not await lives(conn, link())
    assert await find_link_of(conn, "s1", "reset_password", now=START) == link("two")
    assert [await lives(conn, one) for one in others] == [True, True]


async def test_one_that_was_used_stays_used_when_another_is_made(conn: Connection) -> None:
    await people(conn)
    await create_link(conn, link())
    await consume_link(conn, link().digest, "reset_password", now=START)
    await create_link(conn, link("two"))
    assert not await lives(conn, link())
    assert await lives(conn, link("two"))


async def test_links_are_called_back(conn: Connection) -> None:
    await people(conn)
    reset, verify, bobs = link(), link("verify", "verify_email"), link("bob's", sub="s2")
    elsewhere = replace(link("x", "verify_email", "s2"), email_canonical="bob@mail.test")
    for one in (reset, verify, bobs, elsewhere):
        await create_link(conn, one)
    await revoke_links_to(conn, "alice@mail.test", but="s1")
    assert [await lives(conn, one) for one in (reset, verify, bobs, elsewhere)] == [True, True, False, True]
    await revoke_links(conn, "s1", "reset_password")
    assert [await lives(conn, one) for one in (reset, verify)] == [False, True]


async def test_the_secret_is_in_no_table_and_the_digest_in_no_representation(conn: Connection) -> None:
    await people(conn)
    await create_link(conn, link("a secret of some length"))
    row = await conn.fetchval("SELECT mail_links::text FROM mail_links")
    assert "secret of" not in row
    assert b"secret of".hex() not in row
    assert sha256("one").hex() not in repr(link())
    assert repr(sha256("one")) not in repr(link())
