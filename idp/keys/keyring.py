"""The ring kept fresh: what requests read and sign with, never waiting for the database."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from idp.base import jose
from idp.base.clock import Clock
from idp.base.seal import MasterKeyWrong
from idp.keys.custody import Custody, read_ring, tend
from idp.keys.ring import Ring, build
from idp.store.database import Unavailable, listen
from idp.store.signing_keys import CHANNEL

POLL_SECONDS = 4.0
TEND_SECONDS = 60.0
SLOW = frozenset({"RS256", "PS256"})

_LOG = logging.getLogger(__name__)


class KeyRing:
    """The present ring of this process: told of every change, and asking every four seconds besides.

    Between ``start`` and ``close`` the ring is at most five seconds old while the database answers; while it does not,
    the last ring goes on serving. Any process may find that a rotation is due; one of them does it.
    """

    def __init__(self, custody: Custody, *, dsn: str, clock: Clock) -> None:
        self._custody = custody
        self._dsn = dsn
        self._clock = clock
        self._ring: Ring | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._fresh = asyncio.Lock()
        # Signing takes no lock of the interpreter: as many threads as processors, and a queue before them.
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sign")

    @property
    def ring(self) -> Ring:
        """The ring as last seen; raises ``LookupError`` before ``start``."""
        if self._ring is None:
            raise LookupError("the key ring has not been started")
        return self._ring

    async def start(self) -> None:
        """Make the keys that are due (on an empty database the first ones), read the ring and keep it fresh.

        Raises ``MasterKeyWrong`` if no key of the ring opens, ``Unavailable`` if the database does not answer.
        """
        await tend(self._custody, self._clock())
        await self.refresh()
        if not self.ring.signers:
            raise MasterKeyWrong("The master key opens none of the signing keys in this database.")
        self._tasks = (
            asyncio.create_task(listen(self._dsn, CHANNEL, self._told)),
            asyncio.create_task(_every(POLL_SECONDS, self.refresh)),
            asyncio.create_task(_every(TEND_SECONDS, self._tend)),
        )

    async def close(self) -> None:
        """Stop keeping the ring fresh; the ring stays readable, but signs no more."""
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._threads.shutdown()

    async def refresh(self) -> None:
        """Read the ring from the database; the old one stays if it cannot be read."""
        async with self._fresh:
            rows = await read_ring(self._custody.pool)
            if self._ring is not None and rows == self._ring.keys:
                return
            # Opening RSA keys takes tenths of a second, which no request is to wait for.
            max_age = int(self._custody.policy.max_age.total_seconds())
            self._ring = await asyncio.to_thread(build, rows, self._custody.master, max_age=max_age)
            for kid in self._ring.damaged:
                _LOG.error("signing key %s is damaged and is not used", kid)

    async def sign(self, claims: Mapping[str, Any], *, alg: str, typ: str) -> str:
        """The claims as a JWT signed by the active key of the algorithm; raises ``LookupError`` if there is none."""
        key = self.ring.signer(alg)
        if alg not in SLOW:
            return jose.sign(claims, key=key, typ=typ)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: jose.sign(claims, key=key, typ=typ))

    async def _told(self, _payload: str) -> None:
        await self.refresh()

    async def _tend(self) -> None:
        await tend(self._custody, self._clock())


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work again and again, for ever; no failure of one round ends it."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Unavailable as error:
            _LOG.warning("the signing keys cannot be read or changed now: %s", error)
        except Exception:
            _LOG.exception("the care of the signing keys failed; it goes on in %s s", seconds)
