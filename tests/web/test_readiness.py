"""Whether a process says that it can serve, on a database that cannot, does not, or only waits for somebody."""

import asyncio
import contextlib
import ctypes
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest

from idp.base.entropy import system_entropy, token
from idp.store.database import Pool, Unavailable, connection, open_pool, transaction
from idp.store.embedded import EmbeddedPostgres
from idp.store.readiness import Fault
from idp.web.readiness import Readiness, watching
from tests.driver import Rig

MOMENT = 1.0
"""How long trouble has to last in these tests, in seconds."""


@pytest.fixture
async def readiness(pool: Pool) -> AsyncIterator[Readiness]:
    made = Readiness(pool, "a process", lasting=MOMENT)
    yield made
    await made.close()


async def becomes(readiness: Readiness, *faults: Fault, within: float = 20) -> float:
    """Ask until this is the answer, and return how long that took; no answer takes longer than it may."""
    begun = monotonic()
    while True:
        asked = monotonic()
        found = await readiness.faults()
        assert monotonic() - asked < 4
        if found == faults:
            return monotonic() - begun
        assert monotonic() - begun < within, found
        await asyncio.sleep(0.1)


async def rows(pool: Pool) -> list[str]:
    async with connection(pool) as conn:
        return [row["process"] for row in await conn.fetch("SELECT process FROM readiness ORDER BY process")]


async def in_database(dsn: str, *statements: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await conn.execute(statement)
    finally:
        await conn.close()


async def test_a_process_writes_one_row_of_its_own_and_takes_it_along(pool: Pool) -> None:
    async with watching(pool, "one", lambda: False) as one, watching(pool, "two", lambda: False) as two:
        for _ in range(3):
            assert await one.faults() == await two.faults() == ()
        assert await rows(pool) == ["one", "two"]
    assert await rows(pool) == []


async def test_rows_of_processes_that_were_killed_are_cleared_by_the_next_one(pool: Pool) -> None:
    async with connection(pool) as conn:
        await conn.execute(
            """
            INSERT INTO readiness (process, written_at)
            VALUES ('killed', now() - interval '25 hours'), ('seldom asked', now() - interval '23 hours')
            """
        )
    async with watching(pool, "new", lambda: False):
        assert await rows(pool) == ["seldom asked"]


async def test_the_answer_over_http(rig: Rig, database: str) -> None:
    provider = rig.app.state.provider
    transport = httpx2.ASGITransport(app=rig.app)
    async with httpx2.AsyncClient(transport=transport, base_url=rig.issuer) as http:
        answer = await http.get("/health/ready")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        async with _read_only(database, provider.pool):
            await becomes(provider.readiness, "database_not_writable")
            answer = await http.get("/health/ready")
            expected = {"status": "unavailable", "faults": ["database_not_writable"]}
            assert (answer.status_code, answer.json()) == (503, expected)
            assert (await http.get("/health/live")).status_code == 200


@contextlib.asynccontextmanager
async def _read_only(dsn: str, pool: Pool) -> AsyncIterator[None]:
    """A database that takes no changes, as an installation does that has failed over to a standby."""
    name = urlsplit(dsn).path.lstrip("/")
    await in_database(dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await pool.expire_connections()
    try:
        yield
    finally:
        await in_database(
            dsn, "SET default_transaction_read_only = off", f"ALTER DATABASE {name} RESET default_transaction_read_only"
        )
        await pool.expire_connections()


async def test_a_database_that_takes_no_changes_is_found_at_once_and_so_is_its_recovery(
    readiness: Readiness, pool: Pool, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await readiness.faults() == ()
    async with _read_only(database, pool):
        assert await becomes(readiness, "database_not_writable") < 3
    assert await becomes(readiness) < 3
    told = [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "idp.web.readiness"]
    assert told == [(logging.WARNING, "not ready: database_not_writable"), (logging.WARNING, "ready again")]


@pytest.fixture
def small_disk(scratch: Path) -> Iterator[Path]:
    """A file system of 40 MB; only root can make one."""
    place = scratch / f"disk-{token(system_entropy)[:8]}"
    place.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(place), b"tmpfs", 0, b"size=40m,mode=0777") != 0:
        pytest.skip(f"no file system can be made here: {os.strerror(ctypes.get_errno())}")
    yield place
    libc.umount2(os.fsencode(place), 2)


async def test_F8_a_full_disk_is_found_and_so_is_its_recovery(postgres: EmbeddedPostgres, small_disk: Path) -> None:
    name, tablespace = f"full_{token(system_entropy)[:8].lower().replace('-', '_')}", small_disk / "tablespace"
    tablespace.mkdir(mode=0o777)
    _give_to_server(tablespace, postgres)
    await in_database(postgres.dsn(), f"CREATE TABLESPACE {name} LOCATION '{tablespace}'")
    await in_database(postgres.dsn(), f"CREATE DATABASE {name} TEMPLATE template_idp TABLESPACE {name}")
    pool = await open_pool(postgres.dsn(name))
    try:
        async with watching(pool, "full", lambda: False) as readiness:
            assert await readiness.faults() == ()
            ballast = small_disk / "ballast"
            with ballast.open("wb", buffering=0) as opened, contextlib.suppress(OSError):
                while True:
                    opened.write(b"\0" * 4096)
            with pytest.raises(Unavailable):
                async with transaction(pool) as conn:
                    await conn.execute("CREATE TABLE big AS SELECT repeat('x', 900) FROM generate_series(1, 100)")
            assert await becomes(readiness, "database_not_writable") < 3
            ballast.unlink()
            assert await becomes(readiness) < 3
    finally:
        await pool.close()
        await in_database(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)")
        await in_database(postgres.dsn(), f"DROP TABLESPACE {name}")


def _give_to_server(directory: Path, postgres: EmbeddedPostgres) -> None:
    """Let the account that the server runs under own it."""
    owner = (postgres.home / "postgres").stat()
    os.chown(directory, owner.st_uid, owner.st_gid)


async def test_F4_a_database_that_is_away_is_found_and_so_is_its_return(scratch: Path) -> None:
    with EmbeddedPostgres(scratch / f"away-{token(system_entropy)[:8]}", durable=False) as server:
        await in_database(server.dsn(), "CREATE TABLE readiness (process text PRIMARY KEY, written_at timestamptz)")
        pool = await open_pool(server.dsn())
        async with watching(pool, "alone", lambda: False) as readiness:
            assert await readiness.faults() == ()
            server.stop()
            assert await becomes(readiness, "database_unreachable") < 5
            server.start()
            assert await becomes(readiness) < 5
        await pool.close()


async def test_F26_a_database_that_says_nothing_any_more_is_found_within_ten_seconds(
    database: str, postgres: EmbeddedPostgres
) -> None:
    """With the time that trouble has to last in earnest, and a server that is stopped in the middle of everything."""
    async with _silenceable(database) as (dsn, silence), contextlib.AsyncExitStack() as stack:
        pool = await open_pool(dsn)
        stack.callback(pool.terminate)
        readiness = await stack.enter_async_context(watching(pool, "cut off", lambda: False))
        assert await readiness.faults() == ()
        silence(True)
        assert 4 < await becomes(readiness, "database_slow") < 10
        silence(False)
        assert await becomes(readiness) < 10


@contextlib.asynccontextmanager
async def _silenceable(dsn: str) -> AsyncIterator[tuple[str, Callable[[bool], None]]]:
    """A way to the database on which packets can be held up, in both directions."""
    flowing = asyncio.Event()
    flowing.set()
    query = urlsplit(dsn).query
    socket = Path(httpx2.QueryParams(query)["host"]) / ".s.PGSQL.5432"
    ways: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            while chunk := await reader.read(2**16):
                await flowing.wait()
                writer.write(chunk)
                await writer.drain()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await flowing.wait()
        answer, request = await asyncio.open_unix_connection(socket)
        both = {asyncio.ensure_future(copy(reader, request)), asyncio.ensure_future(copy(answer, writer))}
        ways.update(both)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    split = urlsplit(dsn)
    try:
        yield (
            f"postgresql://{split.username}@127.0.0.1:{port}{split.path}",
            lambda silent: flowing.clear() if silent else flowing.set(),
        )
    finally:
        flowing.set()
        server.close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def test_F7_an_exhausted_pool_is_found_once_it_lasts(database: str) -> None:
    pool = await open_pool(database, max_size=2)
    async with watching(pool, "busy", lambda: False) as readiness:
        async with contextlib.AsyncExitStack() as held:
            for _ in range(2):
                await held.enter_async_context(connection(pool))
            # Anything that a request can do ends within five seconds.
            assert 4 < await becomes(readiness, "connections_exhausted") < 12
        assert await becomes(readiness) < 5
    await pool.close()


async def test_a_pool_that_is_exhausted_for_a_moment_changes_nothing(database: str) -> None:
    pool = await open_pool(database, max_size=1)
    async with watching(pool, "busy", lambda: False) as readiness:
        for _ in range(2):
            async with connection(pool):
                assert await readiness.faults() == ()
            assert await becomes(readiness) < 3
    await pool.close()


@pytest.mark.parametrize("table", ["users", "sessions", "readiness"])
async def test_a_lock_that_somebody_holds_changes_nothing(
    pool: Pool, database: str, table: str, readiness: Readiness
) -> None:
    """One on the table of the check itself, as its migration would hold, may last for less than a moment."""
    readiness = Readiness(pool, "unmoved", lasting=MOMENT if table != "readiness" else 60)
    holder = await asyncpg.connect(database)
    try:
        async with holder.transaction():
            await holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            async with asyncio.timeout(20):
                for _ in range(3):
                    assert await readiness.faults() == ()
                    await asyncio.sleep(1.05)
        assert await readiness.faults() == ()
    finally:
        await holder.close()
        await readiness.close()


async def test_a_slow_statement_and_a_lost_connection_change_nothing(
    pool: Pool, readiness: Readiness, database: str
) -> None:
    async with connection(pool) as conn:
        slow = asyncio.create_task(conn.execute("SELECT pg_sleep(2.5)"))
        while not slow.done():
            assert await readiness.faults() == ()
            await asyncio.sleep(0.1)
        await slow
    await in_database(
        database,
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
        """,
    )
    for _ in range(15):
        assert await readiness.faults() == ()
        await asyncio.sleep(0.1)


async def test_asking_often_looks_at_the_database_once_a_second(pool: Pool, readiness: Readiness) -> None:
    written = set()
    begun = monotonic()
    while monotonic() - begun < 2.5:
        await asyncio.gather(*(readiness.faults() for _ in range(20)))
        async with connection(pool) as conn:
            written.add(await conn.fetchval("SELECT written_at FROM readiness"))
    assert len(written) <= 3


async def test_A_79_a_wrong_clock_is_a_fault_beside_the_others(pool: Pool, database: str) -> None:
    async with watching(pool, "off", lambda: True) as readiness:
        assert await readiness.faults() == ("clock_off",)
        async with _read_only(database, pool):
            await becomes(readiness, "database_not_writable", "clock_off")
