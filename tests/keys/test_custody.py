"""The keeping of the keys against a real database: many processes at once, damage, a wrong master key."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from idp.base.entropy import system_entropy
from idp.base.jwk import ALGORITHMS
from idp.base.seal import MasterKey, MasterKeyMalformed, MasterKeyMissing, MasterKeyWrong, load_or_create
from idp.keys.custody import Custody, ensure_master_key, read_ring, revoke, rotate, tend
from idp.keys.ring import build, damaged
from idp.keys.schedule import Policy, Rows, TooEarly
from idp.model.signing_key import SigningKey
from idp.store.database import Pool, open_pool
from tests.doubles import START, FrozenClock

MASTER = MasterKey(bytes(range(32)))
POLICY = Policy(
    key_life=timedelta(days=90),
    max_age=timedelta(hours=1),
    propagation=timedelta(minutes=5),
    token_life=timedelta(minutes=10),
    hint_life=timedelta(hours=12),
)
SECOND = timedelta(seconds=1)


def custody(pool: Pool, master: MasterKey = MASTER) -> Custody:
    return Custody(pool, master, POLICY, rsa_bits=2048, entropy=system_entropy)


def states(rows: Iterable[SigningKey]) -> Counter[tuple[str, str]]:
    return Counter((row.alg, row.state) for row in rows)


def the(rows: Rows, state: str, alg: str = "ES256") -> SigningKey:
    [row] = [row for row in rows if (row.alg, row.state) == (alg, state)]
    return row


def contents(directory: Path) -> list[Path]:
    return list(directory.iterdir())


ONE_OF_EACH = Counter({(alg, state): 1 for alg in ALGORITHMS for state in ("active", "next")})


@pytest.fixture
async def keep(pool: Pool) -> Custody:
    """A database that has had its first start."""
    kept = custody(pool)
    await tend(kept, START)
    return kept


async def test_the_first_start_makes_the_keys_and_the_second_none(pool: Pool) -> None:
    assert await tend(custody(pool), START)
    rows = await read_ring(pool)
    assert states(rows) == ONE_OF_EACH
    assert damaged(rows, MASTER) == frozenset()
    assert not await tend(custody(pool), START)
    assert await read_ring(pool) == rows


async def test_many_tasks_starting_at_once_make_one_ring(database: str) -> None:
    """F10."""
    pools = [await open_pool(database, max_size=2) for _ in range(8)]
    await asyncio.gather(*(tend(custody(pool), START) for pool in pools))
    assert states(await read_ring(pools[0])) == ONE_OF_EACH
    for pool in pools:
        await pool.close()


START_UP = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from idp.base.clock import system_clock
from idp.base.entropy import system_entropy
from idp.keys.custody import Custody, ensure_master_key
from idp.keys.keyring import KeyRing
from idp.keys.schedule import Policy
from idp.store.database import open_pool

async def main():
    pool = await open_pool(sys.argv[1], max_size=2)
    master = await ensure_master_key(pool, Path(sys.argv[2]), None, entropy=system_entropy)
    hour = timedelta(hours=1)
    custody = Custody(pool, master, Policy(90 * hour, hour, hour, hour, hour), rsa_bits=2048, entropy=system_entropy)
    ring = KeyRing(custody, dsn=sys.argv[1], clock=system_clock)
    sys.stdin.readline()
    await ring.start()
    print(ring.ring.etag, *sorted(key.kid for key in ring.ring.signers.values()))
    await ring.close()
    await pool.close()

asyncio.run(main())
"""


async def test_eight_processes_on_an_empty_database_make_one_ring(database: str, pool: Pool, tmp_path: Path) -> None:
    """F10."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "error", "-c", START_UP, database, str(tmp_path / "keys")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(8)
    ]
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert len({answer for answer, _ in answers}) == 1
    assert len(answers[0][0].split()) == 1 + len(ALGORITHMS)
    assert states(await read_ring(pool)) == ONE_OF_EACH


async def test_a_key_takes_over_when_its_time_has_come(keep: Custody, clock: FrozenClock) -> None:
    before = await read_ring(keep.pool)
    clock.advance(POLICY.key_life - SECOND)
    assert not await tend(keep, clock())
    clock.advance(SECOND)
    assert await tend(keep, clock())
    after = await read_ring(keep.pool)
    assert the(after, "active").kid == the(before, "next").kid
    assert the(after, "retired").kid == the(before, "active").kid
    assert the(after, "retired").sealed_private is None
    clock.advance(POLICY.retention)
    assert await tend(keep, clock())
    assert {state for _, state in states(await read_ring(keep.pool))} == {"active", "next", "withdrawn"}
    clock.advance(POLICY.memory - POLICY.retention - SECOND)
    assert not await tend(keep, clock())
    clock.advance(SECOND)
    assert await tend(keep, clock())
    assert states(await read_ring(keep.pool)) == ONE_OF_EACH


async def test_rotation_on_demand_waits_for_the_announcement(keep: Custody) -> None:
    before = await read_ring(keep.pool)
    with pytest.raises(TooEarly) as refused:
        await rotate(keep, "ES256", START + POLICY.lead - SECOND)
    assert refused.value.when == START + POLICY.lead
    assert await read_ring(keep.pool) == before
    after = await rotate(keep, "ES256", START + POLICY.lead)
    assert the(after, "active").kid == the(before, "next").kid
    assert the(after, "active", "RS256") == the(before, "active", "RS256")


async def test_two_rotations_at_once_make_one_key(database: str, keep: Custody) -> None:
    """F10, over many rounds and two pools."""
    other = await open_pool(database)
    now = START
    for _ in range(25):
        now += POLICY.retention + POLICY.lead
        before = await read_ring(keep.pool)
        outcomes = await asyncio.gather(
            *(rotate(custody(pool), "ES256", now) for pool in (keep.pool, other) for _ in range(2)),
            return_exceptions=True,
        )
        assert Counter(type(outcome) for outcome in outcomes) == {tuple: 1, TooEarly: 3}
        after = await read_ring(keep.pool)
        assert the(after, "active").kid == the(before, "next").kid
        assert len({row.kid for row in after} - {row.kid for row in before}) == 1
    await other.close()


async def test_revoking_the_active_key_lets_the_next_sign_at_once(keep: Custody) -> None:
    """F11b."""
    before = await read_ring(keep.pool)
    told = await revoke(keep, the(before, "active").kid, START)
    after = await read_ring(keep.pool)
    assert told.successor == the(before, "next").kid == the(after, "active").kid
    assert the(before, "active").kid not in {row.kid for row in after}
    assert states(after) == ONE_OF_EACH


async def test_revoking_the_next_key_publishes_another(keep: Custody) -> None:
    before = await read_ring(keep.pool)
    told = await revoke(keep, the(before, "next").kid, START)
    after = await read_ring(keep.pool)
    assert told.tokens_until is None
    assert the(after, "active") == the(before, "active")
    assert the(after, "next").kid != the(before, "next").kid


async def test_revoking_a_retired_key_takes_it_away(keep: Custody) -> None:
    rotated = await rotate(keep, "ES256", START + POLICY.lead)
    await revoke(keep, the(rotated, "retired").kid, START + POLICY.lead)
    assert states(await read_ring(keep.pool)) == ONE_OF_EACH


async def test_revoking_a_withdrawn_key_takes_it_away(keep: Custody) -> None:
    """F11b: nothing is believed under it any more, hints included."""
    rotated = await rotate(keep, "ES256", START + POLICY.lead)
    later = START + POLICY.lead + POLICY.retention
    await tend(keep, later)
    withdrawn = the(await read_ring(keep.pool), "withdrawn")
    assert withdrawn.kid == the(rotated, "retired").kid
    assert withdrawn.kid in build(await read_ring(keep.pool), MASTER, max_age=1).hint_verifiers
    assert (await revoke(keep, withdrawn.kid, later)).state == "withdrawn"
    rows = await read_ring(keep.pool)
    assert states(rows) == ONE_OF_EACH
    assert withdrawn.kid not in build(rows, MASTER, max_age=1).hint_verifiers


async def test_a_key_can_be_revoked_once(keep: Custody) -> None:
    kid = the(await read_ring(keep.pool), "active").kid
    outcomes = await asyncio.gather(*(revoke(keep, kid, START) for _ in range(4)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["BlastRadius", *["LookupError"] * 3]


async def spoil(pool: Pool, kid: str) -> None:
    async with pool.acquire() as conn:
        await conn.execute(
            """UPDATE signing_keys SET sealed_private = set_byte(sealed_private, 40, 7) WHERE kid = $1""", kid
        )


async def test_a_damaged_active_key_is_replaced_and_no_other_touched(keep: Custody) -> None:
    """F23."""
    before = await read_ring(keep.pool)
    await spoil(keep.pool, the(before, "active").kid)
    assert await tend(keep, START)
    after = await read_ring(keep.pool)
    assert the(after, "active").kid == the(before, "next").kid
    assert the(after, "retired").kid == the(before, "active").kid
    untouched = [alg for alg in ALGORITHMS if alg != "ES256"]
    assert [the(after, "active", alg) for alg in untouched] == [the(before, "active", alg) for alg in untouched]


async def test_a_wrong_master_key_throws_nothing_away(keep: Custody) -> None:
    before = await read_ring(keep.pool)
    assert not await tend(custody(keep.pool, MasterKey(bytes(32))), START)
    assert await read_ring(keep.pool) == before


async def test_nothing_is_half_done_when_the_work_is_cut_off(keep: Custody) -> None:
    """F3: a rotation whose new key cannot be sealed leaves the ring as it was."""

    def failing(_size: int) -> bytes:
        raise OSError("no randomness")

    before = await read_ring(keep.pool)
    with pytest.raises(OSError, match="no randomness"):
        await rotate(replace(keep, entropy=failing), "ES256", START + POLICY.lead)
    assert await read_ring(keep.pool) == before


async def test_the_first_start_makes_a_master_key_and_the_next_finds_it(pool: Pool, tmp_path: Path) -> None:
    made = await ensure_master_key(pool, tmp_path, None, entropy=system_entropy)
    await tend(custody(pool, made), START)
    assert await ensure_master_key(pool, tmp_path, None, entropy=system_entropy) == made


async def test_a_missing_master_key_refuses_and_makes_none(keep: Custody, tmp_path: Path) -> None:
    """F24."""
    with pytest.raises(MasterKeyMissing, match="missing"):
        await ensure_master_key(keep.pool, tmp_path, None, entropy=system_entropy)
    assert contents(tmp_path) == []


async def test_a_wrong_master_key_refuses(keep: Custody, tmp_path: Path) -> None:
    """F24."""
    load_or_create(tmp_path, None, may_create=True, entropy=system_entropy)
    with pytest.raises(MasterKeyWrong, match="not the one"):
        await ensure_master_key(keep.pool, tmp_path, None, entropy=system_entropy)


async def test_a_malformed_master_key_refuses(keep: Custody, tmp_path: Path) -> None:
    with pytest.raises(MasterKeyMalformed):
        await ensure_master_key(keep.pool, tmp_path, "rubbish", entropy=system_entropy)


async def test_one_damaged_row_is_no_reason_to_refuse(pool: Pool, tmp_path: Path) -> None:
    """F23."""
    made = await ensure_master_key(pool, tmp_path, None, entropy=system_entropy)
    await tend(custody(pool, made), START)
    await spoil(pool, the(await read_ring(pool), "active").kid)
    assert await ensure_master_key(pool, tmp_path, None, entropy=system_entropy) == made


async def test_no_clear_private_key_rests_in_the_database(keep: Custody) -> None:
    rows = await read_ring(keep.pool)
    ring = build(rows, MASTER, max_age=1)
    async with keep.pool.acquire() as conn:
        everything = str(await conn.fetch("""SELECT * FROM signing_keys"""))
    for alg in ALGORITHMS:
        private = str(ring.signer(alg).native.as_dict(private=True)["d"])
        assert private not in everything
        assert private.encode() not in b"".join(row.sealed_private or b"" for row in rows)


def moments(start: datetime, step: timedelta, total: timedelta) -> Iterable[datetime]:
    return (start + step * index for index in range(total // step))


async def test_three_rotations_with_a_compressed_clock_leave_no_validator_behind(pool: Pool) -> None:
    """F11: one that fetches only when its copy is max-age old, and uses each token until its last second."""
    quick = Policy(
        key_life=timedelta(seconds=120),
        max_age=timedelta(seconds=40),
        propagation=timedelta(seconds=20),
        token_life=timedelta(seconds=30),
        hint_life=timedelta(seconds=200),
    )
    kept = replace(custody(pool), policy=quick)
    signed: list[tuple[datetime, str]] = []
    copy: set[str] = set()
    fetched = START - quick.max_age
    signers: list[str] = []
    for now in moments(START, timedelta(seconds=10), timedelta(seconds=500)):
        await tend(kept, now)
        rows = await read_ring(pool)
        if now >= fetched + quick.max_age:
            fetched, copy = now, {row.kid for row in rows if row.is_published}
        kid = the(rows, "active").kid
        signers += [] if kid in signers else [kid]
        signed.append((now, kid))
        assert {kid for at, kid in signed if at > now - quick.token_life} <= copy
    assert len(signers) == 5
