import asyncio
from datetime import datetime, timedelta

import pytest

from idp.model.credential import TotpCredential
from idp.store import totp_credentials as store
from idp.store.database import Connection, Pool, transaction
from tests.authn.people import NOW, add_user

EARLIER = NOW - timedelta(minutes=10)


def app(sub: str, id_: str = "app", at: datetime = NOW) -> TotpCredential:
    return TotpCredential(id_, sub, "Phone", b"sealed", at)


async def confirmed(conn: Connection, sub: str, id_: str = "app", step: int = 100) -> TotpCredential:
    await store.create_pending(conn, app(sub, id_))
    found = await store.confirm(conn, app(sub, id_), step, NOW, begun_after=EARLIER)
    assert found is not None
    return found


async def test_pending_then_confirmed(conn: Connection) -> None:
    sub = (await add_user(conn)).sub
    await store.create_pending(conn, app(sub))
    assert await store.find_pending(conn, sub, begun_after=EARLIER) == app(sub)
    assert await store.list_confirmed(conn, sub) == ()
    found = await store.confirm(conn, app(sub), 100, NOW, begun_after=EARLIER)
    assert found == TotpCredential("app", sub, "Phone", b"sealed", NOW, 100, NOW, NOW)
    assert await store.list_confirmed(conn, sub) == (found,)
    assert await store.find_pending(conn, sub, begun_after=EARLIER) is None
    assert await store.confirm(conn, app(sub), 101, NOW, begun_after=EARLIER) is None


async def test_a_later_beginning_replaces_the_former(conn: Connection) -> None:
    sub = (await add_user(conn)).sub
    await store.create_pending(conn, app(sub, "first"))
    await store.create_pending(conn, app(sub, "second"))
    assert await store.find_pending(conn, sub, begun_after=EARLIER) == app(sub, "second")
    assert await store.confirm(conn, app(sub, "first"), 100, NOW, begun_after=EARLIER) is None


async def test_an_old_beginning_is_gone_though_nobody_cleared_it_away(conn: Connection) -> None:
    sub = (await add_user(conn)).sub
    await store.create_pending(conn, app(sub, at=EARLIER))
    assert await store.find_pending(conn, sub, begun_after=EARLIER) is None
    assert await store.confirm(conn, app(sub), 100, NOW, begun_after=EARLIER) is None


async def test_clearing_away_leaves_what_counts(conn: Connection) -> None:
    alice, bob = (await add_user(conn)).sub, (await add_user(conn, "bob")).sub
    kept = await confirmed(conn, alice, "kept")
    await store.create_pending(conn, app(alice, "fresh"))
    await store.create_pending(conn, app(bob, "stale", EARLIER))
    await store.delete_expired(conn, begun_before=NOW)
    assert await store.list_confirmed(conn, alice) == (kept,)
    assert await store.find_pending(conn, alice, begun_after=EARLIER) is not None
    assert await store.find_pending(conn, bob, begun_after=EARLIER - timedelta(days=1)) is None


@pytest.mark.parametrize(("step", "taken"), [(101, True), (100, False), (99, False)])
async def test_a_40_steps_only_rise(conn: Connection, step: int, taken: bool) -> None:
    credential = await confirmed(conn, (await add_user(conn)).sub)
    assert await store.consume_step(conn, credential.id, step, NOW) is taken


async def test_a_pending_app_has_no_steps_to_take(conn: Connection) -> None:
    await store.create_pending(conn, app((await add_user(conn)).sub))
    assert not await store.consume_step(conn, "app", 100, NOW)


async def test_a_39_one_step_raced_50_ways_is_taken_once(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await confirmed(conn, (await add_user(conn)).sub)

    async def take(step: int) -> bool:
        async with transaction(pool) as conn:
            return await store.consume_step(conn, "app", step, NOW)

    for step in range(101, 121):
        assert sum(await asyncio.gather(*(take(step) for _ in range(50)))) == 1


async def test_a_confirmation_raced_succeeds_once(pool: Pool) -> None:
    async with transaction(pool) as conn:
        sub = (await add_user(conn)).sub
        await store.create_pending(conn, app(sub))

    async def confirm() -> bool:
        async with transaction(pool) as conn:
            return await store.confirm(conn, app(sub), 100, NOW, begun_after=EARLIER) is not None

    assert sum(await asyncio.gather(*(confirm() for _ in range(50)))) == 1


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
