"""Authorizations: the parents under which codes and tokens die together, and the codes themselves."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idp.base.digest import sha256
from idp.model.assurance import Assurance
from idp.model.authorization import Authorization, AuthorizationCode
from idp.store.database import Connection, Row
from idp.store.expiry import BATCH

COLUMNS = "id, sub, client_id, session_id, scope, claims, acr, amr, auth_time, created_at, revoked_at"


def _authorization(row: Row) -> Authorization:
    return Authorization(
        id=row["id"],
        sub=row["sub"],
        client_id=row["client_id"],
        session_id=row["session_id"],
        scope=tuple(row["scope"]),
        claims=row["claims"],
        assurance=Assurance(row["acr"], tuple(row["amr"]), row["auth_time"]),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


async def create_authorization(conn: Connection, authorization: Authorization) -> None:
    """Record the user's approval."""
    await conn.execute(
        """
        INSERT INTO authorizations
            (id, sub, client_id, session_id, scope, claims, acr, amr, auth_time, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        authorization.id,
        authorization.sub,
        authorization.client_id,
        authorization.session_id,
        list(authorization.scope),
        authorization.claims,
        authorization.assurance.acr,
        list(authorization.assurance.amr),
        authorization.assurance.auth_time,
        authorization.created_at,
    )


async def create_code(conn: Connection, code: str, record: AuthorizationCode) -> None:
    """Record a code, by its digest."""
    await conn.execute(
        """
        INSERT INTO authorization_codes
            (code_hash, authorization_id, client_id, redirect_uri, code_challenge, nonce, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        sha256(code),
        record.authorization_id,
        record.client_id,
        record.redirect_uri,
        record.code_challenge,
        record.nonce,
        record.expires_at,
    )


@dataclass(frozen=True, slots=True)
class FoundCode:
    """A code's record, and whether it had been consumed before."""

    record: AuthorizationCode
    consumed: bool


async def find_code(conn: Connection, code: str) -> FoundCode | None:
    """The record of this code, whatever its age and state; its user is held, as by ``users.hold``."""
    row = await conn.fetchrow(
        """
        SELECT authorization_id, code.client_id, redirect_uri, code_challenge, nonce, expires_at, consumed_at
        FROM authorization_codes AS code
        JOIN authorizations AS granted ON granted.id = authorization_id
        JOIN users ON users.sub = granted.sub
        WHERE code_hash = $1
        FOR KEY SHARE OF users
        """,
        sha256(code),
    )
    if row is None:
        return None
    record = AuthorizationCode(
        authorization_id=row["authorization_id"],
        client_id=row["client_id"],
        redirect_uri=row["redirect_uri"],
        code_challenge=row["code_challenge"],
        nonce=row["nonce"],
        expires_at=row["expires_at"],
    )
    return FoundCode(record, row["consumed_at"] is not None)


async def consume_code(conn: Connection, code: str, *, now: datetime) -> bool:
    """Take the code; of any number of callers only one ever gets True (RFC 6749 §4.1.2: MUST NOT be used twice)."""
    row = await conn.fetchrow(
        """
        UPDATE authorization_codes SET consumed_at = $2
        WHERE code_hash = $1 AND consumed_at IS NULL AND expires_at > $2
        RETURNING authorization_id
        """,
        sha256(code),
        now,
    )
    return row is not None


async def find_live_authorization(conn: Connection, authorization_id: str, *, now: datetime) -> Authorization | None:
    """The authorization, if tokens may be issued or honoured under it now.

    Not revoked, its user and client enabled, and its session not ended nor past its absolute life, unless it was
    granted for offline use. Whether the session lies idle does not matter here: that is its browser's, and a grant has
    an idle time of its own, the refresh token's. Its scope is what of the granted one the client is still registered
    for (ASVS 8.3.2): where nothing is left, it is dead too.
    """
    row = await conn.fetchrow(
        f"""
        SELECT {COLUMNS}, client_scope FROM authorizations AS granted, LATERAL (
            SELECT clients.scope AS client_scope FROM clients
            WHERE clients.client_id = granted.client_id AND disabled_at IS NULL) AS client
        WHERE id = $1 AND revoked_at IS NULL
          AND EXISTS (SELECT FROM users WHERE users.sub = granted.sub AND disabled_at IS NULL)
          AND ('offline_access' = ANY (scope) AND 'offline_access' = ANY (client_scope) OR EXISTS (
              SELECT FROM sessions
              WHERE sessions.id = granted.session_id AND ended_at IS NULL AND expires_at > $2))
        """,
        authorization_id,
        now,
    )
    if row is None:
        return None
    found, client_scope = _authorization(row), tuple(row["client_scope"])
    scope = tuple(word for word in found.scope if word in client_scope)
    return replace(found, scope=scope, client_scope=client_scope) if scope else None


async def session_is_live(conn: Connection, session_id: str, *, now: datetime) -> bool:
    """Whether the session behind a token's ``sid`` has neither ended nor outlived its absolute life."""
    return bool(
        await conn.fetchval(
            "SELECT EXISTS (SELECT FROM sessions WHERE id = $1 AND ended_at IS NULL AND expires_at > $2)",
            session_id,
            now,
        )
    )


async def revoke_authorization(conn: Connection, authorization_id: str, *, now: datetime) -> Authorization | None:
    """Kill the authorization with all its tokens, and answer what it was; None if it was dead already."""
    row = await conn.fetchrow(
        f"""
        UPDATE authorizations SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL
        RETURNING {COLUMNS}
        """,
        authorization_id,
        now,
    )
    return None if row is None else _authorization(row)


async def revoke_of_client(conn: Connection, sub: str, client_id: str, now: datetime) -> int:
    """Kill every authorization that the user gave this client, those for offline use too; answers how many."""
    rows = await conn.fetch(
        """
        UPDATE authorizations SET revoked_at = $3
        WHERE sub = $1 AND client_id = $2 AND revoked_at IS NULL
        RETURNING id
        """,
        sub,
        client_id,
        now,
    )
    return len(rows)


async def delete_expired(conn: Connection, *, now: datetime, keep: timedelta, limit: int = BATCH) -> int:
    """Forget codes that expired so long ago, and the authorizations under which nothing can be alive any more.

    Answers how many codes, at most ``limit``.
    """
    rows = await conn.fetch(
        """
        DELETE FROM authorization_codes WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM authorization_codes WHERE expires_at <= $1
            ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ))
        RETURNING authorization_id
        """,
        now - keep,
        limit,
    )
    await delete_dead(conn, {row["authorization_id"] for row in rows}, now=now, keep=keep)
    return len(rows)


async def delete_dead(conn: Connection, ids: Collection[str], *, now: datetime, keep: timedelta) -> None:
    """Forget those of these authorizations that are so old and have no living refresh token.

    An authorization begins with a code and lives on by refresh tokens, so the last of these to go is the moment to look
    at it: the living ones are never gone through. Its code outlasts its time as a dead one.
    """
    await conn.execute(
        """
        DELETE FROM authorizations AS old WHERE id = ANY($1::text[]) AND created_at <= $2
          AND NOT EXISTS (SELECT FROM refresh_tokens WHERE authorization_id = old.id AND expires_at > $3)
        """,
        sorted(ids),
        now - keep,
        now,
    )
