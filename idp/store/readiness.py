"""Whether the database serves this process: found by writing to it, since one that only answers is of no use."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import asyncpg

from idp.store.database import Connection, Pool, Unavailable, connection

Fault: TypeAlias = Literal[
    "connections_exhausted", "database_unreachable", "database_slow", "database_not_writable", "clock_off"
]
"""What can be wrong, in the words of the readiness answer."""

# Each of these may be over at once. After a lost connection it is the next one that tells whether there is a server.
_PASSING = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and whether it may have been one bad moment, so that it only counts if it lasts."""

    fault: Fault
    passing: bool


async def find_fault(pool: Pool, process: str) -> Finding | None:
    """What keeps this process from writing to the database; None if it can.

    It writes a row that is the process's own, so that no lock of a request is in its way, and as much to a temporary
    file as does not fit into memory: a row alone may find a place in a file that a full disk has already.
    """
    acquired = False
    try:
        async with connection(pool) as conn:
            acquired = True
            async with conn.transaction():
                await _write(conn, process)
    except Unavailable as error:
        return _found(pool, error.__cause__, acquired=acquired)
    except asyncpg.PostgresError as error:
        return _found(pool, error, acquired=acquired)
    return None


async def _write(conn: Connection, process: str) -> None:
    await conn.execute(
        """
        INSERT INTO readiness (process, written_at) VALUES ($1, clock_timestamp())
        ON CONFLICT (process) DO UPDATE SET written_at = excluded.written_at
        """,
        process,
    )
    await conn.execute("""SET LOCAL work_mem = '64kB'""")
    # These are sorted, in a fifth of a megabyte.
    await conn.fetchval("""SELECT count(DISTINCT repeat('.', 200) || n) FROM generate_series(1, 1000) AS n""")


async def forget(pool: Pool, process: str) -> None:
    """Delete the row of a process that ends, and those that nobody has written for a day; raises Unavailable."""
    async with connection(pool) as conn:
        await conn.execute(
            """DELETE FROM readiness WHERE process = $1 OR written_at < clock_timestamp() - interval '1 day'""",
            process,
        )


def _found(pool: Pool, error: BaseException | None, *, acquired: bool) -> Finding:
    if isinstance(error, TimeoutError):
        all_lent = pool.get_size() == pool.get_max_size() and pool.get_idle_size() == 0
        return Finding("connections_exhausted" if all_lent and not acquired else "database_slow", passing=True)
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return Finding("connections_exhausted", passing=True)
    if not acquired:
        return Finding("database_unreachable", passing=False)
    if isinstance(error, _PASSING):
        return Finding("database_unreachable", passing=True)
    return Finding("database_not_writable", passing=False)
