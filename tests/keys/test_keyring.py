"""The ring kept fresh: every process agrees within seconds, and none needs the database to read or to sign."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import jwt as pyjwt
import pytest

from idp.base.entropy import system_entropy
from idp.base.jose import Kind, verify
from idp.base.jwk import ALGORITHMS, Algorithm
from idp.base.seal import MasterKey, MasterKeyWrong
from idp.keys.custody import Custody, revoke, rotate, tend
from idp.keys.keyring import KeyRing, _every
from idp.keys.schedule import Policy
from idp.store.database import Pool, Unavailable, open_pool
from tests.doubles import START, FrozenClock

MASTER = MasterKey(bytes(range(32)))
POLICY = Policy(
    key_life=timedelta(days=90),
    max_age=timedelta(hours=1),
    propagation=timedelta(minutes=5),
    token_life=timedelta(minutes=10),
    hint_life=timedelta(hours=12),
)
KIND = Kind(typ=frozenset({"jwt"}))


def custody(pool: Pool, master: MasterKey = MASTER) -> Custody:
    return Custody(pool, master, POLICY, rsa_bits=2048, entropy=system_entropy)


@pytest.fixture
async def keys(database: str, pool: Pool, clock: FrozenClock) -> AsyncIterator[KeyRing]:
    ring = KeyRing(custody(pool), dsn=database, clock=clock)
    await ring.start()
    yield ring
    await ring.close()


async def eventually(holds: Callable[[], bool], *, within: float) -> None:
    for _ in range(int(within / 0.02)):
        if holds():
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"it did not happen within {within} s")


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_what_it_signs_its_own_ring_verifies(keys: KeyRing, clock: FrozenClock, alg: Algorithm) -> None:
    claims = {"iss": "me", "exp": int(clock().timestamp()) + 60}
    token = await keys.sign(claims, alg=alg, typ="JWT")
    proven = verify(token, KIND, keys=keys.ring.verifiers, issuer="me", audience=None, now=clock())
    assert proven.header == {"alg": alg, "kid": keys.ring.signer(alg).kid, "typ": "JWT"}
    assert proven.claims == claims


async def test_many_sign_at_once_without_standing_in_each_others_way(keys: KeyRing) -> None:
    tokens = await asyncio.gather(*(keys.sign({"n": n}, alg="RS256", typ="JWT") for n in range(200)))
    assert {pyjwt.decode(token, options={"verify_signature": False})["n"] for token in tokens} == set(range(200))


async def test_an_algorithm_without_a_key_is_refused(keys: KeyRing) -> None:
    with pytest.raises(LookupError):
        await keys.sign({}, alg="HS256", typ="JWT")


async def test_a_ring_that_was_not_started_says_so(database: str, pool: Pool, clock: FrozenClock) -> None:
    with pytest.raises(LookupError, match="has not been started"):
        _ = KeyRing(custody(pool), dsn=database, clock=clock).ring


async def test_every_process_adopts_a_change_at_once(database: str, keys: KeyRing) -> None:
    """F11: told by NOTIFY, well before the next poll."""
    other = await open_pool(database)
    before = keys.ring
    await rotate(custody(other), "ES256", START + POLICY.lead)
    await eventually(lambda: keys.ring.etag != before.etag, within=2)
    assert keys.ring.signer("ES256").kid != before.signer("ES256").kid
    assert before.signer("ES256").kid in keys.ring.verifiers
    await other.close()


async def test_a_change_that_nobody_told_of_is_found_within_five_seconds(database: str, keys: KeyRing) -> None:
    other = await open_pool(database)
    kid = keys.ring.signer("ES256").kid
    async with other.acquire() as conn:
        await conn.execute("""DELETE FROM signing_keys WHERE kid = $1""", kid)
    await eventually(lambda: kid not in keys.ring.verifiers, within=5)
    await other.close()


async def test_tokens_of_a_revoked_key_are_refused_at_once(keys: KeyRing, pool: Pool, clock: FrozenClock) -> None:
    """F11b."""
    revoked = keys.ring.signer("ES256").kid
    await revoke(custody(pool), revoked, clock())
    await keys.refresh()
    assert revoked not in keys.ring.verifiers
    assert revoked.encode() not in keys.ring.jwks
    assert await keys.sign({}, alg="ES256", typ="JWT")


async def test_two_processes_show_the_same_bytes(database: str, keys: KeyRing, clock: FrozenClock) -> None:
    pool = await open_pool(database)
    other = KeyRing(custody(pool), dsn=database, clock=clock)
    await other.start()
    assert (other.ring.jwks, other.ring.etag) == (keys.ring.jwks, keys.ring.etag)
    await other.close()
    await pool.close()


async def test_an_unchanged_ring_is_not_made_again(keys: KeyRing) -> None:
    before = keys.ring
    await keys.refresh()
    assert keys.ring is before


async def test_the_last_ring_goes_on_serving_without_a_database(database: str, clock: FrozenClock) -> None:
    """F4."""
    pool = await open_pool(database)
    ring = KeyRing(custody(pool), dsn=database, clock=clock)
    await ring.start()
    before = ring.ring
    await pool.close()
    with pytest.raises(Unavailable):
        await ring.refresh()
    assert ring.ring is before
    assert await ring.sign({}, alg="RS256", typ="JWT")
    await ring.close()


async def test_a_foreign_master_key_does_not_start(database: str, keys: KeyRing, clock: FrozenClock) -> None:
    """F24: another host, whose own keys directory was empty too."""
    pool = await open_pool(database)
    ring = KeyRing(custody(pool, MasterKey(bytes(32))), dsn=database, clock=clock)
    with pytest.raises(MasterKeyWrong):
        await ring.start()
    await ring.close()
    await pool.close()


async def test_a_damaged_key_is_told_of(
    database: str, pool: Pool, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    """F23: an alarm, and all else works."""
    await tend(custody(pool), clock())
    async with pool.acquire() as conn:
        kid = await conn.fetchval(
            """UPDATE signing_keys SET public_jwk = '{}' WHERE alg = 'PS256' AND activated_at IS NULL RETURNING kid"""
        )
    ring = KeyRing(custody(pool), dsn=database, clock=clock)
    with caplog.at_level(logging.ERROR):
        await ring.refresh()
    assert [record.getMessage() for record in caplog.records] == [f"signing key {kid} is damaged and is not used"]
    await ring.start()
    assert ring.ring.damaged == frozenset()
    await ring.close()


async def test_no_failure_of_one_round_ends_the_care(caplog: pytest.LogCaptureFixture) -> None:
    rounds: list[int] = []

    async def work() -> None:
        rounds.append(len(rounds))
        if rounds[-1] < 2:
            raise (Unavailable("away"), ValueError("a fault of ours"))[rounds[-1]]

    caring = asyncio.create_task(_every(0.01, work))
    await eventually(lambda: len(rounds) > 3, within=5)
    caring.cancel()
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
