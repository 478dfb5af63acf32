import asyncio
from datetime import timedelta

from idp.model.group import Group, Membership
from idp.store import groups as store
from idp.store.database import Connection, Pool, transaction
from tests.authn.people import NOW, add_user

WEEK = timedelta(days=7)


async def test_a_group_has_its_members_and_nobody_elses(conn: Connection) -> None:
    alice, bob = (await add_user(conn)).sub, (await add_user(conn, "bob")).sub
    assert await store.create_group(conn, "staff", "mfa", now=NOW)
    assert await store.create_group(conn, "guests", None, now=NOW)
    assert not await store.create_group(conn, "staff", None, now=NOW)
    assert await store.add_member(conn, "staff", alice)
    assert not await store.add_member(conn, "staff", alice)
    assert await store.add_member(conn, "guests", alice)
    guests, staff = Group("guests", None, NOW, 1), Group("staff", "mfa", NOW, 1)
    assert await store.groups_of(conn, alice) == (guests, staff)
    assert await store.find_membership(conn, alice) == Membership(("mfa",))
    assert await store.find_membership(conn, bob) == Membership()
    assert not await store.remove_member(conn, "staff", bob)
    assert await store.remove_member(conn, "staff", alice)
    assert await store.groups_of(conn, alice) == (guests,)


async def test_the_grace_begins_once(conn: Connection) -> None:
    sub = (await add_user(conn)).sub
    assert await store.begin_grace(conn, sub, NOW + WEEK)
    assert not await store.begin_grace(conn, sub, NOW + 2 * WEEK)
    assert (await store.find_membership(conn, sub)).enrolment_due_at == NOW + WEEK
    assert not await store.begin_grace(conn, "nobody", NOW)


async def test_the_grace_raced_8_ways_begins_once(pool: Pool) -> None:
    async with transaction(pool) as conn:
        sub = (await add_user(conn)).sub

    async def _begin(number: int) -> bool:
        async with transaction(pool) as conn:
            return await store.begin_grace(conn, sub, NOW + number * WEEK)

    assert sum(await asyncio.gather(*map(_begin, range(8)))) == 1
