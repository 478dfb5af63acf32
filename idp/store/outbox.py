"""The outbox: a message is kept with the change that it tells of, and given to one sender at a time.

What a message says may be a code or a link that lets somebody in: it rests sealed, and is forgotten when it is over.
"""

import logging
from datetime import datetime, timedelta

from idp.base.entropy import Entropy
from idp.base.seal import MasterKey, SealBroken, seal, unseal
from idp.model.message import Channel, Message
from idp.store.database import Connection, Row, notify
from idp.store.expiry import BATCH, count_of

CHANNEL = "outbox"
"""Where senders hear of new messages; the payload is the channel of the message."""

_LOG = logging.getLogger(__name__)


async def create_message(conn: Connection, message: Message, master: MasterKey, *, entropy: Entropy) -> None:
    """Keep a message in this transaction, so that there is no change without its notice, and tell the senders."""
    await conn.execute(
        """
        INSERT INTO outbox (id, channel, recipient, kind, subject, sealed_text, created_at, not_after, next_attempt_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7)
        """,
        message.id,
        message.channel,
        message.recipient,
        message.kind,
        message.subject,
        seal(master, message.text.encode(), context=_context(message.id), entropy=entropy),
        message.created_at,
        message.not_after,
    )
    await notify(conn, CHANNEL, message.channel)


async def claim_due(
    conn: Connection, channel: Channel, now: datetime, master: MasterKey, *, limit: int, lease: timedelta
) -> tuple[Message, ...]:
    """Take messages that are due, oldest first; nobody else gets them until the lease is over.

    A sender that dies leaves its messages to the next one. The lease doubles with each attempt, to 64 times at most, so
    that a message of which senders die is taken up ever more slowly. One that cannot be unsealed is given up. A text
    message is taken once only: whether it went out cannot be told, and each one costs money (F15).
    """
    rows = await conn.fetch(
        """
        WITH due AS MATERIALIZED (
            SELECT id FROM outbox
            WHERE channel = $1 AND sent_at IS NULL AND failed_at IS NULL AND next_attempt_at <= $2 AND not_after > $2
              AND (channel <> 'sms' OR attempts = 0)
            ORDER BY next_attempt_at
            LIMIT $3
            FOR UPDATE SKIP LOCKED
        )
        UPDATE outbox
        SET attempts = attempts + 1, next_attempt_at = $2 + $4::interval * power(2, least(attempts, 6))
        FROM due
        WHERE outbox.id = due.id
        RETURNING outbox.id, channel, recipient, kind, subject, sealed_text, created_at, not_after, attempts
        """,
        channel,
        now,
        limit,
        lease,
    )
    found = [await _opened(conn, row, master, now) for row in rows]
    return tuple(sorted((one for one in found if one is not None), key=lambda message: message.created_at))


async def _opened(conn: Connection, row: Row, master: MasterKey, now: datetime) -> Message | None:
    try:
        return _message(row, text_of(row["id"], row["sealed_text"], master))
    except SealBroken:
        # One damaged row must not hold up the others (F23).
        _LOG.error("message %s (%s) cannot be unsealed and is given up", row["id"], row["kind"])
        await record_failure(conn, row["id"], "cannot be unsealed", now, next_attempt_at=None)
        return None


def text_of(message_id: str, sealed: bytes, master: MasterKey) -> str:
    """What the message with this sealed text says; raises SealBroken."""
    return unseal(master, sealed, context=_context(message_id)).decode()


def _context(message_id: str) -> str:
    return f"outbox/{message_id}"


async def record_sent(conn: Connection, message_id: str, now: datetime) -> None:
    """Keep that a gateway has taken the message, and forget what it said: it may have held a code."""
    await conn.execute(
        """
        UPDATE outbox SET sent_at = $2, sealed_text = NULL
        WHERE id = $1 AND sent_at IS NULL AND failed_at IS NULL
        """,
        message_id,
        now,
    )


async def record_failure(
    conn: Connection, message_id: str, fault: str, now: datetime, *, next_attempt_at: datetime | None
) -> None:
    """Keep why a sending failed and when it is tried again; None gives the message up, and forgets what it said."""
    await conn.execute(
        """
        UPDATE outbox
        SET fault = $2,
            next_attempt_at = coalesce($4, next_attempt_at),
            failed_at = CASE WHEN $4::timestamptz IS NULL THEN $3::timestamptz END,
            sealed_text = CASE WHEN $4::timestamptz IS NOT NULL THEN sealed_text END
        WHERE id = $1 AND sent_at IS NULL AND failed_at IS NULL
        """,
        message_id,
        fault,
        now,
        next_attempt_at,
    )


async def drop_late(conn: Connection, channel: Channel, now: datetime) -> int:
    """Give up what is older than its use, forget what it said, and answer how many these were."""
    rows = await conn.fetch(
        """
        UPDATE outbox SET failed_at = $2, sealed_text = NULL
        WHERE channel = $1 AND sent_at IS NULL AND failed_at IS NULL AND not_after <= $2
        RETURNING id
        """,
        channel,
        now,
    )
    return len(rows)


async def delete_expired(conn: Connection, *, now: datetime, keep: timedelta, limit: int = BATCH) -> int:
    """Forget messages that were sent, given up or of no more use so long ago; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM outbox WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM outbox WHERE coalesce(sent_at, failed_at, not_after) <= $1
                ORDER BY coalesce(sent_at, failed_at, not_after) LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now - keep,
            limit,
        )
    )


def _message(row: Row, text: str) -> Message:
    return Message(
        id=row["id"],
        channel=row["channel"],
        recipient=row["recipient"],
        kind=row["kind"],
        subject=row["subject"],
        text=text,
        created_at=row["created_at"],
        not_after=row["not_after"],
        attempts=row["attempts"],
    )
