"""The loop that empties the outbox: one for each channel, in every process, beside the pages."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from idp.base.clock import Clock
from idp.base.seal import MasterKey
from idp.model.message import Channel, Message
from idp.notify.gateway import Gateway, NotTaken
from idp.store.database import Pool, Unavailable, listen, transact, transaction
from idp.store.outbox import CHANNEL, claim_due, drop_late, record_failure, record_sent

POLL_SECONDS = 5.0
AT_ONCE = 4
"""Messages under way in one process, and so at most the connections of the pool that record how they went."""
SEND_SECONDS = 20.0
LEASE = timedelta(minutes=1)
"""Longer than a sending may take, so that two senders never have the same message."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=1)
_RETRY_SECONDS = 1.0
ONCE: frozenset[Channel] = frozenset({"sms"})
"""Channels on which nothing is sent again by itself. A gateway that does not answer may well have sent the message; a
person who waits for a code asks for another one (F15)."""

_LOG = logging.getLogger(__name__)


def wait_after(attempts: int) -> timedelta:
    """How long a message rests after so many failed attempts: 5 s, 20 s, 80 s … and at last an hour."""
    return min(FIRST_WAIT * (1 << 2 * min(attempts - 1, 10)), LONGEST_WAIT)


@dataclass(slots=True)
class Sender:
    """Sends what is due on one channel; a gateway that hangs holds up this channel and nothing else."""

    pool: Pool
    channel: Channel
    gateway: Gateway
    clock: Clock
    master_key: MasterKey = field(repr=False)
    send_seconds: float = SEND_SECONDS
    poll_seconds: float = POLL_SECONDS
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Look into the outbox now."""
        self._woken.set()

    async def run(self) -> None:
        """Send what is due whenever woken, and every few seconds besides, until cancelled."""
        while True:
            self._woken.clear()
            if await self._round() < AT_ONCE:
                # Not `wait_for`: in Python 3.11 it loses a cancellation that comes together with the waking.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.poll_seconds):
                        await self._woken.wait()

    async def _round(self) -> int:
        """Send once; no failure ends the loop."""
        try:
            return await self.send_due()
        except Unavailable as error:
            _LOG.warning("the outbox cannot be read now: %s", error)
        except Exception:
            _LOG.exception("sending failed; it goes on in %s s", self.poll_seconds)
        return 0

    async def send_due(self) -> int:
        """Send some of what is due, drop what is too old, and answer how many were tried; raises Unavailable."""
        now = self.clock()
        async with transaction(self.pool) as conn:
            dropped = await drop_late(conn, self.channel, now)
            messages = await claim_due(conn, self.channel, now, self.master_key, limit=AT_ONCE, lease=LEASE)
        if dropped:
            _LOG.warning("%d messages (%s) were too old to be sent and were dropped", dropped, self.channel)
        if messages:
            await _to_the_end(asyncio.gather(*map(self._send, messages)), self.send_seconds)
        return len(messages)

    async def _send(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self.send_seconds):
                await self.gateway(message)
        except NotTaken as refusal:
            await self._record(message, str(refusal), final=refusal.final)
        except TimeoutError:
            await self._record(message, "no answer in time")
        except Exception as error:
            # Whatever a gateway may raise is one message's misfortune.
            _LOG.exception("message %s (%s): the gateway failed", message.id, message.kind)
            await self._record(message, type(error).__name__)
        else:
            await self._record(message, None)

    async def _record(self, message: Message, fault: str | None, *, final: bool = False) -> None:
        """Keep how it went. While the database is away this waits, for what was sent is not to be sent again (F5)."""
        if fault is not None:
            _LOG.warning("message %s (%s), attempt %d: %s", message.id, message.kind, message.attempts, fault)
        while True:
            now = self.clock()
            again = None if final or self.channel in ONCE else now + wait_after(message.attempts)
            try:
                if fault is None:
                    await transact(self.pool, partial(record_sent, message_id=message.id, now=now))
                else:
                    await transact(
                        self.pool,
                        partial(record_failure, message_id=message.id, fault=fault, now=now, next_attempt_at=again),
                    )
                return
            except Unavailable:
                await asyncio.sleep(_RETRY_SECONDS)


async def _to_the_end(sendings: "asyncio.Future[list[None]]", seconds: float) -> None:
    """Wait for sendings; when this process is told to stop, still for so long, lest what was sent be sent again."""
    try:
        await asyncio.shield(sendings)
    except asyncio.CancelledError:
        await asyncio.wait({sendings}, timeout=seconds)
        sendings.cancel()
        raise


@contextlib.asynccontextmanager
async def sending(
    pool: Pool,
    dsn: str,
    gateways: Mapping[Channel, Gateway],
    *,
    clock: Clock,
    master_key: MasterKey,
    poll_seconds: float = POLL_SECONDS,
) -> AsyncIterator[None]:
    """Send messages while the block runs; channels without a gateway keep theirs in the outbox."""
    senders = [
        Sender(pool, channel, gateway, clock, master_key, poll_seconds=poll_seconds)
        for channel, gateway in gateways.items()
    ]

    async def told(payload: str) -> None:
        for sender in senders:
            if payload in ("", sender.channel):
                sender.wake()

    tasks = [asyncio.create_task(sender.run()) for sender in senders]
    if senders:
        tasks.append(asyncio.create_task(listen(dsn, CHANNEL, told)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
