import asyncio

import pytest

from idp.model.credential import TotpCredential
from idp.store import totp_credentials as store
from idp.store.database import Connection, Pool, transaction
from tests.authn.people import NOW, add_user


async def confirmed(conn: Connection, sub: str, id_: str = "app", step: int = 100) -> TotpCredential:
    credential = TotpCredential(id_, sub, "Phone", b"sealed", NOW, step, NOW, NOW)
    await store.create(conn, credential)
    return credential


async def test_what_was_kept_is_found(conn: Connection) -> None:
    sub = (await add_user(conn)).sub
    assert await store.list_confirmed(conn, sub) == ()
    found = await confirmed(conn, sub)
    assert await store.list_confirmed(conn, sub) == (found,)


@pytest.mark.parametrize(("step", "taken"), [(101, True), (100, False), (99, False)])
async def test_a_40_steps_only_rise(conn: Connection, step: int, taken: bool) -> None:
    credential = await confirmed(conn, (await add_user(conn)).sub)
    assert await store.consume_step(conn, credential.id, step, NOW) is taken


async def test_a_39_one_step_raced_50_ways_is_taken_once(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await confirmed(conn, (await add_user(conn)).sub)

    async def take(step: int) -> bool:
        async with transaction(pool) as conn:
            return await store.consume_step(conn, "app", step, NOW)

    for step in range(101, 121):
        assert sum(await asyncio.gather(*(take(step) for _ in range(50)))) == 1


async def test_a_74_only_the_owner_renames_and_removes(conn: Connection) -> None:
    alice, mallory = (await add_user(conn)).sub, (await add_user(conn, "mallory")).sub
    await confirmed(conn, alice)
    assert not await store.rename(conn, mallory, "app", "Mine")
    assert not await store.remove(conn, mallory, "app")
    assert await store.rename(conn, alice, "app", "Tablet")
    assert [one.name for one in await store.list_confirmed(conn, alice)] == ["Tablet"]
    assert await store.remove(conn, alice, "app")
    assert not await store.remove(conn, alice, "app")
    assert await store.list_confirmed(conn, alice) == ()
