"""Which process runs the jobs, and how: one leads, the others stand by and take over within seconds."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from idp.base.clock import Clock
from idp.base.entropy import Entropy
from idp.jobs.job import Duties, Job, Round
from idp.store.database import Connection, Unavailable, own_connection, transact_on
from idp.store.job_runs import has_lead, list_runs, plan_runs, record_end, record_start, take_lead

POLL_SECONDS = 2.0
"""How often a process that stands by asks whether nobody leads, and the leader whether it still does."""
PAUSE_SECONDS = 0.05
"""What is left to others between two batches."""
AGAIN = timedelta(seconds=10)
"""When a job goes on of which a run left something to do."""
JITTER = 0.1
"""By this part of it at most an interval is longer than it says, so that jobs do not fall into step."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Leader:
    """Runs jobs while it leads.

    The lock that makes it the leader and all that jobs do are on one connection of its own: a leader that has lost the
    one can do no more of the other.
    """

    dsn: str = field(repr=False)
    jobs: Sequence[Job]
    duties: Duties = field(repr=False)
    clock: Clock
    entropy: Entropy
    poll_seconds: float = POLL_SECONDS
    pause_seconds: float = PAUSE_SECONDS

    async def run(self) -> None:
        """Stand by, lead, and stand by again when the lead was lost, until cancelled."""
        while True:
            try:
                async with own_connection(self.dsn) as conn:
                    await self._lead(conn)
            except Unavailable as error:
                _LOG.warning("jobs wait for the database: %s", error)
            except Exception:
                _LOG.exception("jobs failed, and are taken up again")
            await asyncio.sleep(self.poll_seconds)

    async def _lead(self, conn: Connection) -> None:
        """Wait for the lead, and do what is due until it is lost."""
        while not await take_lead(conn):  # noqa: ASYNC110 - whose lead it is, is another process
            await asyncio.sleep(self.poll_seconds * (1 + self._part()))
        _LOG.info("this process runs the jobs")
        due = await self._schedule(conn)
        loop = asyncio.get_running_loop()
        while await has_lead(conn):
            job = min(self.jobs, key=lambda one: due[one.name])
            wait = due[job.name] - loop.time()
            if wait > 0:
                await asyncio.sleep(min(wait, self.poll_seconds))
            else:
                due[job.name] = loop.time() + (await self.run_once(conn, job)).total_seconds()
        _LOG.error("the lock of the jobs is gone from its session: is there a pooler that shares sessions?")

    async def _schedule(self, conn: Connection) -> dict[str, float]:
        """When each job is due by the loop's own time, which no change of the clock moves."""
        now, loop_now = self.clock(), asyncio.get_running_loop().time()
        first = {job.name: now + self._interval(job) for job in self.jobs}
        await transact_on(conn, lambda conn: plan_runs(conn, first))
        runs = await list_runs(conn)
        # A clock that was wrong once does not put a job off for longer than its interval.
        waits = {name: min(runs[name].next_at if name in runs else then, then) - now for name, then in first.items()}
        return {name: loop_now + wait.total_seconds() for name, wait in waits.items()}

    async def run_once(self, conn: Connection, job: Job) -> timedelta:
        """Run a job batch by batch, keep how it went, and answer when it is due again; raises no fault of its own."""
        now, after = self.clock(), self._interval(job)
        # Kept beforehand: a run of which the process dies is not the first thing that the next one does.
        await transact_on(conn, lambda conn: record_start(conn, job.name, now, next_at=now + after))
        rows, fault, more = 0, None, False
        try:
            async for done in self._batches(conn, job, now):
                rows, more = rows + done, done >= job.size
        except Unavailable as error:
            fault, more = str(error), False
            _LOG.warning("job %s has to wait: %s", job.name, error)
        except Exception as error:
            fault, more = type(error).__name__, False
            _LOG.exception("job %s failed, and is tried again", job.name)
        wait = AGAIN if more else after
        ended = self.clock()
        await transact_on(
            conn, lambda conn: record_end(conn, job.name, ended, rows=rows, fault=fault, next_at=ended + wait)
        )
        return wait

    async def _batches(self, conn: Connection, job: Job, now: datetime) -> AsyncIterator[int]:
        work = Round(self.duties, now, job.size)
        for number in range(job.batches):
            if number:
                await asyncio.sleep(self.pause_seconds)
            done = await transact_on(conn, lambda conn: job.batch(conn, work))
            yield done
            if done < job.size:
                return

    def _interval(self, job: Job) -> timedelta:
        return job.every * (1 + JITTER * self._part())

    def _part(self) -> float:
        return int.from_bytes(self.entropy(16)) / 2**128


@contextlib.asynccontextmanager
async def working(leader: Leader) -> AsyncIterator[None]:
    """Have jobs run while the block runs, by this process or another."""
    task = asyncio.create_task(leader.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
