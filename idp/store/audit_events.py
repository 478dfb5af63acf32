"""The audit trail: rows are appended, and neither changed nor taken back; the database itself refuses that."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from idp.model.event import Activity, Event
from idp.store.database import Connection, Row
from idp.store.expiry import BATCH, count_of

COLUMNS = "id, at, event, actor, sub, client_id, session_id, address, request_id, details"


async def record_event(conn: Connection, event: Event) -> None:
    """Append the event, in the transaction of what it tells of: neither is kept without the other."""
    await conn.execute(
        """
        INSERT INTO audit_events (at, event, actor, sub, client_id, session_id, address, request_id, details)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        event.at,
        event.event,
        event.actor,
        event.sub,
        event.client_id,
        event.session_id,
        event.address,
        event.request_id,
        dict(event.details),
    )


async def list_events(
    conn: Connection, *, sub: str | None = None, after: int = 0, limit: int = 100
) -> tuple[Event, ...]:
    """The newest events after that place in the trail, oldest first; of one account, or of all."""
    rows = await conn.fetch(
        f"""
        SELECT {COLUMNS} FROM audit_events
        WHERE id > $1 AND ($2::text IS NULL OR sub = $2)
        ORDER BY id DESC
        LIMIT $3
        """,
        after,
        sub,
        limit,
    )
    return tuple(_event(row) for row in reversed(rows))


async def list_activity(
    conn: Connection,
    sub: str,
    *,
    since: datetime,
    events: Iterable[str] | None = None,
    before: int | None = None,
    limit: int,
) -> tuple[Activity, ...]:
    """What the trail has of one account since then, newest first: these kinds of events or all, older than that id.

    The browser is known for as long as its session is. What is much older is not gone through: the ids rise with time,
    but for a few that were written by a clock that was behind.
    """
    rows = await conn.fetch(
        """
        SELECT told.id, told.at, told.event, told.actor, told.sub, told.client_id, told.session_id, told.address,
            told.request_id, told.details, sessions.user_agent, clients.client_name
        FROM audit_events AS told
        LEFT JOIN sessions ON sessions.id = told.session_id AND sessions.sub = told.sub
        LEFT JOIN clients ON clients.client_id = told.client_id
        WHERE told.sub = $1 AND told.at >= $2
          AND told.id >= (
              SELECT min(id) FROM (SELECT id FROM audit_events WHERE at >= $2 ORDER BY at LIMIT 100) AS first
          )
          AND ($3::text[] IS NULL OR told.event = ANY ($3))
          AND ($4::bigint IS NULL OR told.id < $4)
        ORDER BY told.id DESC
        LIMIT $5
        """,
        sub,
        since,
        None if events is None else sorted(events),
        before,
        limit,
    )
    return tuple(Activity(_event(row), row["user_agent"], row["client_name"]) for row in rows)


async def delete_expired(conn: Connection, *, now: datetime, keep: timedelta, limit: int = BATCH) -> int:
    """Forget events older than that, at most ``limit`` at once, and answer how many.

    Of those younger than 80 days the database lets none go, whoever asks.
    """
    return count_of(
        await conn.execute(
            """
            DELETE FROM audit_events WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM audit_events WHERE at < $1
                ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now - keep,
            limit,
        )
    )


def _event(row: Row) -> Event:
    return Event(
        event=row["event"],
        actor=row["actor"],
        at=row["at"],
        sub=row["sub"],
        client_id=row["client_id"],
        session_id=row["session_id"],
        address=row["address"],
        request_id=row["request_id"],
        details=row["details"],
        id=row["id"],
    )
