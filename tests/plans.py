"""How much of its tables a statement reads: counted by the database, so that no machine is too slow for it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from idp.store.database import Connection


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows of one table that were read: by going through the whole of it, and by an index."""

    scanned: int
    fetched: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.scanned + self.fetched


async def rows_read(
    conn: Connection, work: Callable[[], Awaitable[Any]], *, plans: str = "generic"
) -> Mapping[str, Reading]:
    """What the work reads, by table; it is done on this connection, in the transaction that is open.

    ``generic`` plans are those of prepared statements in long use, which do not know what they will be given; those of
    a connection like the jobs' are ``custom``.
    """
    await conn.execute(f"SET LOCAL plan_cache_mode = force_{plans}_plan")
    before = await _counts(conn)
    await work()
    after = await _counts(conn)
    nothing = Reading(0, 0)
    return {
        table: Reading(
            now.scanned - before.get(table, nothing).scanned, now.fetched - before.get(table, nothing).fetched
        )
        for table, now in after.items()
    }


async def _counts(conn: Connection) -> dict[str, Reading]:
    rows = await conn.fetch(
        "SELECT relname, seq_tup_read, coalesce(idx_tup_fetch, 0) AS fetched FROM pg_stat_xact_user_tables"
    )
    return {row["relname"]: Reading(row["seq_tup_read"], row["fetched"]) for row in rows}
