import asyncio
from dataclasses import replace

import pytest

from idp.model.credential import WebAuthnCredential
from idp.store import webauthn_credentials as store
from idp.store.database import Connection, Pool, transaction
from tests.authn.people import NOW, add_user


def key(sub: str, id_: str = "key", credential_id: bytes = b"credential", sign_count: int = 10) -> WebAuthnCredential:
    return WebAuthnCredential(
        id_,
        sub,
        "Key",
        credential_id,
        b"public",
        sign_count,
        "00000000-0000-0000-0000-000000000000",
        ("internal", "usb"),
        backup_eligible=True,
        backed_up=False,
        uv_initialized=False,
        discoverable=True,
        attested=False,
        created_at=NOW,
    )


async def use(conn: Connection, sign_count: int) -> bool:
    return await store.record_use(conn, "key", sign_count=sign_count, backed_up=True, initializes_uv=True, now=NOW)


async def test_a_credential_is_found_as_stored(conn: Connection) -> None:
    sub = (await add_user(conn)).sub
    assert await store.create(conn, key(sub))
    assert await store.find(conn, b"credential") == key(sub)
    assert await store.list_of(conn, sub) == (key(sub),)
    assert await store.count(conn, sub) == 1
    assert await store.find(conn, b"other") is None


async def test_a_45_a_credential_id_is_new_for_all_users(conn: Connection) -> None:
    alice, bob = (await add_user(conn)).sub, (await add_user(conn, "bob")).sub
    assert await store.create(conn, key(bob))
    assert not await store.create(conn, key(alice, "other"))
    assert await store.count(conn, alice) == 0


@pytest.mark.parametrize(
    ("stored", "said", "taken"),
    [(10, 11, True), (10, 10, False), (10, 9, False), (10, 0, False), (0, 0, True), (0, 1, True)],
)
async def test_a_45_the_counter_grows_or_is_none(conn: Connection, stored: int, said: int, taken: bool) -> None:
    sub = (await add_user(conn)).sub
    before = key(sub, sign_count=stored)
    await store.create(conn, before)
    assert await use(conn, said) is taken
    after = replace(before, sign_count=said, backed_up=True, uv_initialized=True, last_used_at=NOW)
    assert await store.find(conn, b"credential") == (after if taken else before)


async def test_user_verification_once_shown_stays_known(conn: Connection) -> None:
    sub = (await add_user(conn)).sub
    await store.create(conn, replace(key(sub), uv_initialized=True))
    await store.record_use(conn, "key", sign_count=11, backed_up=False, initializes_uv=False, now=NOW)
    found = await store.find(conn, b"credential")
    assert found is not None
    assert found.uv_initialized


async def test_a_counter_raced_is_taken_once(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await store.create(conn, key((await add_user(conn)).sub))

    async def raced() -> bool:
        async with transaction(pool) as conn:
            return await use(conn, 11)

    assert sum(await asyncio.gather(*(raced() for _ in range(50)))) == 1


async def test_a_74_only_the_owner_renames_and_removes(conn: Connection) -> None:
    alice, mallory = (await add_user(conn)).sub, (await add_user(conn, "mallory")).sub
    await store.create(conn, key(alice))
    assert not await store.rename(conn, mallory, "key", "Mine")
    assert not await store.remove(conn, mallory, "key")
    assert await store.rename(conn, alice, "key", "Blue key")
    assert [one.name for one in await store.list_of(conn, alice)] == ["Blue key"]
    assert await store.remove(conn, alice, "key")
    assert not await store.remove(conn, alice, "key")
