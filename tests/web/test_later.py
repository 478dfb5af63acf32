"""Work after the answer: at a random moment, done at once when the server ends, and its failure nobody else's."""

import asyncio
import logging
from datetime import timedelta

import pytest

from idp.web.later import Later
from tests.doubles import SeededEntropy


class Work:
    """Counts how often it was done."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> None:
        self.times += 1


async def test_A_49_nothing_is_done_before_its_moment() -> None:
    """Nor does whoever asks for it wait: `do` is over before anything has begun."""
    work, later = Work(), Later(timedelta(hours=1), SeededEntropy())
    later.do(work)
    assert work.times == 0
    for _ in range(10):
        await asyncio.sleep(0)
    assert work.times == 0
    await later.close()


async def test_A_49_the_moment_is_random_within_the_spread() -> None:
    """A fixed wait would move what can be measured and not hide it."""
    loop, begun, waits = asyncio.get_running_loop(), 0.0, []
    later = Later(timedelta(seconds=0.2), SeededEntropy())

    async def work() -> None:
        waits.append(loop.time() - begun)

    begun = loop.time()
    for _ in range(20):
        later.do(work)
    await later.done()
    assert len(waits) == 20
    assert max(waits) - min(waits) > 0.05


async def test_a_server_that_ends_does_what_is_left() -> None:
    """At once, however long it could have waited."""
    work, later = Work(), Later(timedelta(hours=1), SeededEntropy())
    later.do(work)
    later.do(work)
    async with asyncio.timeout(10):
        await later.close()
    assert work.times == 2


async def test_what_fails_is_logged_and_stops_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """There is nobody left to be told."""
    work, later = Work(), Later(timedelta(0), SeededEntropy())

    async def broken() -> None:
        raise RuntimeError("a gateway is gone")

    with caplog.at_level(logging.ERROR):
        later.do(broken)
        later.do(work)
        await later.done()
    assert work.times == 1
    assert "a gateway is gone" in caplog.text
