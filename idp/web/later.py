"""Work that is done after the answer has gone."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from idp.base.entropy import Entropy

_LOG = logging.getLogger(__name__)


class Later:
    """Does work at a random moment of its own, after the answer to the request that gave rise to it.

    Neither this answer nor the next one on the same connection waits for it. Since the moment is random, within
    ``spread``, whoever measures what the server answers next does not learn from which request the work came, and so
    not whether there was any (A-49).
    """

    def __init__(self, spread: timedelta, entropy: Entropy) -> None:
        self._spread, self._entropy = spread, entropy
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    def do(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have this done; what it raises is logged, since nobody waits for it."""
        task = asyncio.create_task(self._wait_and_do(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def done(self) -> None:
        """Wait until all that waits has been done."""
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Do at once what is still to be done: a server that ends in order forgets nothing."""
        self._ending.set()
        await self.done()

    async def _wait_and_do(self, work: Callable[[], Awaitable[None]]) -> None:
        part = int.from_bytes(self._entropy(2)) / 2**16
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._spread.total_seconds() * part):
                await self._ending.wait()
        try:
            await work()
        except Exception:
            _LOG.exception("what was to be done after an answer failed")
