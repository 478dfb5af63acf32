"""Sessions: signed-in browsers. The cookie's secret is stored as its digest alone."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from idp.base.digest import sha256
from idp.model.assurance import Evidence
from idp.model.session import Session
from idp.store.database import Connection, Row
from idp.store.evidence import from_json, to_json
from idp.store.expiry import BATCH, count_of
from idp.store.users import raise_generation

COLUMNS = "id, sub, evidence, created_at, seen_at, expires_at, ended_at, address, user_agent, enrolment_deferred_at"


def _session(row: Row) -> Session:
    return Session(
        id=row["id"],
        sub=row["sub"],
        evidence=from_json(row["evidence"]),
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        expires_at=row["expires_at"],
        ended_at=row["ended_at"],
        address=row["address"],
        user_agent=row["user_agent"],
        enrolment_deferred_at=row["enrolment_deferred_at"],
    )


async def record_deferral(conn: Connection, session_id: str, now: datetime) -> None:
    """Remember that the user will enrol later, for as long as the session lasts."""
    await conn.execute("UPDATE sessions SET enrolment_deferred_at = $2 WHERE id = $1", session_id, now)


async def create_session(
    conn: Connection,
    session_id: str,
    secret: str,
    sub: str,
    evidence: Iterable[Evidence],
    *,
    now: datetime,
    life: timedelta,
    address: str | None = None,
    user_agent: str | None = None,
) -> Session:
    """A new session of this user, found by the secret in its cookie; the last two tell its owner where it is."""
    row = await conn.fetchrow(
        f"""
        INSERT INTO sessions (id, secret_hash, sub, evidence, created_at, seen_at, expires_at, address, user_agent)
        VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8)
        RETURNING {COLUMNS}
        """,
        session_id,
        sha256(secret),
        sub,
        to_json(evidence),
        now,
        now + life,
        address,
        user_agent,
    )
    assert row is not None
    return _session(row)


async def find_session(
    conn: Connection, secret: str, *, now: datetime, idle: timedelta, touch: bool = True
) -> Session | None:
    """The live session of this cookie; unless told not to ``touch`` it, this and nothing else renews its idle time.

    That is written at most once a minute.

    None when it has ended, passed its absolute or idle life (ASVS 7.3.1, 7.3.2), or its user is disabled (7.4.2).
    """
    row = await conn.fetchrow(
        f"""
        SELECT {COLUMNS} FROM sessions
        WHERE secret_hash = $1 AND ended_at IS NULL AND expires_at > $2 AND seen_at > $3
          AND EXISTS (SELECT FROM users WHERE users.sub = sessions.sub AND disabled_at IS NULL)
        """,
        sha256(secret),
        now,
        now - idle,
    )
    if row is None:
        return None
    if touch and row["seen_at"] < now - timedelta(minutes=1):
        await touch_session(conn, row["id"], now=now)
    return _session(row)


async def touch_session(conn: Connection, session_id: str, *, now: datetime) -> None:
    """Note that the session was used, so that its idle time starts anew."""
    # Its user is held before it is locked, like everywhere (``users.lock``).
    await conn.execute(
        """
        WITH held AS MATERIALIZED (
            SELECT sub FROM users WHERE sub = (SELECT sub FROM sessions WHERE id = $1) FOR KEY SHARE
        )
        UPDATE sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2 AND EXISTS (SELECT FROM held)
        """,
        session_id,
        now,
    )


async def find_idle_session(conn: Connection, secret: str, *, now: datetime) -> Session | None:
    """The session of this cookie if it has not ended, however long it has lain idle; looking does not renew it.

    It signs nobody in: it is for what ends a session, since what was granted in it may live on (ASVS 7.4.1).
    """
    row = await conn.fetchrow(
        f"""
        SELECT {COLUMNS} FROM sessions
        WHERE secret_hash = $1 AND ended_at IS NULL AND expires_at > $2
        """,
        sha256(secret),
        now,
    )
    return None if row is None else _session(row)


async def rotate_session(
    conn: Connection, session_id: str, secret: str, evidence: Iterable[Evidence], *, now: datetime
) -> Session | None:
    """The session under a new secret and with this evidence; the old secret is dead (ASVS 7.2.4)."""
    row = await conn.fetchrow(
        f"""
        UPDATE sessions SET secret_hash = $2, evidence = $3, seen_at = $4
        WHERE id = $1 AND ended_at IS NULL
        RETURNING {COLUMNS}
        """,
        session_id,
        sha256(secret),
        to_json(evidence),
        now,
    )
    return None if row is None else _session(row)


ChallengeKind: TypeAlias = Literal["challenge", "upgrade_challenge"]
"""That of the page that adds an authenticator, and that of the passkey which the browser makes by itself meanwhile."""


async def record_challenge(
    conn: Connection,
    session_id: str,
    challenge: bytes,
    *,
    generation: int,
    now: datetime,
    kind: ChallengeKind = "challenge",
) -> None:
    """Keep the newest challenge for enrolling an authenticator, in place of any of its kind before it.

    ``generation`` is the account's, under which alone it can be answered (A-76).
    """
    await conn.execute(
        f"UPDATE sessions SET {kind} = $2, {kind}_at = $3, {kind}_generation = $4 WHERE id = $1",
        session_id,
        challenge,
        now,
        generation,
    )


async def consume_challenge(
    conn: Connection, session_id: str, *, now: datetime, life: timedelta, kind: ChallengeKind = "challenge"
) -> bytes | None:
    """Take the enrolment challenge: it is answered once, and only while it is young (WebAuthn §13.4.3)."""
    row = await conn.fetchrow(
        f"""
        UPDATE sessions AS after SET {kind} = NULL
        FROM (SELECT id, {kind} AS challenge FROM sessions WHERE id = $1 FOR UPDATE) AS before
        WHERE after.id = before.id AND before.challenge IS NOT NULL AND after.{kind}_at > $2
          AND after.{kind}_generation = (SELECT generation FROM users WHERE users.sub = after.sub)
        RETURNING before.challenge
        """,
        session_id,
        now - life,
    )
    return None if row is None else bytes(row["challenge"])


async def forget_shown(conn: Connection, sub: str, method: str) -> None:
    """Let nothing count any more that this method has shown in the user's sessions."""
    await conn.execute(
        """
        UPDATE sessions SET evidence = (
            SELECT coalesce(jsonb_agg(shown), '[]')
            FROM jsonb_array_elements(evidence) AS shown
            WHERE shown ->> 'method' <> $2
        )
        WHERE sub = $1 AND ended_at IS NULL
        """,
        sub,
        method,
    )


async def list_live(
    conn: Connection, sub: str, *, now: datetime, idle: timedelta, limit: int | None = None
) -> tuple[Session, ...]:
    """The user's sessions that are signed in now, the one used last first; so many at most."""
    rows = await conn.fetch(
        f"""
        SELECT {COLUMNS} FROM sessions
        WHERE sub = $1 AND ended_at IS NULL AND expires_at > $2 AND seen_at > $3
        ORDER BY seen_at DESC, id
        LIMIT $4
        """,
        sub,
        now,
        now - idle,
        limit,
    )
    return tuple(_session(row) for row in rows)


async def count_live(conn: Connection, sub: str, *, now: datetime, idle: timedelta, id_: str | None = None) -> int:
    """How many ``list_live`` lists without a limit; with an id whether that session is one of them."""
    found: int = await conn.fetchval(
        """
        SELECT count(*) FROM sessions
        WHERE sub = $1 AND ended_at IS NULL AND expires_at > $2 AND seen_at > $3 AND ($4::text IS NULL OR id = $4)
        """,
        sub,
        now,
        now - idle,
        id_,
    )
    return found


async def end_session(conn: Connection, session_id: str, *, now: datetime) -> None:
    """End the session, and with it all it has authorized but what was granted for offline use."""
    await conn.execute("UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL", session_id, now)
    await conn.execute(
        """
        UPDATE authorizations SET revoked_at = $2
        WHERE session_id = $1 AND revoked_at IS NULL AND NOT 'offline_access' = ANY (scope)
        """,
        session_id,
        now,
    )


async def end_sessions_of(conn: Connection, sub: str, now: datetime) -> int:
    """End all sessions of the user, and all that was authorized; answers how many sessions there were.

    Whatever was begun before is worth nothing from now on, what apps hold for offline use included. Raises UserGone.
    """
    await raise_generation(conn, sub)
    rows = await conn.fetch(
        """
        UPDATE sessions SET ended_at = $2 WHERE sub = $1 AND ended_at IS NULL
        RETURNING expires_at > $2 AS live
        """,
        sub,
        now,
    )
    await conn.execute("UPDATE authorizations SET revoked_at = $2 WHERE sub = $1 AND revoked_at IS NULL", sub, now)
    return sum(row["live"] for row in rows)


async def end_other_sessions(conn: Connection, sub: str, now: datetime, *, but: str) -> int:
    """End the user's sessions but one, and all that was authorized elsewhere; answers how many sessions these were.

    Whatever was begun before is worth nothing from now on. What apps hold for offline use ends as well, unless it was
    granted in the session that stays: it may be somebody else who holds it. Raises UserGone.
    """
    await raise_generation(conn, sub)
    rows = await conn.fetch(
        """
        UPDATE sessions SET ended_at = $2 WHERE sub = $1 AND ended_at IS NULL AND id <> $3
        RETURNING expires_at > $2 AS live
        """,
        sub,
        now,
        but,
    )
    await conn.execute(
        """
        UPDATE authorizations SET revoked_at = $2
        WHERE sub = $1 AND revoked_at IS NULL AND session_id IS DISTINCT FROM $3
        """,
        sub,
        now,
        but,
    )
    return sum(row["live"] for row in rows)


async def delete_expired(conn: Connection, *, now: datetime, keep: timedelta, limit: int = BATCH) -> int:
    """Forget sessions that nothing asks for any more, so long ago they ended; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM sessions WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM sessions WHERE expires_at <= $1
                ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now - keep,
            limit,
        )
    )
