"""Seals on the heads of the audit trail's chains, under a key that the database does not have."""

from datetime import datetime, timedelta

from idp.base.seal import MasterKey
from idp.model.audit_chain import SEALS, Seal, seal_mac
from idp.store.audit_anchors import move_anchor
from idp.store.audit_events import CHAINS
from idp.store.database import Connection, Row
from idp.store.expiry import BATCH, count_of

LOCK = 7245
COLUMNS = "number, chain, place, digest, at, mac"


async def seal_chains(conn: Connection, master: MasterKey, now: datetime) -> int:
    """Seal the head of every chain that has grown since it was sealed last, and say how many that were.

    One process does it at a time, the others find nothing left to do.
    """
    await conn.execute("""SELECT pg_advisory_xact_lock($1)""", LOCK)
    number = await _last_number(conn)
    heads = await conn.fetch(
        f"""
        {CHAINS}
        SELECT head.chain, head.place, head.digest
        FROM chains
        CROSS JOIN LATERAL (
            SELECT chain, place, digest FROM audit_events
            WHERE chain = chains.chain AND chain IS NOT NULL
            ORDER BY place DESC
            LIMIT 1
        ) AS head
        WHERE NOT EXISTS (SELECT FROM audit_seals WHERE chain = head.chain AND place >= head.place)
        ORDER BY head.chain
        """
    )
    await conn.executemany(
        """INSERT INTO audit_seals (number, chain, place, digest, at, mac) VALUES ($1, $2, $3, $4, $5, $6)""",
        [
            (which, *head, now, seal_mac(master, which, head["chain"], head["place"], head["digest"], now))
            for which, head in enumerate(heads, number + 1)
        ],
    )
    return len(heads)


async def list_seals(conn: Connection, *, after: int, limit: int) -> tuple[Seal, ...]:
    """The seals behind that number, in their order."""
    rows = await conn.fetch(
        f"""SELECT {COLUMNS} FROM audit_seals WHERE number > $1 ORDER BY number LIMIT $2""", after, limit
    )
    return tuple(_seal(row) for row in rows)


async def delete_expired(
    conn: Connection, master: MasterKey, *, now: datetime, keep: timedelta, limit: int = BATCH
) -> int:
    """Forget the oldest seals, where all that they seal has expired as well; at most so many, and say how many."""
    row = await conn.fetchrow(
        """
        SELECT number, mac FROM audit_seals
        WHERE number < coalesce(
            (
                SELECT min(number) FROM audit_seals AS needed
                WHERE at >= $1
                    OR NOT EXISTS (
                        SELECT FROM audit_anchors WHERE chain = needed.chain AND place >= needed.place
                    )
            ),
            (SELECT max(number) FROM audit_seals)
        ) AND number < (SELECT min(number) FROM audit_seals) + $2
        ORDER BY number DESC
        LIMIT 1
        """,
        now - keep,
        limit,
    )
    if row is None:
        return 0
    await move_anchor(conn, master, SEALS, row["number"], row["mac"])
    return count_of(await conn.execute("""DELETE FROM audit_seals WHERE number <= $1""", row["number"]))


async def _last_number(conn: Connection) -> int:
    number: int = await conn.fetchval(
        """
        SELECT greatest(
            (SELECT max(number) FROM audit_seals), (SELECT place FROM audit_anchors WHERE chain = $1), 0
        )
        """,
        SEALS,
    )
    return number


def _seal(row: Row) -> Seal:
    return Seal(row["number"], row["chain"], row["place"], row["digest"], row["at"], row["mac"])
