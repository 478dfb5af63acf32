"""The database's time in this process, and the word on a machine whose own is wrong."""

import logging
import re
from datetime import timedelta

import asyncpg
import pytest

from idp.base.clock import CarriedClock, system_clock
from idp.store.clock import ClockGuard, database_time, keeping_time
from idp.store.database import Connection, Pool, Unavailable, connection
from tests.base.test_clock import Stopwatch
from tests.doubles import FrozenClock

LOG = "idp.store.clock"


async def test_the_databases_time_goes_on_within_a_transaction(conn: Connection) -> None:
    first = await database_time(conn)
    assert first.utcoffset() == timedelta(0)
    assert await database_time(conn) > first


@pytest.mark.parametrize("skew", [timedelta(seconds=90), timedelta(minutes=-50), timedelta(days=8)])
async def test_A_79_a_process_goes_by_the_databases_time(
    pool: Pool, skew: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    guard = ClockGuard(CarriedClock(wall=lambda: system_clock() + skew))
    async with keeping_time(pool, guard):
        async with connection(pool) as conn:
            before = await database_time(conn)
            now = guard.clock()
            after = await database_time(conn)
        # Half of a round trip, on a machine that may be busy.
        assert before - timedelta(milliseconds=200) < now < after + timedelta(milliseconds=200)
        assert guard.is_off()
        assert abs(guard.clock.lead() - skew) < timedelta(seconds=0.5)
        [line] = [record.getMessage() for record in caplog.records if record.name == LOG]
        said = re.search(r"clock is ([0-9.]+) s (ahead of|behind) the database's", line)
        assert said, line
        assert abs(float(said[1]) - abs(skew.total_seconds())) < 0.5
        assert said[2] == ("ahead of" if skew > timedelta(0) else "behind")


async def test_the_log_tells_when_a_clock_parts_and_when_it_agrees_again(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    wall, steady = FrozenClock(system_clock()), Stopwatch()
    guard = ClockGuard(CarriedClock(steady=steady, wall=wall))
    await guard.measure(pool)
    right, told = guard.clock(), []
    for lead in (4.9, 5.1, 6.1, 4.1, -4.9, -5.1, -90.0, 0.0):
        wall.now = right + timedelta(seconds=lead)
        before = len(caplog.records)
        assert guard.is_off() == (abs(lead) > 5)
        told.append([record.getMessage() for record in caplog.records[before:]])
    assert [len(lines) for lines in told] == [0, 1, 0, 1, 0, 1, 0, 1]
    assert "is 5.1 s ahead of the database's" in told[1][0]
    assert "is 5.1 s behind the database's" in told[5][0]
    assert told[3] == told[7] == ["this machine's clock agrees with the database's again"]
    assert {record.levelno for record in caplog.records} == {logging.ERROR, logging.WARNING}


async def test_a_time_that_is_long_in_coming_is_not_believed(pool: Pool) -> None:
    steady = Stopwatch()

    def slow() -> float:
        steady.seconds += 1.5
        return steady.seconds

    guard = ClockGuard(CarriedClock(steady=slow))
    with pytest.raises(Unavailable):
        await guard.measure(pool)


async def test_without_a_database_the_clock_goes_on(pool: Pool, database: str) -> None:
    steady = Stopwatch()
    guard = ClockGuard(CarriedClock(steady=steady))
    await guard.measure(pool)
    before = guard.clock()
    await pool.close()
    with pytest.raises((Unavailable, asyncpg.InterfaceError)):
        await guard.measure(pool)
    steady.seconds += 3600
    assert guard.clock() - before == timedelta(hours=1)
