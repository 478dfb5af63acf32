"""The pool, the transaction and the listener against a real PostgreSQL, the one that dies included."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from idp.store.database import Connection, Pool, Unavailable, connection, listen, notify, open_pool, transaction
from idp.store.embedded import EmbeddedPostgres


async def test_jsonb_goes_in_and_out_as_python_values(conn: Connection) -> None:
    value = {"amr": ["pwd", "otp"], "n": 1, "none": None}
    assert await conn.fetchval("SELECT $1::jsonb", value) == value
    assert await conn.fetchval("SELECT $1::jsonb ->> 'amr'", value) == json.dumps(value["amr"])


async def test_every_session_is_in_utc_and_gives_its_locks_up(conn: Connection) -> None:
    assert await conn.fetchval("SHOW timezone") == "UTC"
    assert await conn.fetchval("SHOW idle_in_transaction_session_timeout") == "15s"


async def test_a_block_that_ends_commits_and_one_that_raises_does_not(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await conn.execute("CREATE TABLE t (n int)")
        await conn.execute("INSERT INTO t VALUES (1)")
    with contextlib.suppress(LookupError):
        async with transaction(pool) as conn:
            await conn.execute("INSERT INTO t VALUES (2)")
            raise LookupError
    async with connection(pool) as conn:
        assert [row["n"] for row in await conn.fetch("SELECT n FROM t")] == [1]


async def test_a_transaction_left_open_is_rolled_back_before_the_next_use(database: str) -> None:
    pool = await open_pool(database, max_size=1)
    async with connection(pool) as conn:
        await conn.execute("BEGIN")
        await conn.execute("CREATE TABLE half_done (n int)")
    async with connection(pool) as conn:
        assert not conn.is_in_transaction()
        assert await conn.fetchval("SELECT to_regclass('half_done')") is None
    await pool.close()


async def test_a_violated_constraint_stays_what_it_is(pool: Pool) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        async with transaction(pool) as conn:
            await conn.execute("CREATE TEMP TABLE u (n int UNIQUE); INSERT INTO u VALUES (1), (1)")


async def test_waiting_for_a_connection_ends_after_two_seconds(database: str) -> None:
    pool = await open_pool(database, max_size=1)
    async with connection(pool):
        begun = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable):
            async with connection(pool):
                pytest.fail("there is no second connection")
        assert 1.5 < asyncio.get_running_loop().time() - begun < 4
    await pool.close()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SELECT pg_terminate_backend(pg_backend_pid())", id="terminated"),
        pytest.param("SELECT pg_cancel_backend(pg_backend_pid())", id="cancelled"),
        pytest.param("SET TRANSACTION READ ONLY; CREATE TABLE x ()", id="read-only"),
        pytest.param("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", id="disk-full"),
        pytest.param("DO $$ BEGIN RAISE SQLSTATE '53300'; END $$", id="too-many-connections"),
        pytest.param("DO $$ BEGIN RAISE SQLSTATE '57P03'; END $$", id="cannot-connect-now"),
        pytest.param("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", id="deadlock"),
    ],
)
async def test_a_database_that_cannot_serve_is_unavailable(pool: Pool, statement: str) -> None:
    with pytest.raises(Unavailable):
        async with transaction(pool) as conn:
            await conn.execute(statement)
    async with transaction(pool) as conn:
        assert await conn.fetchval("SELECT 1") == 1


async def test_a_connection_lost_between_two_statements_is_unavailable(pool: Pool, postgres: EmbeddedPostgres) -> None:
    async def lose_it() -> None:
        async with transaction(pool) as conn:
            await _terminate(postgres, await conn.fetchval("SELECT pg_backend_pid()"))
            await asyncio.sleep(0.1)
            await conn.fetchval("SELECT 1")

    with pytest.raises(Unavailable):
        await lose_it()


async def test_a_wrong_use_of_the_driver_is_no_unavailable_database(pool: Pool) -> None:
    with pytest.raises(asyncpg.InterfaceError):
        async with transaction(pool) as conn:
            await conn.fetchval("SELECT $1::int", 1, 2)


@pytest.mark.parametrize("dsn", ["postgresql://idp@127.0.0.1:1/idp", "postgresql://idp@/idp?host=/nonexistent"])
async def test_no_server_is_unavailable(dsn: str) -> None:
    with pytest.raises(Unavailable):
        await open_pool(dsn)


async def test_a_pool_recovers_when_the_server_comes_back(scratch: Path) -> None:
    with EmbeddedPostgres(scratch / "comes-back", durable=False) as server:
        pool = await open_pool(server.dsn())
        server.stop()
        with pytest.raises(Unavailable):
            async with transaction(pool):
                pytest.fail("there is no server")
        server.start()
        async with transaction(pool) as conn:
            assert await conn.fetchval("SELECT 1") == 1
        await pool.close()


class Heard:
    """What a listener was told, in order."""

    def __init__(self) -> None:
        self.payloads: asyncio.Queue[str] = asyncio.Queue()
        self.failures = 0

    async def __call__(self, payload: str) -> None:
        self.payloads.put_nowait(payload)
        if payload == "fail":
            self.failures += 1
            raise LookupError(payload)

    async def next(self) -> str:
        return await asyncio.wait_for(self.payloads.get(), 5)


@pytest.fixture
async def heard(database: str) -> AsyncIterator[Heard]:
    told = Heard()
    task = asyncio.create_task(listen(database, "keys", told, shortest_wait=0.01))
    assert await told.next() == "", "a listener is called once it is connected"
    yield told
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_listener_hears_what_is_committed_and_nothing_else(heard: Heard, pool: Pool) -> None:
    with contextlib.suppress(LookupError):
        async with transaction(pool) as conn:
            await notify(conn, "keys", "undone")
            raise LookupError
    async with transaction(pool) as conn:
        await notify(conn, "keys", "done")
    assert await heard.next() == "done"


async def test_a_listener_is_called_again_after_it_has_lost_its_connection(
    heard: Heard, pool: Pool, postgres: EmbeddedPostgres
) -> None:
    async with connection(pool) as conn:
        listener = await conn.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
    await _terminate(postgres, listener)
    assert await heard.next() == ""
    async with transaction(pool) as conn:
        await notify(conn, "keys", "after")
    assert await heard.next() == "after"


async def test_a_listener_outlives_a_callback_that_fails(heard: Heard, pool: Pool) -> None:
    async with transaction(pool) as conn:
        await notify(conn, "keys", "fail")
    assert await heard.next() == "fail"
    assert await heard.next() == ""
    assert heard.failures == 1


async def _terminate(postgres: EmbeddedPostgres, pid: int) -> None:
    admin = await asyncpg.connect(postgres.dsn())
    await admin.execute("SELECT pg_terminate_backend($1)", pid)
    await admin.close()
