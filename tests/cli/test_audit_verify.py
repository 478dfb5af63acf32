"""What of the audit trail can be changed without its being found out: `idp audit verify` against who owns the table."""

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from idp.base.clock import system_clock
from idp.base.entropy import system_entropy
from idp.base.seal import MasterKey
from idp.cli.audit_verify import verify
from idp.cli.commands import app
from idp.keys.custody import ensure_master_key
from idp.model.audit_chain import Break, Inspection, Link, digest_of
from idp.model.event import Event
from idp.store import audit_seals
from idp.store.audit_anchors import list_anchors
from idp.store.audit_events import delete_expired, list_events, list_links, record_event
from idp.store.audit_seals import list_seals, seal_chains
from idp.store.database import Connection, Pool, open_pool, transaction
from tests.cli.installation import Installation
from tests.doubles import START

MASTER = MasterKey(bytes(range(32)))
LATER = START + timedelta(minutes=10)
ALL = 1_000_000

HOSTILE: dict[str, Any] = {
    "": None,
    "unicode": "e\u0301 \u202e \U0001f511 \ud7ff \uffff \u2028",
    "controls": "".join(map(chr, range(1, 32))) + '\x7f\x85"\\/',
    "numbers": [0, -0.0, 1.0, 1.10, 1e300, 5e-324, 2**70, -1, 1e16, 0.1 + 0.2],
    "nested": {"b": {"a": [[], {}, [None, True, False]]}, "a": '{"x": 1}'},
    "long": "x" * 5000,
}


async def record(pool: Pool, *events: str, at: datetime = START, **more: Any) -> None:
    """Keep these events, each in a transaction of its own."""
    for event in events:
        async with transaction(pool) as conn:
            await record_event(conn, Event(event, "user", at, **more))


async def seal(pool: Pool, now: datetime = LATER) -> int:
    async with transaction(pool) as conn:
        return await seal_chains(conn, MASTER, now)


async def tamper(pool: Pool, *statements: str) -> None:
    """Do what only the owner of the tables can do, who also can switch off what forbids it."""
    tables = ("audit_events", "audit_seals")
    async with transaction(pool) as conn:
        for table in tables:
            await conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            await conn.execute(statement)
        for table in tables:
            await conn.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


async def inspected(pool: Pool, *, page: int = 3) -> Inspection:
    return (await verify(pool, MASTER, page=page)).inspection


async def breaks(pool: Pool) -> list[Break]:
    return (await inspected(pool)).breaks


async def links(pool: Pool) -> tuple[Link, ...]:
    async with transaction(pool) as conn:
        return await list_links(conn, after=(-1, 0), limit=ALL)


@pytest.fixture
async def one(database: str) -> Any:
    """A pool of one connection, so that all is in one chain."""
    opened = await open_pool(database, max_size=1)
    yield opened
    await opened.close()


async def test_an_empty_trail_is_whole(one: Pool) -> None:
    found = await inspected(one)
    assert (found.breaks, found.rows, found.chains, found.last_seal) == ([], 0, 0, None)


async def test_hostile_details_have_the_same_digest_here_and_there(one: Pool) -> None:
    """What PostgreSQL writes to be digested is what Python reads: of every type and at every end."""
    await record(one, "first")
    for at in (START, START.replace(microsecond=1), datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        await record(one, '\u00e9\n\t\x08\x0c\r\x1f"\\', at=at, sub="\U0001f511", details=HOSTILE)
    await record(one, "", sub="", client_id="null", session_id="[]", address=",", request_id='"', details={})
    async with transaction(one) as conn:
        for moment in ("infinity", "-infinity", "4713-01-01 BC", "294276-12-31"):
            await conn.execute(
                "INSERT INTO audit_events (at, event, actor, details) VALUES ($1::text::timestamptz, 'e', 'a', $2)",
                moment,
                {"n": 1},
            )
        await conn.execute(
            """
            INSERT INTO audit_events (at, event, actor, details)
            SELECT now(), 'many at once', 'a', jsonb_build_object('n', 1e400, 'm', 1.000, 's', repeat('ü', n))
            FROM generate_series(1, 10) AS n
            """
        )
    found = await inspected(one)
    assert (found.breaks, found.rows, found.chains) == ([], 20, 1)


async def test_a_place_is_not_used_up_by_what_was_undone(one: Pool) -> None:
    await record(one, "first")
    with contextlib.suppress(RuntimeError):
        async with transaction(one) as conn:
            await record_event(conn, Event("undone", "user", START))
            raise RuntimeError("the act fails after all")
    async with transaction(one) as conn:
        await record_event(conn, Event("second", "user", START))
        with contextlib.suppress(RuntimeError):
            async with conn.transaction():
                await record_event(conn, Event("undone too", "user", START))
                raise RuntimeError("a part of it fails")
        await record_event(conn, Event("third", "user", START))
    assert [link.place for link in await links(one)] == [1, 2, 3]
    assert await breaks(one) == []


async def test_many_connections_write_without_waiting_for_one_another(database: str) -> None:
    """Each in its own chain: all hold a transaction with a row in it at the same time."""
    pool = await open_pool(database, min_size=8, max_size=8)
    everybody = asyncio.Barrier(8)

    async def work(name: str) -> None:
        for _ in range(5):
            async with transaction(pool) as conn:
                await record_event(conn, Event(name, "user", START))
                await everybody.wait()
                await record_event(conn, Event(name, "user", START))

    await asyncio.wait_for(asyncio.gather(*(work(str(number)) for number in range(8))), 60)
    assert await seal(pool) == 8
    found = await inspected(pool)
    assert (found.breaks, found.rows, found.chains, found.seals) == ([], 80, 8, 8)
    await pool.close()


async def test_a_chain_goes_on_where_its_rows_have_expired(one: Pool) -> None:
    """Its last digest is in the anchor, and no place is given twice."""
    old = system_clock() - timedelta(days=500)
    await record(one, "a", "b", "c", at=old)
    async with transaction(one) as conn:
        assert await delete_expired(conn, MASTER, now=system_clock(), keep=timedelta(days=400)) == 3
    await record(one, "d")
    assert [link.place for link in await links(one)] == [4]
    assert await breaks(one) == []


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        "event = 'forged'",
        "actor = ''",
        "at = at + interval '1 microsecond'",
        "sub = NULL",
        "address = '192.0.2.1'",
        "details = details || '{\"x\": null}'",
        "details = jsonb_set(details, '{n}', '1.0')",
        "digest = sha256(digest)",
    ],
)
async def test_16_4_2_a_changed_field_is_found(one: Pool, change: str, *, is_sealed: bool) -> None:
    await record(one, "a", "b", "c", "d", sub="alice", address="192.0.2.7", details={"n": 1})
    if is_sealed:
        await seal(one)
    third = (await links(one))[2]
    await tamper(one, f"UPDATE audit_events SET {change} WHERE place = 3")
    assert (await breaks(one))[0] == Break("changed", third.chain, 3, third.id)


async def test_16_4_2_a_missing_row_is_found(one: Pool) -> None:
    await record(one, "a", "b", "c", "d", "e", "f")
    [first, *_] = await links(one)
    await tamper(one, "DELETE FROM audit_events WHERE place IN (2, 4)")
    assert await breaks(one) == [Break("missing", first.chain, place) for place in (2, 4)]
    await tamper(one, "DELETE FROM audit_events WHERE place = 1")
    assert (await breaks(one))[0] == Break("missing", first.chain, 1)


async def test_16_4_2_the_newest_rows_behind_a_seal_are_missed(one: Pool) -> None:
    """And so is a whole chain; what was never sealed is not (docs/audit.md says up to when that holds)."""
    await record(one, "a", "b", "c")
    await seal(one)
    await record(one, "d")
    chain = (await links(one))[0].chain
    await tamper(one, "DELETE FROM audit_events WHERE place = 4")
    assert await breaks(one) == []
    await tamper(one, "DELETE FROM audit_events WHERE place >= 3")
    assert await breaks(one) == [Break("cut_off", chain, 3)]
    # Who goes on writing does not hide it.
    await record(one, "other", "other still")
    assert (await breaks(one))[0].fault == "rewritten"
    await tamper(one, "DELETE FROM audit_events")
    assert await breaks(one) == [Break("cut_off", chain, 1)]


async def test_16_4_2_two_rows_that_were_swapped_are_found(one: Pool) -> None:
    await record(one, "a", "b", "c", "d")
    second = (await links(one))[1]
    await tamper(
        one,
        "UPDATE audit_events SET event = CASE event WHEN 'b' THEN 'c' ELSE 'b' END WHERE event IN ('b', 'c')",
    )
    assert [found.place for found in await breaks(one)] == [2, 3]
    assert (await breaks(one))[0].id == second.id
    await tamper(
        one,
        "UPDATE audit_events SET event = CASE event WHEN 'b' THEN 'c' ELSE 'b' END WHERE event IN ('b', 'c')",
        "UPDATE audit_events SET place = -place WHERE place IN (2, 3)",
        "UPDATE audit_events SET place = 5 + place WHERE place < 0",
    )
    assert {found.fault for found in await breaks(one)} == {"changed"}


async def relink(pool: Pool, **changes: str) -> None:
    """Make the whole chain anew, as everybody can who knows how it is made, with another event at some places."""
    before, statements = b"", []
    for link in await links(pool):
        event = changes.get(f"place_{link.place}", link.said[4])
        forged = replace(link, said=(*link.said[:4], event, *link.said[5:]))
        before = digest_of(before, forged)
        statements.append(
            f"UPDATE audit_events SET event = '{event}', digest = '\\x{before.hex()}' WHERE id = {link.id}"
        )
    await tamper(pool, *statements)


async def test_16_4_2_a_chain_that_was_made_anew_is_not_what_was_sealed(one: Pool) -> None:
    """Nor is it where the job seals it anew: the seals before it remember."""
    await record(one, "a", "b", "c")
    await seal(one)
    await record(one, "d")
    third = (await links(one))[2]
    await relink(one, place_4="forged")
    assert await breaks(one) == [], "not sealed yet"
    await relink(one, place_2="forged")
    assert await breaks(one) == [Break("rewritten", third.chain, 3, third.id)]
    assert await seal(one, LATER + timedelta(minutes=10)) == 1
    assert await breaks(one) == [Break("rewritten", third.chain, 3, third.id)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE audit_seals SET digest = sha256(digest) WHERE number = 2", {"seal_broken", "rewritten"}),
        ("UPDATE audit_seals SET at = at + interval '1 second' WHERE number = 2", {"seal_broken"}),
        ("UPDATE audit_seals SET mac = digest WHERE number = 2", {"seal_broken"}),
        ("UPDATE audit_seals SET place = 3 WHERE number = 2", {"seal_broken", "rewritten"}),
        ("DELETE FROM audit_seals WHERE number = 2", {"missing"}),
        ("DELETE FROM audit_seals WHERE number = 1", {"missing"}),
        (
            "INSERT INTO audit_seals SELECT 4, chain, 1, digest, at, mac FROM audit_seals WHERE number = 3",
            {"seal_broken", "rewritten"},
        ),
        (
            "INSERT INTO audit_anchors SELECT chain, place, digest, mac FROM audit_seals WHERE number = 1",
            {"anchor_broken", "missing"},
        ),
        (
            "INSERT INTO audit_anchors SELECT 0, number, mac, mac FROM audit_seals WHERE number = 1",
            {"anchor_broken", "missing"},
        ),
    ],
)
async def test_16_4_2_seals_and_anchors_cannot_be_forged(one: Pool, statement: str, expected: set[str]) -> None:
    for event in ("a", "b", "c"):
        await record(one, event, "and more")
        await seal(one)
    assert await breaks(one) == []
    await tamper(one, statement)
    assert {found.fault for found in await breaks(one)} == expected


async def test_16_4_2_a_row_outside_of_the_chains_is_found(one: Pool) -> None:
    """Those from before there were chains are counted, and are older than all that are in one."""
    await tamper(
        one, "INSERT INTO audit_events (at, event, actor) SELECT now(), 'old', 'user' FROM generate_series(1, 3)"
    )
    await record(one, "a")
    found = await verify(one, MASTER)
    assert (found.inspection.breaks, found.inspection.rows, found.unchained) == ([], 1, 3)
    await tamper(one, "INSERT INTO audit_events (at, event, actor) VALUES (now(), 'slipped in', 'user')")
    async with transaction(one) as conn:
        slipped = (await list_events(conn))[-1].id
    assert await breaks(one) == [Break("unchained", 0, 0, slipped)]


async def test_expired_rows_go_from_the_beginning_of_a_chain_and_in_batches(one: Pool) -> None:
    """Each batch leaves an anchor, and the rest can be verified; a young row keeps those behind it."""
    now, keep = system_clock(), timedelta(days=100)
    for number, days in enumerate((500, 400, 300, 50, 200, 10)):
        await record(one, str(number), at=now - timedelta(days=days))
    await seal(one, now)
    counts = []
    for _ in range(4):
        async with transaction(one) as conn:
            counts.append(await delete_expired(conn, MASTER, now=now, keep=keep, limit=2))
        assert await breaks(one) == []
    assert counts == [2, 1, 0, 0]
    assert [link.said[4] for link in await links(one)] == ["3", "4", "5"]
    async with transaction(one) as conn:
        assert [anchor.place for anchor in await list_anchors(conn)] == [3]
    # An anchor of before, which is good in itself, does not fit any more.
    await tamper(one, "DELETE FROM audit_events WHERE place = 4")
    assert [found.fault for found in await breaks(one)] == ["missing"]


async def test_two_clean_ups_at_once_remove_the_same_rows_once(pool: Pool) -> None:
    now = system_clock()
    for number in range(30):
        await record(pool, str(number), at=now - timedelta(days=500))

    async def clean() -> int:
        async with transaction(pool) as conn:
            return await delete_expired(conn, MASTER, now=now, keep=timedelta(days=400), limit=20)

    counts = [count for _ in range(3) for count in await asyncio.gather(clean(), clean())]
    assert (sum(counts), await breaks(pool)) == (30, [])


async def test_seals_go_once_all_that_they_seal_has_gone(one: Pool) -> None:
    """And the newest never: the numbers go on behind an anchor of their own."""
    now, keep, day = system_clock(), timedelta(days=100), timedelta(days=1)
    for days in (500, 400, 300, 99):
        await record(one, str(days), at=now - days * day)
        await seal(one, now - days * day)

    async def clean(limit: int) -> tuple[int, ...]:
        async with transaction(one) as conn:
            await delete_expired(conn, MASTER, now=now, keep=keep, limit=limit)
            await audit_seals.delete_expired(conn, MASTER, now=now, keep=keep, limit=limit)
            return tuple(seal.number for seal in await list_seals(conn, after=0, limit=ALL))

    assert await clean(1) == (2, 3, 4)
    assert await breaks(one) == []
    assert await clean(1) == (3, 4)
    assert await clean(9) == (4,)
    assert await clean(9) == (4,)
    await record(one, "new")
    assert await seal(one, now) == 1
    found = await inspected(one)
    assert (found.breaks, found.last_seal and found.last_seal.number) == ([], 5)
    await tamper(one, "DELETE FROM audit_anchors WHERE chain = 0")
    assert [found.fault for found in await breaks(one)] == ["missing"]


async def test_seals_are_appended_and_never_changed(one: Pool) -> None:
    await record(one, "a")
    await seal(one, system_clock())
    for statement in ("UPDATE audit_seals SET number = 9", "DELETE FROM audit_seals", "TRUNCATE audit_seals"):
        with pytest.raises(asyncpg.RaiseError):
            async with transaction(one) as conn:
                await conn.execute(statement)


async def test_what_has_not_grown_is_not_sealed_again(pool: Pool) -> None:
    """By however many processes: the seals are numbered without a gap."""
    await record(pool, "a", "b")
    counts = await asyncio.gather(*(seal(pool) for _ in range(5)))
    assert sorted(counts)[:4] == [0, 0, 0, 0]
    assert await seal(pool) == 0
    await record(pool, "c")
    assert await seal(pool) == 1
    assert await breaks(pool) == []


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


def master_of(idp: Installation) -> MasterKey:
    async def find() -> MasterKey:
        pool = await open_pool(idp.database)
        try:
            return await ensure_master_key(pool, idp.home / "keys", None, entropy=system_entropy)
        finally:
            await pool.close()

    return asyncio.run(find())


def test_the_command_says_what_holds_and_until_when(idp: Installation) -> None:
    idp.json("user", "add", "--username", "alice")
    told = idp.json("audit", "verify")
    assert (told["verified"], told["sealed"], told["breaks"], told["unchained"]) == (True, None, [], 0)
    assert "Nothing is sealed yet" in idp.do("audit", "verify").stdout
    master = master_of(idp)
    idp.in_database(lambda conn: seal_chains(conn, master, START))
    told = idp.json("audit", "verify")
    assert (told["rows"], told["sealed"]["at"], told["seals"]) == (1, START.isoformat(), told["chains"])
    text = idp.do("audit", "verify").stdout
    assert "The audit trail is whole: 1 rows in 1 chains." in text
    assert f"Sealed until {START:%Y-%m-%d %H:%M:%S} UTC, by seal {told['sealed']['number']}" in text


def test_the_command_ends_with_1_and_names_the_row(idp: Installation) -> None:
    """And shows nothing of what the row says."""
    idp.json("user", "add", "--username", "alice")
    [event] = idp.json("audit", "tail")

    async def forge(conn: Connection) -> None:
        await conn.execute("ALTER TABLE audit_events DISABLE TRIGGER USER")
        await conn.execute('UPDATE audit_events SET details = \'{"username": "mallory"}\'')
        await conn.execute("ALTER TABLE audit_events ENABLE TRIGGER USER")

    idp.in_database(forge)
    result = idp.do("audit", "verify", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["verified"], [(one["fault"], one["id"]) for one in told["breaks"]]) == (
        False,
        [("changed", event["id"])],
    )
    result = idp.do("audit", "verify")
    assert (result.exit_code, f"row {event['id']} was changed" in result.stdout, "mallory" in result.stdout) == (
        1,
        True,
        False,
    )


def test_the_command_needs_the_master_key(idp: Installation) -> None:
    """Under another one no seal is good."""
    idp.json("user", "add", "--username", "alice")
    idp.in_database(lambda conn: seal_chains(conn, MASTER, START))
    told = json.loads(idp.do("audit", "verify", "--json").stdout)
    assert [one["fault"] for one in told["breaks"]] == ["seal_broken"]
