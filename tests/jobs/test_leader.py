"""Who runs the jobs, and that nothing that goes wrong with one of them, or with a process, stops them."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from idp.base.seal import MasterKey
from idp.jobs import Duties, Job, Round
from idp.jobs.leader import AGAIN, JITTER, Leader, working
from idp.model.job_run import JobRun
from idp.store.database import Connection, Pool, own_connection, transaction
from idp.store.job_runs import list_runs, take_lead
from tests.doubles import START, FrozenClock, SeededEntropy

T = TypeVar("T")
EVERY = timedelta(minutes=10)
LONGEST = EVERY * (1 + JITTER)
LEADS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"


async def nobody(conn: Connection, now: object, limit: int) -> int:
    return 0


@dataclass
class Work:
    """A job that goes through so many rows, and keeps which batches were asked of it."""

    left: int = 0
    limits: list[int] = field(default_factory=list)
    fault: Exception | None = None
    did: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _conn: Connection, work: Round) -> int:
        self.limits.append(work.limit)
        self.did.set()
        if self.fault:
            raise self.fault
        done = min(self.left, work.limit)
        self.left -= done
        return done


def leader(database: str, *jobs: Job, clock: FrozenClock | None = None) -> Leader:
    duties = Duties(audit=timedelta(days=400), master=MasterKey(bytes(32)), remind=nobody)
    return Leader(database, jobs, duties, clock or FrozenClock(), SeededEntropy(), poll_seconds=0.02, pause_seconds=0)


async def make_due(pool: Pool, *names: str) -> None:
    """Let these jobs be due since long."""
    async with transaction(pool) as conn:
        for name in names:
            await conn.execute("INSERT INTO job_runs (name, next_at) VALUES ($1, $2)", name, START - EVERY)


async def run_of(pool: Pool, name: str) -> JobRun:
    async with transaction(pool) as conn:
        return (await list_runs(conn))[name]


async def found(find: Callable[[], Awaitable[T | None]]) -> T:
    """What this finds, once it finds something."""
    async with asyncio.timeout(20):
        while True:
            if (it := await find()) is not None:
                return it
            await asyncio.sleep(0.01)


async def ended(pool: Pool, name: str) -> JobRun:
    """How the job went, once it has ended."""

    async def find() -> JobRun | None:
        run = await run_of(pool, name)
        return run if run.last_ended_at else None

    return await found(find)


async def leading(pool: Pool) -> int:
    """The server's process that holds the lead, once one does."""

    async def find() -> int | None:
        async with transaction(pool) as conn:
            pid: int | None = await conn.fetchval(LEADS)
        return pid

    return await found(find)


@asynccontextmanager
async def once(database: str) -> AsyncIterator[Connection]:
    async with own_connection(database) as conn:
        assert await take_lead(conn)
        yield conn


async def test_a_run_goes_batch_by_batch_until_nothing_is_left(pool: Pool, database: str) -> None:
    work = Work(left=25)
    job = Job("some", EVERY, work, size=10)
    async with once(database) as conn:
        assert EVERY <= await leader(database, job).run_once(conn, job) <= LONGEST
    assert (work.limits, work.left) == ([10, 10, 10], 0)
    run = await run_of(pool, "some")
    assert (run.last_started_at, run.last_ended_at, run.rows, run.fault) == (START, START, 25, None)
    assert START + EVERY <= run.next_at <= START + LONGEST


async def test_a_run_is_bounded_and_goes_on_soon(pool: Pool, database: str) -> None:
    work = Work(left=1000)
    job = Job("many", EVERY, work, size=10, batches=3)
    async with once(database) as conn:
        assert await leader(database, job).run_once(conn, job) == AGAIN
    run = await run_of(pool, "many")
    assert (run.rows, run.next_at, work.left) == (30, START + AGAIN, 970)


async def test_a_job_that_always_has_more_keeps_no_other_waiting(pool: Pool, database: str) -> None:
    endless, other = Work(left=10**9), Work()
    await make_due(pool, "endless", "other")
    jobs = (Job("endless", EVERY, endless, size=10, batches=3), Job("other", EVERY, other))
    async with working(leader(database, *jobs)):
        await asyncio.wait_for(other.did.wait(), 20)
    assert len(endless.limits) <= 3


@pytest.mark.parametrize("at_first", [True, False])
async def test_a_job_that_fails_ends_no_other(
    pool: Pool, database: str, at_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Why it failed is kept without what the fault says, which may hold anything."""
    fails, works = Work(fault=ValueError("a secret")), Work(left=1)
    jobs = [Job("fails", EVERY, fails), Job("works", EVERY, works)]
    await make_due(pool, *(["fails", "works"] if at_first else ["works", "fails"]))
    async with working(leader(database, *(jobs if at_first else jobs[::-1]))):
        await ended(pool, "works")
        failed = await ended(pool, "fails")
    assert (failed.fault, failed.rows) == ("ValueError", 0)
    assert (await run_of(pool, "works")).fault is None
    assert failed.next_at >= START + EVERY
    assert "job fails failed" in caplog.text


async def test_a_fault_of_the_database_is_kept_and_the_batches_before_it_stay(pool: Pool, database: str) -> None:
    async def divide(conn: Connection, work: Round) -> int:
        await conn.execute("INSERT INTO done SELECT count(*) FROM done")
        await conn.execute("SELECT 1 / (2 - count(*)) FROM done")
        return work.limit

    async with transaction(pool) as conn:
        await conn.execute("CREATE TABLE done (n int)")
    job = Job("divides", EVERY, divide, size=10)
    async with once(database) as conn:
        await leader(database, job).run_once(conn, job)
        assert await conn.fetchval("SELECT count(*) FROM done") == 1
    run = await run_of(pool, "divides")
    assert (run.fault, run.rows) == ("DivisionByZeroError", 10)


async def test_one_of_many_leads(pool: Pool, database: str) -> None:
    works = [Work() for _ in range(4)]
    await make_due(pool, "some")
    async with AsyncExitStack() as stack:
        for work in works:
            await stack.enter_async_context(working(leader(database, Job("some", EVERY, work))))
        await ended(pool, "some")
        await leading(pool)
        await asyncio.sleep(0.2)
    assert sum(len(work.limits) for work in works) == 1


async def test_what_is_due_outlasts_a_restart(pool: Pool, database: str) -> None:
    """A new leader does not begin all over again, nor put off what was due."""
    clock, work = FrozenClock(), Work()
    job = Job("some", EVERY, work)

    async def planned() -> JobRun | None:
        async with transaction(pool) as conn:
            return (await list_runs(conn)).get("some")

    async with working(leader(database, job, clock=clock)):
        await found(planned)
    first = (await run_of(pool, "some")).next_at
    assert START + EVERY <= first <= START + LONGEST
    clock.advance(EVERY * 0.9)
    async with working(leader(database, job, clock=clock)):
        await leading(pool)
    assert (await run_of(pool, "some")).next_at == first
    assert work.limits == []
    clock.advance(EVERY * 0.3)
    async with working(leader(database, job, clock=clock)):
        await asyncio.wait_for(work.did.wait(), 20)


async def test_who_has_lost_the_connection_works_no_more_and_another_takes_over(pool: Pool, database: str) -> None:
    """The work under way is on the connection with the lock: it ends with it, and nothing of its batch stays."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def lasts(conn: Connection, work: Round) -> int:
        await conn.execute("INSERT INTO done VALUES (1)")
        begun.set()
        try:
            await conn.execute("SELECT pg_sleep(60)")
        finally:
            over.set()
        return 0

    async with transaction(pool) as conn:
        await conn.execute("CREATE TABLE done (n int)")
    await make_due(pool, "lasts", "other")
    other = Work()
    jobs = Job("lasts", EVERY, lasts), Job("other", EVERY, other)
    async with working(leader(database, *jobs)):
        await asyncio.wait_for(begun.wait(), 20)
        pid = await leading(pool)
        async with transaction(pool) as conn:
            await conn.execute("SELECT pg_terminate_backend($1)", pid)
        await asyncio.wait_for(over.wait(), 20)
        # What had begun and did not end is not the first thing that is done again.
        await asyncio.wait_for(other.did.wait(), 20)
    run = await run_of(pool, "lasts")
    assert (run.last_started_at, run.last_ended_at) == (START, None)
    assert run.next_at >= START + EVERY
    async with transaction(pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM done") == 0


async def test_who_finds_the_lock_gone_leads_no_more(
    pool: Pool, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As behind a pooler that hands a session on after each transaction."""
    work = Work()

    async def unlock(conn: Connection, round_: Round) -> int:
        await conn.execute("SELECT pg_advisory_unlock_all()")
        return await work(conn, round_)

    await make_due(pool, "unlocks", "next")
    jobs = Job("unlocks", EVERY, unlock), Job("next", EVERY, Work())
    async with working(leader(database, *jobs)):
        await ended(pool, "next")
    assert "the lock of the jobs is gone" in caplog.text
    assert len(work.limits) == 1


LEADER = """
import asyncio, sys
from idp.store.database import own_connection
from idp.store.job_runs import take_lead

async def main():
    async with own_connection(sys.argv[1]) as conn:
        assert await take_lead(conn)
        print("leads", flush=True)
        await conn.execute("SELECT pg_sleep(1)")
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_process_that_dies_as_leader_is_replaced_within_seconds(pool: Pool, database: str) -> None:
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
        [sys.executable, "-c", LEADER, database], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"leads\n"
        work = Work()
        await make_due(pool, "some")
        usual = Leader(database, (), Duties(timedelta(0), MasterKey(bytes(32)), nobody), FrozenClock(), SeededEntropy())
        async with working(replace(usual, jobs=(Job("some", EVERY, work),))):
            await asyncio.sleep(0.3)
            assert not work.did.is_set()
            process.send_signal(signal.SIGKILL)
            await asyncio.wait_for(work.did.wait(), 15)
    finally:
        process.kill()
        process.communicate()


async def test_no_database_ends_no_leader(caplog: pytest.LogCaptureFixture) -> None:
    async def told_twice() -> bool | None:
        return caplog.text.count("jobs wait for the database") > 1 or None

    async with working(leader("postgresql://idp@/idp?host=/nonexistent")):
        assert await found(told_twice)
