"""The rows of the ring: guarded steps, one active and one next key for each algorithm whatever happens."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from idp.model.signing_key import SigningKey
from idp.store.database import Connection, Pool, transaction
from idp.store.signing_keys import (
    activate_signing_key,
    create_signing_key,
    delete_signing_key,
    has_sealed,
    has_sealed_under,
    list_signing_keys,
    retire_signing_key,
    try_lock,
    withdraw_signing_key,
)
from tests.doubles import START

NEXT = SigningKey("next", "RS256", {"kty": "RSA", "n": "x"}, START, sealed_private=b"\x01prefix--sealed")
ACTIVE = replace(NEXT, kid="active", activated_at=START)
LATER = START + timedelta(hours=1)


async def test_what_is_kept_comes_back_unchanged(conn: Connection) -> None:
    await create_signing_key(conn, NEXT)
    await create_signing_key(conn, ACTIVE)
    assert await list_signing_keys(conn) == (ACTIVE, NEXT)


async def test_a_key_goes_through_its_life_and_each_step_only_once(conn: Connection) -> None:
    await create_signing_key(conn, NEXT)
    assert not await retire_signing_key(conn, "next", LATER)
    assert not await withdraw_signing_key(conn, "next", LATER)
    assert await activate_signing_key(conn, "next", LATER)
    assert not await activate_signing_key(conn, "next", LATER)
    assert not await withdraw_signing_key(conn, "next", LATER)
    assert await retire_signing_key(conn, "next", LATER)
    assert not await retire_signing_key(conn, "next", LATER)
    assert not await activate_signing_key(conn, "next", LATER)
    retired = replace(NEXT, activated_at=LATER, retired_at=LATER, sealed_private=None)
    assert await list_signing_keys(conn) == (retired,)
    assert await withdraw_signing_key(conn, "next", LATER)
    assert not await withdraw_signing_key(conn, "next", LATER)
    assert await list_signing_keys(conn) == (replace(retired, withdrawn_at=LATER),)
    assert await delete_signing_key(conn, "next")
    assert not await delete_signing_key(conn, "next")


@pytest.mark.parametrize("key", [NEXT, ACTIVE], ids=["next", "active"])
async def test_the_database_itself_refuses_a_second_one(conn: Connection, key: SigningKey) -> None:
    await create_signing_key(conn, key)
    await create_signing_key(conn, replace(key, kid="other", alg="ES256"))
    with pytest.raises(asyncpg.UniqueViolationError):
        await create_signing_key(conn, replace(key, kid="another"))


async def test_the_lock_has_one_holder_and_ends_with_the_transaction(pool: Pool) -> None:
    async with transaction(pool) as holder, transaction(pool) as other:
        assert await try_lock(holder)
        assert not await try_lock(other)
    async with transaction(pool) as other:
        assert await try_lock(other)


async def test_of_many_at_once_one_gets_the_lock(pool: Pool) -> None:
    async def attempt() -> bool:
        async with transaction(pool) as conn:
            locked = await try_lock(conn)
            await asyncio.sleep(0.2)
            return locked

    assert sum(await asyncio.gather(*(attempt() for _ in range(8)))) == 1


async def test_sealed_data_is_found_wherever_it_rests(conn: Connection) -> None:
    assert not await has_sealed(conn)
    await create_signing_key(conn, NEXT)
    assert await has_sealed(conn)
    assert await has_sealed_under(conn, b"\x01prefix--")
    assert not await has_sealed_under(conn, b"\x01another-")


async def test_a_wiped_key_counts_as_nothing_sealed(conn: Connection) -> None:
    await create_signing_key(conn, ACTIVE)
    await retire_signing_key(conn, "active", LATER)
    assert not await has_sealed(conn)
    assert not await has_sealed_under(conn, b"\x01prefix--")


async def test_a_sealed_seed_counts_too(conn: Connection) -> None:
    await conn.execute(
        """
        INSERT INTO users (sub, username, username_canonical, created_at, updated_at)
        VALUES ('s', 'alice', 'alice', $1, $1)
        """,
        START,
    )
    await conn.execute(
        """
        INSERT INTO totp_credentials (id, sub, name, sealed_seed, created_at)
        VALUES ('t', 's', 'phone', $1, $2)
        """,
        b"\x01prefix--sealed",
        START,
    )
    assert await has_sealed(conn)
    assert await has_sealed_under(conn, b"\x01prefix--")
    assert not await has_sealed_under(conn, b"\x01another-")
