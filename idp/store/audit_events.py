"""The audit trail: rows are appended, and neither changed nor taken back; the database itself refuses that."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import takewhile

from idp.base.seal import MasterKey
from idp.model.audit_chain import Link
from idp.model.event import Activity, Event
from idp.store.audit_anchors import move_anchor
from idp.store.database import Connection, Row
from idp.store.expiry import BATCH, count_of

CHAINS = """WITH RECURSIVE chains (chain) AS (
            SELECT min(chain) FROM audit_events
            UNION ALL
            SELECT (SELECT min(chain) FROM audit_events WHERE chain > chains.chain) FROM chains
            WHERE chain IS NOT NULL
        )"""
"""All chains that there are, by one look into their index for each."""

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


async def list_page(
    conn: Connection,
    *,
    after: int,
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
    sub: str | None = None,
) -> tuple[Event, ...]:
    """The next events behind that place in the trail, oldest first: from then on, before then, of one account."""
    rows = await conn.fetch(
        f"""
        SELECT {COLUMNS} FROM audit_events
        WHERE id > $1 AND ($3::timestamptz IS NULL OR at >= $3) AND ($4::timestamptz IS NULL OR at < $4)
          AND ($5::text IS NULL OR sub = $5)
        ORDER BY id
        LIMIT $2
        """,
        after,
        limit,
        since,
        until,
        sub,
    )
    return tuple(_event(row) for row in rows)


async def list_links(conn: Connection, *, after: tuple[int, int], limit: int) -> tuple[Link, ...]:
    """The next rows behind that chain and place as links of their chains, in order, with the seals at their places."""
    rows = await conn.fetch(
        """
        SELECT told.digest, audit_seals.digest AS sealed, told.chain, told.place, told.id,
            encode(timestamptz_send(told.at), 'hex') AS at, told.event, told.actor, told.sub, told.client_id,
            told.session_id, told.address, told.request_id, told.details::text AS details
        FROM audit_events AS told
        LEFT JOIN audit_seals ON audit_seals.chain = told.chain AND audit_seals.place = told.place
        WHERE (told.chain, told.place) > ($1, $2) AND told.chain IS NOT NULL
        ORDER BY told.chain, told.place
        LIMIT $3
        """,
        *after,
        limit,
    )
    return tuple(_link(row) for row in rows)


async def count_unchained(conn: Connection) -> tuple[int, int | None]:
    """How many rows are in no chain, since they were written before there were any, and the newest of them."""
    row = await conn.fetchrow("""SELECT count(*) AS count, max(id) AS newest FROM audit_events WHERE chain IS NULL""")
    assert row is not None
    return row["count"], row["newest"]


async def delete_expired(
    conn: Connection, master: MasterKey, *, now: datetime, keep: timedelta, limit: int = BATCH
) -> int:
    """Forget events older than that, at most so many, and say how many; where it is fewer, there are no more.

    A chain loses its oldest rows alone, and leaves an anchor from which on it can be verified: an event goes once all
    before it in its chain can go. Of those younger than 80 days the database lets none go, whoever asks.
    """
    before = now - keep
    deleted = await _delete_unchained(conn, before, limit)
    for chain in await _expired_chains(conn, before, limit):
        if deleted >= limit:
            break
        deleted += await _delete_prefix(conn, master, chain, before, limit - deleted)
    return deleted


async def _delete_unchained(conn: Connection, before: datetime, limit: int) -> int:
    return count_of(
        await conn.execute(
            """
            DELETE FROM audit_events WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM audit_events WHERE at < $1 AND chain IS NULL
                ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            before,
            limit,
        )
    )


async def _expired_chains(conn: Connection, before: datetime, limit: int) -> tuple[int, ...]:
    """The chains whose first row is that old."""
    rows = await conn.fetch(
        f"""
        {CHAINS}
        SELECT chains.chain
        FROM chains
        CROSS JOIN LATERAL (
            SELECT at FROM audit_events
            WHERE chain = chains.chain AND chain IS NOT NULL
            ORDER BY place
            LIMIT 1
        ) AS oldest
        WHERE oldest.at < $1
        ORDER BY chains.chain
        LIMIT $2
        """,
        before,
        limit,
    )
    return tuple(row["chain"] for row in rows)


async def _delete_prefix(conn: Connection, master: MasterKey, chain: int, before: datetime, limit: int) -> int:
    rows = await conn.fetch(
        """
        SELECT place, digest, at < $2 AS is_expired FROM audit_events
        WHERE chain = $1 AND chain IS NOT NULL
        ORDER BY place
        LIMIT $3
        """,
        chain,
        before,
        limit,
    )
    expired = list(takewhile(lambda row: row["is_expired"], rows))
    if not expired:
        # Another process was here first.
        return 0
    last = expired[-1]
    await move_anchor(conn, master, chain, last["place"], last["digest"])
    return count_of(
        await conn.execute("""DELETE FROM audit_events WHERE chain = $1 AND place <= $2""", chain, last["place"])
    )


def _link(row: Row) -> Link:
    digest, sealed, chain, place, id_, *rest = row
    return Link(chain, place, id_, digest, (str(chain), str(place), str(id_), *rest), sealed)


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
