"""Requests to have lost second factors removed. Each change of state is one guarded statement."""

from datetime import datetime

from idp.model.factor_recovery import FactorRecovery
from idp.store.database import Connection, Row
from idp.store.expiry import BATCH, count_of

COLUMNS = "id, sub, email_canonical, state, created_at, not_before, not_after, generation"
# Waiting, and of the generation of its account still.
WAITING = """state = 'waiting'
            AND generation = (SELECT generation FROM users WHERE users.sub = factor_recoveries.sub)"""


async def create_recovery(conn: Connection, asked: FactorRecovery, *, cancel_hash: bytes, finish_hash: bytes) -> bool:
    """Keep a request; False where the account has one already, which stays as it is.

    One whose time is over makes way, whether or not the clean-up has been there, and so does one of an earlier
    generation.
    """
    await conn.execute(
        """
        DELETE FROM factor_recoveries
        WHERE sub = $1 AND state = 'waiting' AND (not_after <= $2 OR generation <> $3)
        """,
        asked.sub,
        asked.created_at,
        asked.generation,
    )
    kept = await conn.fetchval(
        """
        INSERT INTO factor_recoveries (
            id, sub, email_canonical, state, cancel_hash, finish_hash, created_at, not_before, not_after, generation
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (sub) WHERE state = 'waiting' DO NOTHING
        RETURNING id
        """,
        asked.id,
        asked.sub,
        asked.email_canonical,
        asked.state,
        cancel_hash,
        finish_hash,
        asked.created_at,
        asked.not_before,
        asked.not_after,
        asked.generation,
    )
    return kept is not None


async def find_waiting(conn: Connection, sub: str, *, now: datetime) -> FactorRecovery | None:
    """The request of the account that is neither granted, cancelled nor over, if any."""
    return _recovery(
        await conn.fetchrow(
            f"SELECT {COLUMNS} FROM factor_recoveries WHERE sub = $1 AND {WAITING} AND not_after > $2",
            sub,
            now,
        )
    )


async def find_cancellable(conn: Connection, digest: bytes, *, now: datetime) -> FactorRecovery | None:
    """The waiting request that the link of this digest cancels."""
    return _recovery(
        await conn.fetchrow(
            f"SELECT {COLUMNS} FROM factor_recoveries WHERE cancel_hash = $1 AND {WAITING} AND not_after > $2",
            digest,
            now,
        )
    )


async def find_ripe(conn: Connection, digest: bytes, *, now: datetime) -> FactorRecovery | None:
    """The waiting request that the link of this digest finishes, once its delay is over."""
    return _recovery(
        await conn.fetchrow(
            f"""
            SELECT {COLUMNS} FROM factor_recoveries
            WHERE finish_hash = $1 AND {WAITING} AND not_before <= $2 AND not_after > $2
            """,
            digest,
            now,
        )
    )


async def cancel_waiting(conn: Connection, sub: str, *, now: datetime) -> FactorRecovery | None:
    """Cancel what the account waits for; None where it waits for nothing."""
    return _recovery(
        await conn.fetchrow(
            f"""
            UPDATE factor_recoveries SET state = 'cancelled', ended_at = $2
            WHERE sub = $1 AND {WAITING} AND not_after > $2
            RETURNING {COLUMNS}
            """,
            sub,
            now,
        )
    )


async def finish_recovery(conn: Connection, digest: bytes, *, now: datetime) -> FactorRecovery | None:
    """Grant the request whose link has this digest: only one caller ever gets it, and only while it is ripe."""
    return _recovery(
        await conn.fetchrow(
            f"""
            UPDATE factor_recoveries SET state = 'done', ended_at = $2
            WHERE finish_hash = $1 AND {WAITING} AND not_before <= $2 AND not_after > $2
            RETURNING {COLUMNS}
            """,
            digest,
            now,
        )
    )


async def claim_ripe(conn: Connection, *, now: datetime, limit: int = 100) -> tuple[FactorRecovery, ...]:
    """Take requests that are ripe and of which nobody was reminded; no other process gets them."""
    rows = await conn.fetch(
        f"""
        UPDATE factor_recoveries SET reminded_at = $1
        WHERE id IN (
            SELECT id FROM factor_recoveries
            WHERE {WAITING} AND reminded_at IS NULL AND not_before <= $1 AND not_after > $1
            ORDER BY not_before
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        AND state = 'waiting' AND reminded_at IS NULL
        RETURNING {COLUMNS}
        """,
        now,
        limit,
    )
    return tuple(found for row in rows if (found := _recovery(row)) is not None)


async def delete_expired(conn: Connection, *, now: datetime, limit: int = BATCH) -> int:
    """Forget requests whose time is over, however they ended; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM factor_recoveries WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM factor_recoveries WHERE not_after <= $1
                ORDER BY not_after LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now,
            limit,
        )
    )


def _recovery(row: Row | None) -> FactorRecovery | None:
    if row is None:
        return None
    return FactorRecovery(
        id=row["id"],
        sub=row["sub"],
        email_canonical=row["email_canonical"],
        state=row["state"],
        created_at=row["created_at"],
        not_before=row["not_before"],
        not_after=row["not_after"],
        generation=row["generation"],
    )
