"""The pool, a transaction, LISTEN and NOTIFY; a database that cannot serve now is `Unavailable`, whatever it said."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from idp.store.reasons import describe

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection | PoolConnectionProxy
    Pool = asyncpg.Pool
Row: TypeAlias = asyncpg.Record
T = TypeVar("T")
Step: TypeAlias = Callable[[Connection], Awaitable[T]]
"""What is done in one transaction. It may be run again from its beginning, so it changes nothing but the database."""


class Transact(Protocol):
    """Runs a step in a transaction of its own, as ``transact`` does."""

    async def __call__(self, step: Step[T], /) -> T:
        """What the step answers; raises Unavailable."""
        ...


# A request that meets a dead or overloaded database is to end within 5 s: 2 for a connection, 3 for a statement.
ACQUIRE_TIMEOUT = 2.0
COMMAND_TIMEOUT = 3.0
# What no request waits for may take longer; a server that is gone without a word is noticed all the same.
OWN_COMMAND_TIMEOUT = 60.0
_CONNECT_TIMEOUT = 5.0
_HEARTBEAT = 15.0
_SERVER_SETTINGS = {"application_name": "idp", "timezone": "UTC"}
_LOG = logging.getLogger(__name__)

_UNAVAILABLE = (
    ConnectionError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    # Shutting down, starting up, statement cancelled.
    asyncpg.OperatorInterventionError,
    # Too many connections, disk full, out of memory; and a disk that fails.
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresIOError,
    # A standby, or a primary that has just become one.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    # A migration has changed a table under a prepared statement; the driver has dropped its cache by now.
    asyncpg.InvalidCachedStatementError,
    # A statement killed half-way leaves the driver in a state that it reports as a fault of its own.
    asyncpg.InternalClientError,
)
# 40P01 and 40001: two transactions stood in each other's way, and this one was given up for the other.
_CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_TRIES = 3
# Outside any statement of ours, whatever goes wrong is the connection's: no socket, no such database, wrong password.
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError, asyncpg.InternalClientError)


class Unavailable(Exception):
    """The database cannot serve this step now; nothing of it was acknowledged, and a later attempt may succeed."""


class Conflict(Unavailable):
    """Another transaction was in the way of this step, of which nothing is left: it can be run again at once."""


async def open_pool(dsn: str, *, min_size: int = 1, max_size: int = 10) -> Pool:
    """Return an open pool of connections that speak jsonb as Python values, in UTC; raise Unavailable."""
    with unavailable_on_connect():
        return await asyncpg.create_pool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            timeout=_CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings=_SERVER_SETTINGS,
            init=_prepare,
            reset=_keep,
        )


@contextlib.contextmanager
def unavailable_on_connect() -> Iterator[None]:
    """Turn whatever goes wrong while a connection is made into Unavailable, with a text for the operator."""
    try:
        yield
    except _LOST as error:
        raise Unavailable(describe(error)) from error


@contextlib.asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection on which every statement commits by itself; raise Unavailable."""
    with unavailable_on_connect():
        acquired = await pool.acquire(timeout=ACQUIRE_TIMEOUT)
    try:
        with _unavailable_in_use(acquired):
            yield acquired
    finally:
        await _release(pool, acquired)


@contextlib.contextmanager
def _unavailable_in_use(acquired: Connection) -> Iterator[None]:
    """Turn what goes wrong with the database into Unavailable, and leave no value in what is a fault of ours."""
    try:
        yield
    except _CONFLICTS as error:
        raise Conflict(describe(error)) from error
    except _UNAVAILABLE as error:
        raise Unavailable(describe(error)) from error
    except asyncpg.InterfaceError as error:
        # The driver's word for "the connection is gone", and for a wrong use of it: only the first is the database's.
        if not _is_lost(acquired):
            _forget_values(error)
            raise
        raise Unavailable(describe(error)) from error
    except asyncpg.PostgresError as error:
        _forget_values(error)
        raise


@contextlib.asynccontextmanager
async def own_connection(dsn: str) -> AsyncIterator[Connection]:
    """Lend a connection that belongs to no pool, for what lives as long as it: a lock of a session, say.

    Its statements may take a minute, and are planned for what they are given. The server notices within seconds when
    this machine vanishes, and gives up what the connection holds. Raises Unavailable.
    """
    with unavailable_on_connect():
        conn = await asyncpg.connect(
            dsn, timeout=_CONNECT_TIMEOUT, command_timeout=OWN_COMMAND_TIMEOUT, server_settings=_SERVER_SETTINGS
        )
    try:
        with _unavailable_in_use(conn):
            await _prepare(conn)
            await conn.execute(
                """
                SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
                SET plan_cache_mode = force_custom_plan
                """
            )
            yield conn
    finally:
        # An orderly farewell to a server that is gone would wait for it.
        conn.terminate()


async def transact_on(conn: Connection, step: Step[T]) -> T:
    """What the step answers, run in a transaction of this very connection, as ``transact`` does in one of a pool."""
    for _ in range(1, _TRIES):
        with contextlib.suppress(Conflict):
            return await _run_on(conn, step)
    return await _run_on(conn, step)


async def _run_on(conn: Connection, step: Step[T]) -> T:
    with _unavailable_in_use(conn):
        async with conn.transaction():
            return await step(conn)


@contextlib.asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection inside a transaction that commits at the end of the block, or rolls back if it raises.

    Raises Unavailable when the database cannot serve, the commit included.
    """
    async with connection(pool) as conn, conn.transaction():
        yield conn


@contextlib.asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection that reads everything as it is at one moment, and can change nothing; raise Unavailable."""
    async with connection(pool) as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        yield conn


async def transact(pool: Pool, step: Step[T]) -> T:
    """What the step answers, run in a transaction; raises Unavailable.

    This is the one place where what writes opens its transactions. A step that was given up for another one (40P01,
    40001) is run again from its beginning, twice at most. That is for the order of locks that nobody thought of: a step
    that changes what belongs to a user holds that user's row first (``users.lock``, ``users.hold``).
    """
    for _ in range(1, _TRIES):
        try:
            async with transaction(pool) as conn:
                return await step(conn)
        except Conflict as conflict:
            _LOG.warning("a step was given up for another one, and is run again: %s", type(conflict.__cause__).__name__)
    async with transaction(pool) as conn:
        return await step(conn)


async def notify(conn: Connection, channel: str, payload: str = "") -> None:
    """Tell the listeners of `channel`, once the transaction of `conn` commits."""
    await conn.execute("""SELECT pg_notify($1, $2)""", channel, payload)


async def listen(
    dsn: str,
    channel: str,
    callback: Callable[[str], Awaitable[None]],
    *,
    shortest_wait: float = 0.1,
    longest_wait: float = 5.0,
) -> None:
    """Await `callback(payload)` for each notification on `channel`, until cancelled; run it as a task.

    The callback is also awaited with an empty payload after each connection, the first one too, because what was told
    in between is lost. A lost connection is made anew after a wait that doubles from `shortest_wait` to `longest_wait`
    (seconds); so it is when the callback fails, that it may be told once more.
    """
    wait = shortest_wait
    while True:
        try:
            async with _listening(dsn, channel) as payloads:
                await callback("")
                wait = shortest_wait
                async for payload in payloads:
                    await callback(payload)
        except (Unavailable, *_LOST) as error:
            _LOG.warning("listening on %s: %s", channel, describe(error))
        except Exception:
            _LOG.exception("listening on %s: the callback failed", channel)
        await asyncio.sleep(wait)
        wait = min(2 * wait, longest_wait)


@contextlib.asynccontextmanager
async def _listening(dsn: str, channel: str) -> AsyncIterator[AsyncIterator[str]]:
    """Lend the payloads that arrive on `channel`; they end when the connection is lost."""
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    conn = await asyncpg.connect(
        dsn, timeout=_CONNECT_TIMEOUT, command_timeout=COMMAND_TIMEOUT, server_settings=_SERVER_SETTINGS
    )
    try:
        conn.add_termination_listener(lambda _: heard.put_nowait(None))
        await conn.add_listener(channel, lambda _conn, _pid, _channel, payload: heard.put_nowait(str(payload)))
        yield _payloads(conn, heard)
    finally:
        # An orderly farewell to a server that is gone would wait for it.
        conn.terminate()


async def _payloads(
    conn: "asyncpg.Connection[asyncpg.Record]", heard: "asyncio.Queue[str | None]"
) -> AsyncIterator[str]:
    while True:
        try:
            # Not `wait_for`: in Python 3.11 it loses a cancellation that comes together with the payload.
            async with asyncio.timeout(_HEARTBEAT):
                payload = await heard.get()
        except TimeoutError:
            # A peer that vanished without a word is only noticed by asking.
            await conn.execute("""SELECT 1""")
            continue
        if payload is None:
            return
        yield payload


async def _prepare(conn: Connection) -> None:
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    # A process that vanishes between two statements must not keep its row locks until TCP notices. Set here and not
    # at connection, where some connection poolers refuse what they do not know.
    await conn.execute("""SET idle_in_transaction_session_timeout = '15s'""")


async def _keep(conn: Connection) -> None:
    """Spare the round trip of RESET ALL at each release: the driver rolls back, and no session state is ever set."""


def _is_lost(acquired: Connection) -> bool:
    try:
        return acquired.is_closed()
    except asyncpg.InterfaceError:
        # The pool has taken a lost connection back already, and lets nobody ask it any more.
        return True


async def _release(pool: Pool, acquired: "PoolConnectionProxy[asyncpg.Record]") -> None:
    # A connection that cannot be given back has been thrown away by the pool, and must not hide what went wrong before.
    with contextlib.suppress(*_LOST):
        await pool.release(acquired, timeout=ACQUIRE_TIMEOUT)


def _forget_values(error: asyncpg.PostgresError | asyncpg.InterfaceError) -> None:
    """Leave no value in the error, as a traceback would show it (A-75): DETAIL quotes a whole row."""
    error.detail = None
    # The driver's own complaint about an argument is a ValueError; both messages quote the value itself.
    if isinstance(error, asyncpg.DataError | ValueError):
        error.args = ("a value is not one that the database takes",)
