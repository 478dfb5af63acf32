"""The loop that empties the outbox, against gateways that work, hang, are slow, or refuse."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from idp.model.message import Message
from idp.notify.addresses import mail_gateway
from idp.notify.gateway import Gateway, NotTaken
from idp.notify.sender import AT_ONCE, Sender, sending, wait_after
from idp.store.database import Pool, Unavailable, open_pool, transaction
from idp.store.embedded import EmbeddedPostgres
from idp.store.migrations import migrate
from tests.doubles import START, FrozenClock
from tests.notify.gateways import MASTER, Mailbox, Service, eventually, mail_server, message, service
from tests.notify.gateways import keep as keep_one

FROM = ("Bank", "no-reply@id.example")


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What is logged of gateways that fail on purpose stays out of the output."""
    yield
    caplog.clear()


async def keep(pool: Pool, *messages: Message) -> None:
    async with transaction(pool) as conn:
        for one in messages:
            await keep_one(conn, one)


async def state(pool: Pool, message_id: str = "m1") -> tuple[datetime | None, datetime | None, str | None]:
    async with transaction(pool) as conn:
        row = await conn.fetchrow("SELECT sent_at, failed_at, fault FROM outbox WHERE id = $1", message_id)
    assert row is not None
    return row["sent_at"], row["failed_at"], row["fault"]


class Taken:
    """A gateway that takes everything, or raises what it is told to."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.messages: list[Message] = []
        self.fault = fault

    async def __call__(self, one: Message) -> None:
        self.messages.append(one)
        await asyncio.sleep(0.01)
        if self.fault is not None:
            raise self.fault


def sender(pool: Pool, gateway: Gateway, clock: FrozenClock, seconds: float = 5.0) -> Sender:
    return Sender(pool, "mail", gateway, clock, MASTER, send_seconds=seconds)


async def test_what_is_due_is_sent_once(pool: Pool, clock: FrozenClock) -> None:
    await keep(pool, message())
    async with mail_server(Mailbox()) as mailbox:
        one = sender(pool, mail_gateway(f"smtp://127.0.0.1:{mailbox.port}", *FROM), clock)
        assert await one.send_due() == 1
        clock.advance(timedelta(hours=2))
        assert await one.send_due() == 0
    assert len(mailbox.mails) == 1
    assert await state(pool) == (START, None, None)


async def test_eight_senders_send_each_message_once(pool: Pool, clock: FrozenClock) -> None:
    await keep(pool, *(message(id=f"m{number}") for number in range(60)))
    gateway = Taken()

    async def empty() -> None:
        while await sender(pool, gateway, clock).send_due():
            pass

    await asyncio.gather(*(empty() for _ in range(8)))
    assert sorted(one.id for one in gateway.messages) == sorted(f"m{number}" for number in range(60))


@pytest.mark.parametrize("status", [500, 429])
async def test_F16_a_gateway_that_only_fails_is_asked_ever_more_rarely_and_given_up_after_a_day(
    pool: Pool, clock: FrozenClock, status: int
) -> None:
    await keep(pool, message(not_after=START + timedelta(days=1)))
    async with service(Service(status=status)) as one:
        failing = sender(pool, mail_gateway(f"json://127.0.0.1:{one.port}/", *FROM), clock)
        for attempts in range(1, 100):
            if not await failing.send_due():
                break
            clock.advance(wait_after(attempts) - timedelta(microseconds=1))
            assert await failing.send_due() == 0, "it rests"
            clock.advance(timedelta(microseconds=1))
    assert clock() - START >= timedelta(days=1)
    assert 10 < len(one.got) < 40
    sent, given_up, fault = await state(pool)
    assert (sent, fault) == (None, "the service did not answer, or refused")
    assert given_up is not None


def test_waits_grow_from_five_seconds_to_an_hour() -> None:
    waits = [wait_after(attempts).total_seconds() for attempts in range(1, 9)]
    assert waits == [5, 20, 80, 320, 1280, 3600, 3600, 3600]
    assert wait_after(10_000) == timedelta(hours=1)


async def test_F15_a_message_older_than_its_use_is_dropped_and_not_sent(pool: Pool, clock: FrozenClock) -> None:
    await keep(pool, message(not_after=START + timedelta(minutes=10)))
    clock.advance(timedelta(minutes=10))
    gateway = Taken()
    assert await sender(pool, gateway, clock).send_due() == 0
    assert gateway.messages == []
    assert await state(pool) == (None, START + timedelta(minutes=10), None)


async def test_F15_a_gateway_that_hangs_is_left_and_holds_up_no_other_channel(pool: Pool, clock: FrozenClock) -> None:
    await keep(pool, *(message(id=f"m{n}") for n in range(2 * AT_ONCE)), message(id="s", channel="sms"))
    async with mail_server(Mailbox(seconds=30)) as mailbox:
        mail = sender(pool, mail_gateway(f"smtp://127.0.0.1:{mailbox.port}", *FROM), clock, seconds=1.0)
        gateway = Taken()
        hanging = asyncio.create_task(mail.send_due())
        assert await Sender(pool, "sms", gateway, clock, MASTER).send_due() == 1
        assert not hanging.done()
        assert len(gateway.messages) == 1
        assert await hanging == AT_ONCE
    assert mailbox.mails == []
    assert await state(pool, "m0") == (None, None, "no answer in time")


@pytest.mark.parametrize("status", [500, 429, 200])
async def test_F15_a_text_message_is_handed_over_once_whatever_comes_of_it(
    pool: Pool, clock: FrozenClock, status: int
) -> None:
    """Refused, or taken by a gateway that does not say so in time: it may have gone out."""
    await keep(pool, message(channel="sms", recipient="+447700900123", not_after=START + timedelta(days=1)))
    async with service(Service(status=status, seconds=30 if status == 200 else 0)) as one:
        gateway = mail_gateway(f"json://127.0.0.1:{one.port}/", *FROM)
        texting = Sender(pool, "sms", gateway, clock, MASTER, send_seconds=0.5 if status == 200 else 5)
        assert await texting.send_due() == 1
        clock.advance(timedelta(hours=2))
        assert await texting.send_due() == 0
        one.hang_up()
    assert len(one.got) == 1
    sent, given_up, _ = await state(pool)
    assert (sent, given_up) == (None, START)


async def test_a_refusal_for_good_is_the_end(pool: Pool, clock: FrozenClock) -> None:
    await keep(pool, message())
    async with mail_server(Mailbox(recipient_answer="550 no such user")) as mailbox:
        one = sender(pool, mail_gateway(f"smtp://127.0.0.1:{mailbox.port}", *FROM), clock)
        assert await one.send_due() == 1
        clock.advance(timedelta(hours=2))
        assert await one.send_due() == 0
    assert await state(pool) == (None, START, "recipient refused, [550]")


async def test_one_message_that_breaks_a_gateway_takes_no_other_along(
    pool: Pool, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Fragile(Taken):
        async def __call__(self, one: Message) -> None:
            if one.id == "m1":
                raise ZeroDivisionError
            await super().__call__(one)

    gateway = Fragile()
    await keep(pool, message(), message(id="m2"))
    assert await sender(pool, gateway, clock).send_due() == 2
    assert [one.id for one in gateway.messages] == ["m2"]
    assert await state(pool) == (None, None, "ZeroDivisionError")
    assert "m1" in caplog.text


async def test_A_75_the_log_names_no_person_and_no_text(
    pool: Pool, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "idp")
    await keep(pool, message(text="code 654321"), message(id="m2", not_after=START))
    await sender(pool, Taken(NotTaken("busy")), clock).send_due()
    assert "m1 (password_changed), attempt 1: busy" in caplog.text
    assert "alice" not in caplog.text
    assert "654321" not in caplog.text


@contextlib.asynccontextmanager
async def at_work(database: str, pool: Pool, gateway: Gateway, clock: FrozenClock) -> AsyncIterator[None]:
    # An hour between two looks: what is sent in a test is sent because the sender was told.
    async with sending(pool, database, {"mail": gateway}, clock=clock, master_key=MASTER, poll_seconds=3600):
        yield


async def test_a_new_message_wakes_the_sender(database: str, pool: Pool, clock: FrozenClock) -> None:
    gateway = Taken()
    async with at_work(database, pool, gateway, clock):
        # The first looks have found nothing by now.
        await asyncio.sleep(0.5)
        await keep(pool, message())
        await eventually(lambda: bool(gateway.messages), "the sender was not woken")


async def test_what_waited_before_the_start_is_sent_in_full(database: str, pool: Pool, clock: FrozenClock) -> None:
    await keep(pool, *(message(id=f"m{number}") for number in range(3 * AT_ONCE + 1)))
    gateway = Taken()
    async with at_work(database, pool, gateway, clock):
        await eventually(lambda: len(gateway.messages) == 3 * AT_ONCE + 1, "not all were sent")


async def test_a_stop_waits_for_what_is_under_way(database: str, pool: Pool, clock: FrozenClock) -> None:
    """What was sent and not recorded would be sent again."""
    begun, gateway = asyncio.Event(), Taken()

    async def slow(one: Message) -> None:
        begun.set()
        await asyncio.sleep(0.3)
        await gateway(one)

    await keep(pool, message())
    async with at_work(database, pool, slow, clock):
        await asyncio.wait_for(begun.wait(), 5)
    assert len(gateway.messages) == 1
    assert (await state(pool))[0] == START


async def test_F5_a_sending_while_the_database_goes_away_is_recorded_when_it_is_back(
    scratch: Path, clock: FrozenClock
) -> None:
    async with _own_server(scratch / "outbox") as (server, pool):
        await keep(pool, message())
        gateway, may_go = Taken(), asyncio.Event()

        async def taken_and_then_lost(one: Message) -> None:
            await gateway(one)
            server.stop()
            may_go.set()

        under_way = asyncio.create_task(sender(pool, taken_and_then_lost, clock).send_due())
        await asyncio.wait_for(may_go.wait(), 10)
        with pytest.raises(Unavailable):
            await keep(pool, message(id="m2"))
        server.start()
        assert await asyncio.wait_for(under_way, 20) == 1
        assert await state(pool) == (START, None, None)
        assert len(gateway.messages) == 1


@contextlib.asynccontextmanager
async def _own_server(directory: Path) -> AsyncIterator[tuple[EmbeddedPostgres, Pool]]:
    with EmbeddedPostgres(directory, durable=False) as server:
        await migrate(server.dsn())
        pool = await open_pool(server.dsn())
        try:
            yield server, pool
        finally:
            await pool.close()
