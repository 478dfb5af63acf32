import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from idp.model.user import User
from idp.store import users
from idp.store.database import Connection, Pool, transaction
from tests.authn.people import NOW, add_user


async def test_a_user_is_found_as_stored(conn: Connection) -> None:
    user = User(
        "sub",
        "Alice",
        NOW,
        NOW,
        "Alice@mail.example",
        True,
        "+447700900123",
        True,
        {"name": "Alice"},
        "$hash",
        NOW,
        None,
    )
    await users.create(conn, user, username_canonical="alice", email_canonical="alice@mail.example")
    assert await users.find_user(conn, "sub") == user
    assert await users.get_user(conn, "sub") == user
    assert await users.find_by_username(conn, "alice") == user


async def test_nobody_is_none_or_an_error(conn: Connection) -> None:
    assert await users.find_user(conn, "nobody") is None
    assert await users.find_by_username(conn, "nobody") is None
    assert await users.find_by_login(conn, "nobody") is None
    assert await users.find_by_login(conn, None) is None
    with pytest.raises(LookupError):
        await users.get_user(conn, "nobody")
    with pytest.raises(LookupError):
        await users.lock(conn, "nobody")


async def test_a_taken_name_leaves_the_transaction_usable(pool: Pool) -> None:
    async with transaction(pool) as conn:
        first = await add_user(conn)
        with pytest.raises(users.UsernameTaken):
            await users.create(conn, replace(first, sub="other"), username_canonical="alice")
        assert await users.find_by_username(conn, "alice") == first


async def test_A_78_a_taken_skeleton_is_a_taken_name(pool: Pool) -> None:
    async with transaction(pool) as conn:
        alice = User("sub", "mary", NOW, NOW)
        await users.create(conn, alice, username_canonical="mary", username_skeleton="rnary")
        for number, skeleton in enumerate((None, None, "other")):
            another = User(f"other{number}", f"name{number}", NOW, NOW)
            await users.create(conn, another, username_canonical=another.username, username_skeleton=skeleton)
        rnary = User("rnary", "rnary", NOW, NOW)
        with pytest.raises(users.UsernameTaken):
            await users.create(conn, rnary, username_canonical="rnary", username_skeleton="rnary")
        assert await users.find_by_username(conn, "rnary") is None


async def test_A_78_a_look_raced_for_goes_to_one(pool: Pool) -> None:
    async def claim(number: int) -> bool:
        async with transaction(pool) as conn:
            user = User(f"sub{number}", f"name{number}", NOW, NOW)
            try:
                await users.create(conn, user, username_canonical=user.username, username_skeleton="alike")
            except users.UsernameTaken:
                return False
            return True

    assert sum(await asyncio.gather(*map(claim, range(20)))) == 1


async def test_a_name_raced_for_goes_to_one(pool: Pool) -> None:
    async def claim(number: int) -> bool:
        async with transaction(pool) as conn:
            try:
                await users.create(conn, User(f"sub{number}", "alice", NOW, NOW), username_canonical="alice")
            except users.UsernameTaken:
                return False
            return True

    assert sum(await asyncio.gather(*map(claim, range(50)))) == 1


async def test_a_proved_address_is_one_users(conn: Connection) -> None:
    await add_user(conn, "alice", email="a@mail.example", email_verified=True)
    with pytest.raises(users.EmailTaken):
        await add_user(conn, "bob", email="a@mail.example", email_verified=True)
    await add_user(conn, "bob", email="a@mail.example")


async def test_login_by_name_or_by_address(conn: Connection) -> None:
    alice = await add_user(conn, "alice", email="a@mail.example")
    assert await users.find_by_login(conn, "alice") == alice
    assert await users.find_by_login(conn, "a@mail.example") == alice


async def test_login_by_an_address_that_two_merely_claim_is_nobodys(conn: Connection) -> None:
    await add_user(conn, "alice", email="a@mail.example")
    await add_user(conn, "mallory", email="a@mail.example")
    assert await users.find_by_login(conn, "a@mail.example") is None


async def test_login_by_an_address_is_its_owners_whoever_claims_it(conn: Connection) -> None:
    await add_user(conn, "mallory", email="a@mail.example")
    await add_user(conn, "malory", email="a@mail.example")
    alice = await add_user(conn, "alice", email="a@mail.example", email_verified=True)
    assert await users.find_by_login(conn, "a@mail.example") == alice


async def test_a_name_comes_before_an_address(conn: Connection) -> None:
    await add_user(conn, "mallory", email="alice", email_verified=True)
    alice = await add_user(conn, "alice")
    assert await users.find_by_login(conn, "alice") == alice


async def test_users_are_listed_by_name_and_page(conn: Connection) -> None:
    for name in ("carol", "alice", "bob"):
        await add_user(conn, name)
    assert [user.username for user in await users.list_users(conn)] == ["alice", "bob", "carol"]
    assert [user.username for user in await users.list_users(conn, limit=2)] == ["alice", "bob"]
    assert [user.username for user in await users.list_users(conn, after="bob")] == ["carol"]


async def test_a_new_password(conn: Connection) -> None:
    user, later = await add_user(conn), NOW + timedelta(days=1)
    assert await users.update_password(conn, user.sub, "$new", later)
    found = await users.get_user(conn, user.sub)
    assert (found.password_hash, found.password_changed_at, found.updated_at) == ("$new", later, later)
    assert not await users.update_password(conn, "nobody", "$new", later)


async def test_a_rehash_never_undoes_a_change(conn: Connection) -> None:
    user = await add_user(conn, password_hash="$old")
    assert await users.replace_password_hash(conn, user.sub, "$old", "$new")
    assert not await users.replace_password_hash(conn, user.sub, "$old", "$stale")
    assert (await users.get_user(conn, user.sub)).password_hash == "$new"


async def test_disable_and_enable(conn: Connection) -> None:
    user = await add_user(conn)
    assert await users.disable(conn, user.sub, NOW)
    assert not await users.disable(conn, user.sub, NOW)
    assert (await users.get_user(conn, user.sub)).disabled_at == NOW
    assert await users.enable(conn, user.sub, NOW)
    assert not await users.enable(conn, user.sub, NOW)
    assert (await users.get_user(conn, user.sub)).disabled_at is None
