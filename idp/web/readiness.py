"""Whether this process can serve: looked at when asked, but not each time, and slow to believe one bad moment."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from idp.base.clock import Steady, steady_clock
from idp.store.database import Pool, Unavailable
from idp.store.readiness import Fault, find_fault, forget

FRESH_SECONDS = 1.0
"""For so long a finding is the answer to everybody: asking often is no way to keep the database busy."""
ANSWER_SECONDS = 2.0
"""Whoever asks waits for no longer than this."""
LASTING_SECONDS = 5.0
"""What may pass counts once it has lasted longer than any request may wait: two seconds and a statement's three."""

_LOG = logging.getLogger(__name__)


class Readiness:
    """What keeps this process from serving.

    What the database refuses (a write, a connection) counts at once. What may pass is looked at again every second,
    asked or not, until it is over or has lasted. ``is_clock_off`` says whether the machine's clock is wrong.
    """

    def __init__(
        self,
        pool: Pool,
        process: str,
        *,
        is_clock_off: Callable[[], bool] = lambda: False,
        steady: Steady = steady_clock,
        lasting: float = LASTING_SECONDS,
    ) -> None:
        self._pool = pool
        self._process = process
        self._is_clock_off = is_clock_off
        self._steady = steady
        self._lasting = lasting
        self._looking: asyncio.Task[None] | None = None
        self._begun = 0.0
        self._settled: tuple[Fault, ...] = ()
        self._passing: Fault = "database_slow"
        self._passing_since: float | None = None
        self._said: tuple[Fault, ...] = ()

    async def faults(self) -> tuple[Fault, ...]:
        """All that is wrong, as it was found a second ago at most; empty where this process can serve."""
        looking = self._looking
        if looking is None or (looking.done() and self._steady() - self._begun >= FRESH_SECONDS):
            looking = self._looking = asyncio.create_task(self._look())
        if self._passing_since is None:
            await asyncio.wait({looking}, timeout=ANSWER_SECONDS)
        if looking.done():
            looking.result()
        found = (*self._of_database(looking), *self._of_clock())
        self._say(found)
        return found

    async def close(self) -> None:
        """Look no more, and leave nothing in the database."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        with contextlib.suppress(Unavailable):
            await forget(self._pool, self._process)

    async def _look(self) -> None:
        while True:
            self._begun = self._steady()
            finding = await find_fault(self._pool, self._process)
            if finding is None or not finding.passing:
                self._settled = () if finding is None else (finding.fault,)
                self._passing_since = None
                return
            self._passing = finding.fault
            self._passing_since = self._begun if self._passing_since is None else self._passing_since
            await asyncio.sleep(FRESH_SECONDS)

    def _of_database(self, looking: asyncio.Task[None]) -> tuple[Fault, ...]:
        fault, since = self._passing, self._passing_since
        if since is None and not looking.done():
            fault, since = "database_slow", self._begun
        lasts = since is not None and self._steady() - since >= self._lasting
        return (fault,) if lasts else self._settled

    def _of_clock(self) -> tuple[Fault, ...]:
        return ("clock_off",) if self._is_clock_off() else ()

    def _say(self, found: tuple[Fault, ...]) -> None:
        if found and found != self._said:
            _LOG.warning("not ready: %s", ", ".join(found))
        if self._said and not found:
            _LOG.warning("ready again")
        self._said = found


@contextlib.asynccontextmanager
async def watching(pool: Pool, process: str, is_clock_off: Callable[[], bool]) -> AsyncIterator[Readiness]:
    """Lend the readiness of this process, which leaves nothing in the database behind; raises Unavailable at first."""
    await forget(pool, process)
    readiness = Readiness(pool, process, is_clock_off=is_clock_off)
    try:
        yield readiness
    finally:
        await readiness.close()
