"""Failed attempts, counted where every process and every restart finds them (G5)."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from idp.model.attempt import Bucket, Tally
from idp.store.database import Connection
from idp.store.expiry import BATCH, count_of


async def lock_tallies(conn: Connection, buckets: Iterable[Bucket], now: datetime) -> dict[Bucket, Tally]:
    """The tallies of these buckets, each held until the transaction ends: parallel attempts count one at a time."""
    wanted = sorted(set(buckets))
    # Locked in one order everywhere, so that no two transactions wait for each other.
    rows = await conn.fetch(
        """
        INSERT INTO attempts AS kept (factor, subject, source, window_from, last_missed_at)
        SELECT factor, subject, source, $4, $4
        FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS wanted (factor, subject, source, place)
        ORDER BY place
        ON CONFLICT (factor, subject, source) DO UPDATE SET misses = kept.misses
        RETURNING factor, subject, source, misses, window_misses, window_from, last_missed_at
        """,
        [one.factor for one in wanted],
        [one.subject for one in wanted],
        [one.source for one in wanted],
        now,
    )
    return {
        Bucket(row["factor"], row["subject"], row["source"]): Tally(
            row["misses"], row["window_misses"], row["window_from"], row["last_missed_at"]
        )
        for row in rows
    }


async def record_tallies(conn: Connection, tallies: Mapping[Bucket, Tally]) -> None:
    """Keep these tallies in place of what the locked buckets hold."""
    await conn.executemany(
        """
        UPDATE attempts SET misses = $4, window_misses = $5, window_from = $6, last_missed_at = $7
        WHERE factor = $1 AND subject = $2 AND source = $3
        """,
        [
            (
                bucket.factor,
                bucket.subject,
                bucket.source,
                tally.misses,
                tally.window_misses,
                tally.window_from,
                tally.last_missed_at,
            )
            for bucket, tally in sorted(tallies.items(), key=lambda item: item[0])
        ],
    )


async def find_misses(conn: Connection, subject: str) -> dict[str, int]:
    """The misses that stand against an account, by factor, from all sources together."""
    rows = await conn.fetch("SELECT factor, misses FROM attempts WHERE subject = $1 AND source = ''", subject)
    return {row["factor"]: row["misses"] for row in rows}


async def remove_tallies(conn: Connection, subject: str, *, factor: str | None = None) -> int:
    """Forget the misses that stand against an account, or against one factor of it; answers how many buckets."""
    removed = await conn.fetch(
        "DELETE FROM attempts WHERE subject = $1 AND ($2::text IS NULL OR factor = $2) RETURNING factor",
        subject,
        factor,
    )
    return len(removed)


async def delete_expired(conn: Connection, *, missed_before: datetime, limit: int = BATCH) -> int:
    """Forget tallies without a miss since then, and answer how many, at most ``limit``.

    Those of an account's second factor stay: only a success clears these (G6), or the end of the account.
    """
    return count_of(
        await conn.execute(
            """
            DELETE FROM attempts WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM attempts
                WHERE last_missed_at < $1
                  AND (factor IN ('password', 'register', 'verify_email', 'recover', 'send_email', 'notice')
                      OR misses = 0 OR subject = '' OR subject LIKE 'name %')
                ORDER BY last_missed_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            missed_before,
            limit,
        )
    )
