"""Codes that were sent by text message or mail: one live one of a method in each flow, and how many went where.

What was sent stays for a day after it is of no use: the limits on sending are counted from it, and how many of the
codes ever came back.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from idp.model.sent_code import Sendings, SentCode, Tried
from idp.store.database import Connection
from idp.store.expiry import BATCH, count_of

MOST_MISSES = 5
RECIPIENT_WINDOW = timedelta(minutes=10)
WINDOW = timedelta(hours=1)
BREAKER_WINDOW = timedelta(hours=6)

# Of the generation of its account still.
CURRENT = "generation = (SELECT generation FROM users WHERE users.sub = sent_codes.sub)"

# One sending at a time is counted and kept, in all processes: parallel requests do not pass a limit together.
_LOCK = 0x1D9_5E7D


async def lock_sendings(
    conn: Connection,
    method: str,
    *,
    sub: str,
    recipient: str,
    prefix: str,
    now: datetime,
    others: Sequence[str] = (),
) -> Sendings:
    """How many were sent of late; until the transaction ends nobody else is told, and so nobody else sends.

    Those of the ``others`` count as well, except for how many came back: methods that send to the same recipients.
    """
    await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    row = await conn.fetchrow(
        """
        SELECT count(*) FILTER (WHERE recipient = $2 AND created_at > $5) AS to_recipient,
               count(*) FILTER (WHERE sub = $4 AND created_at > $6) AS of_account,
               count(*) FILTER (WHERE prefix = $3 AND created_at > $6) AS to_prefix,
               count(*) FILTER (WHERE created_at > $6) AS to_all,
               count(*) FILTER (
                   WHERE method = $1 AND prefix = $3 AND (consumed_at IS NOT NULL OR expires_at <= $8)
               ) AS over,
               count(*) FILTER (WHERE method = $1 AND prefix = $3 AND consumed_at IS NOT NULL) AS used
        FROM sent_codes
        WHERE method = ANY($9::text[] || $1::text) AND sent AND created_at > $7
        """,
        method,
        recipient,
        prefix,
        sub,
        now - RECIPIENT_WINDOW,
        now - WINDOW,
        now - BREAKER_WINDOW,
        now,
        list(others),
    )
    assert row is not None
    return Sendings(**dict(row))


async def create_code(conn: Connection, code: SentCode) -> None:
    """Keep a code that is sent; a former one of its flow is dead from now on."""
    await revoke_codes(conn, code.flow, code.method, code.created_at)
    await _insert(conn, code)


async def create_stand_in(conn: Connection, code: SentCode) -> None:
    """Keep a code that nobody knows, unless the flow has one: what was held back looks like what was sent."""
    await _insert(conn, code)


async def _insert(conn: Connection, code: SentCode) -> None:
    await conn.execute(
        """
        INSERT INTO sent_codes (
            flow, method, sub, recipient, prefix, code_digest, sent, created_at, expires_at, generation
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (flow, method) WHERE consumed_at IS NULL AND replaced_at IS NULL DO NOTHING
        """,
        code.flow,
        code.method,
        code.sub,
        code.recipient,
        code.prefix,
        code.digest,
        code.sent,
        code.created_at,
        code.expires_at,
        code.generation,
    )


async def find_recipient(conn: Connection, flow: str, method: str, sub: str, *, now: datetime) -> str | None:
    """Where the code went that this account waits for in this flow; None if it waits for none."""
    found: str | None = await conn.fetchval(
        f"""
        SELECT recipient FROM sent_codes
        WHERE flow = $1 AND method = $2 AND sub = $3 AND consumed_at IS NULL AND replaced_at IS NULL AND expires_at > $4
          AND {CURRENT}
        """,
        flow,
        method,
        sub,
        now,
    )
    return found


async def consume_code(
    conn: Connection, flow: str, method: str, *, sub: str, recipient: str, digest: bytes, now: datetime
) -> Tried:
    """Try a code: right once, in the flow that it was sent for, and never after five wrong ones (G8).

    One statement judges the try and counts it, so that no number of parallel tries is judged beyond the fifth.
    """
    row = await conn.fetchrow(
        f"""
        UPDATE sent_codes
        SET consumed_at = CASE WHEN code_digest = $5 THEN $6::timestamptz END,
            misses = misses + CASE WHEN code_digest = $5 THEN 0 ELSE 1 END
        WHERE flow = $1 AND method = $2 AND sub = $3 AND recipient = $4
          AND consumed_at IS NULL AND replaced_at IS NULL AND expires_at > $6 AND misses < $7 AND {CURRENT}
        RETURNING consumed_at IS NOT NULL AS taken, misses
        """,
        flow,
        method,
        sub,
        recipient,
        digest,
        now,
        MOST_MISSES,
    )
    if row is None:
        return await _why_not(conn, flow, method, sub=sub, recipient=recipient)
    if row["taken"]:
        return Tried.RIGHT
    return Tried.DEAD if row["misses"] >= MOST_MISSES else Tried.WRONG


async def _why_not(conn: Connection, flow: str, method: str, *, sub: str, recipient: str) -> Tried:
    row = await conn.fetchrow(
        """
        SELECT consumed_at, misses FROM sent_codes
        WHERE flow = $1 AND method = $2 AND sub = $3 AND recipient = $4 AND replaced_at IS NULL
        ORDER BY id DESC
        LIMIT 1
        """,
        flow,
        method,
        sub,
        recipient,
    )
    if row is None:
        return Tried.NONE
    if row["consumed_at"] is not None:
        return Tried.USED
    return Tried.DEAD if row["misses"] >= MOST_MISSES else Tried.LATE


async def revoke_codes(conn: Connection, flow: str, method: str, now: datetime) -> None:
    """Let no code of this flow work any more."""
    await conn.execute(
        """
        UPDATE sent_codes SET replaced_at = $3
        WHERE flow = $1 AND method = $2 AND consumed_at IS NULL AND replaced_at IS NULL
        """,
        flow,
        method,
        now,
    )


async def delete_expired(conn: Connection, *, now: datetime, keep: timedelta, limit: int = BATCH) -> int:
    """Forget what was sent so long ago that no limit counts it any more; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM sent_codes WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM sent_codes WHERE expires_at <= $1
                ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now - keep,
            limit,
        )
    )
