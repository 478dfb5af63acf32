"""Refresh tokens: each is used once and replaced; using one again betrays the family (RFC 9700 §4.14.2)."""

from datetime import datetime, timedelta

from idp.base.digest import sha256
from idp.model.authorization import RefreshToken
from idp.store.authorizations import delete_dead
from idp.store.database import Connection
from idp.store.expiry import BATCH


async def create_refresh_token(
    conn: Connection, token: str, authorization_id: str, client_id: str, *, now: datetime, expires_at: datetime
) -> None:
    """Record a refresh token, by its digest; its authorization is used now, which is kept at most once a minute."""
    await conn.execute(
        """
        WITH used AS (
            UPDATE authorizations SET last_used_at = $4
            WHERE id = $2 AND coalesce(last_used_at, created_at) < $4::timestamptz - interval '1 minute'
        )
        INSERT INTO refresh_tokens (token_hash, authorization_id, client_id, issued_at, expires_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        sha256(token),
        authorization_id,
        client_id,
        now,
        expires_at,
    )


async def find_refresh_token(conn: Connection, token: str, *, hold: bool = False) -> RefreshToken | None:
    """The record of this refresh token, whatever its age and state; with ``hold`` its user is held (``users.hold``)."""
    row = await conn.fetchrow(
        f"""
        SELECT authorization_id, refresh.client_id, expires_at, consumed_at
        FROM refresh_tokens AS refresh
        JOIN authorizations AS granted ON granted.id = authorization_id
        JOIN users ON users.sub = granted.sub
        WHERE token_hash = $1
        {"FOR KEY SHARE OF users" if hold else ""}
        """,
        sha256(token),
    )
    if row is None:
        return None
    return RefreshToken(row["authorization_id"], row["client_id"], row["expires_at"], row["consumed_at"])


async def consume_refresh_token(conn: Connection, token: str, *, now: datetime) -> bool:
    """Take the refresh token; of any number of callers only one ever gets True."""
    row = await conn.fetchrow(
        """
        UPDATE refresh_tokens SET consumed_at = $2
        WHERE token_hash = $1 AND consumed_at IS NULL AND expires_at > $2
        RETURNING authorization_id
        """,
        sha256(token),
        now,
    )
    return row is not None


async def delete_expired(conn: Connection, *, now: datetime, keep: timedelta, limit: int = BATCH) -> int:
    """Forget refresh tokens whose time is over, and with the last one of an authorization that as well.

    Answers how many refresh tokens, at most ``limit``; ``keep`` is as for ``authorizations.delete_dead``.
    """
    rows = await conn.fetch(
        """
        DELETE FROM refresh_tokens WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM refresh_tokens WHERE expires_at <= $1
            ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ))
        RETURNING authorization_id
        """,
        now,
        limit,
    )
    await delete_dead(conn, {row["authorization_id"] for row in rows}, now=now, keep=keep)
    return len(rows)
