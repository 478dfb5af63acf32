"""The database's time, which is the time of all processes, and how far this machine's own is from it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from idp.base.clock import CarriedClock, Reading, Steady
from idp.store.database import Connection, Pool, Unavailable, connection

FARTHEST = timedelta(seconds=5)
"""How far a machine's own time may be from the database's before the machine is not to be trusted with requests."""
MEASURE_SECONDS = 60.0

# The first answer also has the statement prepared; the quickest is the one to believe.
_READINGS = 5
_LOG = logging.getLogger(__name__)


async def database_time(conn: Connection) -> datetime:
    """The database's time at this moment, aware and in UTC; later in a transaction it is later."""
    now: datetime = await conn.fetchval("""SELECT clock_timestamp()""")
    return now


class ClockGuard:
    """Keeps a clock at the database's time, and says in the log when the machine's own parts from it.

    The clock never waits for the database: while that is away it is carried on by the machine's steady clock.
    """

    def __init__(self, clock: CarriedClock) -> None:
        self.clock = clock
        self._is_off = False

    async def measure(self, pool: Pool) -> None:
        """Have the clock follow the database's time; raises Unavailable if that cannot be had, or not quickly."""
        async with connection(pool) as conn:
            readings = [await _read(conn, self.clock.steady) for _ in range(_READINGS)]
        if not self.clock.follow(min(readings, key=lambda reading: reading.round_trip)):
            raise Unavailable("it takes too long to say what time it is")

    def is_off(self) -> bool:
        """Whether the machine's own time is more than five seconds from the database's.

        Said in the log when it begins, by how much and in which direction, and when it is over.
        """
        lead = self.clock.lead()
        was_off, self._is_off = self._is_off, abs(lead) > FARTHEST
        if self._is_off and not was_off:
            _LOG.error(
                "this machine's clock is %.1f s %s the database's: the database's time is used, and this process is "
                "not ready for requests until the clock is set right",
                abs(lead.total_seconds()),
                "ahead of" if lead > timedelta(0) else "behind",
            )
        if was_off and not self._is_off:
            _LOG.warning("this machine's clock agrees with the database's again")
        return self._is_off


@contextlib.asynccontextmanager
async def keeping_time(pool: Pool, guard: ClockGuard) -> AsyncIterator[None]:
    """Keep the guard's clock at the database's time, measured now and every minute; raises Unavailable as it begins."""
    await guard.measure(pool)
    guard.is_off()
    keeping = asyncio.create_task(_keep(pool, guard))
    try:
        yield
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def _keep(pool: Pool, guard: ClockGuard) -> None:
    while True:
        await asyncio.sleep(MEASURE_SECONDS)
        try:
            await guard.measure(pool)
        except Unavailable as error:
            _LOG.warning("the database's time cannot be had now, and is carried on from when it last was: %s", error)
        except Exception:
            _LOG.exception("the database's time could not be read, and is asked for again")
        guard.is_off()


async def _read(conn: Connection, steady: Steady) -> Reading:
    asked = steady()
    said = await database_time(conn)
    return Reading(said, asked, steady())
