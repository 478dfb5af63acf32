import asyncio

import pytest

from idp.model.credential import RecoveryCodes
from idp.store import recovery_codes as store
from idp.store.database import Connection, Pool, transaction
from tests.authn.people import NOW, add_user

SALT = b"s" * 16
HASHES = tuple(bytes([number]) * 32 for number in range(10))


async def test_a_set_and_what_is_left_of_it(conn: Connection) -> None:
    sub = (await add_user(conn)).sub
    assert await store.find_codes(conn, sub) is None
    await store.replace_codes(conn, sub, SALT, HASHES, NOW)
    assert await store.find_codes(conn, sub) == RecoveryCodes(10, 10, NOW, SALT)
    assert await store.consume_code(conn, sub, HASHES[3], NOW)
    assert not await store.consume_code(conn, sub, HASHES[3], NOW)
    assert not await store.consume_code(conn, sub, b"x" * 32, NOW)
    assert await store.find_codes(conn, sub) == RecoveryCodes(10, 9, NOW, SALT)


async def test_g9_a_new_set_leaves_nothing_of_the_former(conn: Connection) -> None:
    sub = (await add_user(conn)).sub
    await store.replace_codes(conn, sub, SALT, HASHES, NOW)
    await store.replace_codes(conn, sub, b"t" * 16, HASHES[:2], NOW)
    assert await store.find_codes(conn, sub) == RecoveryCodes(2, 2, NOW, b"t" * 16)
    assert not await store.consume_code(conn, sub, HASHES[5], NOW)


async def test_a_code_is_of_one_user(conn: Connection) -> None:
    alice, mallory = (await add_user(conn)).sub, (await add_user(conn, "mallory")).sub
    await store.replace_codes(conn, alice, SALT, HASHES, NOW)
    assert not await store.consume_code(conn, mallory, HASHES[0], NOW)
    assert not await store.remove_codes(conn, mallory)
    assert await store.remove_codes(conn, alice)
    assert not await store.remove_codes(conn, alice)
    assert await store.find_codes(conn, alice) is None


async def test_nobody_has_no_codes(conn: Connection) -> None:
    with pytest.raises(LookupError):
        await store.replace_codes(conn, "nobody", SALT, HASHES, NOW)


async def test_a_65_one_code_raced_8_ways_is_taken_once(pool: Pool) -> None:
    async with transaction(pool) as conn:
        sub = (await add_user(conn)).sub
        await store.replace_codes(conn, sub, SALT, HASHES, NOW)

    async def take(code_hash: bytes) -> bool:
        async with transaction(pool) as conn:
            return await store.consume_code(conn, sub, code_hash, NOW)

    for code_hash in HASHES:
        assert sum(await asyncio.gather(*(take(code_hash) for _ in range(8)))) == 1


async def test_new_sets_raced_leave_one(pool: Pool) -> None:
    async with transaction(pool) as conn:
        sub = (await add_user(conn)).sub

    async def renew(number: int) -> None:
        async with transaction(pool) as conn:
            hashes = [bytes([number, code]) * 16 for code in range(10)]
            await store.replace_codes(conn, sub, bytes([number]) * 16, hashes, NOW)

    await asyncio.gather(*(renew(number) for number in range(8)))
    async with transaction(pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM recovery_codes") == 10
