"""Authenticator apps."""

from datetime import datetime

from idp.model.credential import TotpCredential
from idp.store.database import Connection, Row
from idp.store.expiry import BATCH, count_of


async def create_pending(conn: Connection, credential: TotpCredential) -> None:
    """Store an app that is not confirmed yet, in the place of the user's former one."""
    await conn.execute(
        """
        INSERT INTO totp_credentials (id, sub, name, sealed_seed, created_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (sub) WHERE confirmed_at IS NULL
        DO UPDATE SET id = EXCLUDED.id, name = EXCLUDED.name, sealed_seed = EXCLUDED.sealed_seed,
                      created_at = EXCLUDED.created_at
        """,
        credential.id,
        credential.sub,
        credential.name,
        credential.sealed_seed,
        credential.created_at,
    )


async def find_pending(conn: Connection, sub: str, *, begun_after: datetime) -> TotpCredential | None:
    """The user's app that waits for its confirmation and was begun later than that, or None."""
    return _credential(
        await conn.fetchrow(
            """
            SELECT id, sub, name, sealed_seed, last_step, created_at, confirmed_at, last_used_at
            FROM totp_credentials
            WHERE sub = $1 AND confirmed_at IS NULL AND created_at > $2
            """,
            sub,
            begun_after,
        )
    )


async def confirm(
    conn: Connection, credential: TotpCredential, step: int, now: datetime, *, begun_after: datetime
) -> TotpCredential | None:
    """Make a pending app count under the credential's name, its step spent; None if it is pending no more."""
    return _credential(
        await conn.fetchrow(
            """
            UPDATE totp_credentials
            SET confirmed_at = $4, last_used_at = $4, last_step = $5, name = $3
            WHERE id = $1 AND sub = $2 AND confirmed_at IS NULL AND created_at > $6
            RETURNING id, sub, name, sealed_seed, last_step, created_at, confirmed_at, last_used_at
            """,
            credential.id,
            credential.sub,
            credential.name,
            now,
            step,
            begun_after,
        )
    )


async def list_confirmed(conn: Connection, sub: str) -> tuple[TotpCredential, ...]:
    """The user's apps that count, oldest first."""
    rows = await conn.fetch(
        """
        SELECT id, sub, name, sealed_seed, last_step, created_at, confirmed_at, last_used_at
        FROM totp_credentials
        WHERE sub = $1 AND confirmed_at IS NOT NULL
        ORDER BY confirmed_at, id
        """,
        sub,
    )
    return tuple(credential for row in rows if (credential := _credential(row)) is not None)


async def consume_step(conn: Connection, id_: str, step: int, now: datetime) -> bool:
    """Take a time step: answers yes once, and never for a step at or before one taken (RFC 6238 §5.2)."""
    return (
        await conn.fetchval(
            """
            UPDATE totp_credentials SET last_step = $2, last_used_at = $3
            WHERE id = $1 AND confirmed_at IS NOT NULL AND (last_step IS NULL OR last_step < $2)
            RETURNING id
            """,
            id_,
            step,
            now,
        )
        is not None
    )


async def rename(conn: Connection, sub: str, id_: str, name: str) -> bool:
    """Give the user's app another name; answers whether it is theirs."""
    return (
        await conn.fetchval(
            """
            UPDATE totp_credentials SET name = $3
            WHERE id = $1 AND sub = $2 AND confirmed_at IS NOT NULL
            RETURNING id
            """,
            id_,
            sub,
            name,
        )
        is not None
    )


async def remove(conn: Connection, sub: str, id_: str) -> bool:
    """Forget the user's app; answers whether it was theirs."""
    return (
        await conn.fetchval("DELETE FROM totp_credentials WHERE id = $1 AND sub = $2 RETURNING id", id_, sub)
        is not None
    )


async def delete_expired(conn: Connection, *, begun_before: datetime, limit: int = BATCH) -> int:
    """Clear away enrolments that were begun before that and never confirmed; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM totp_credentials WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM totp_credentials WHERE confirmed_at IS NULL AND created_at < $1
                ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            begun_before,
            limit,
        )
    )


def _credential(row: Row | None) -> TotpCredential | None:
    if row is None:
        return None
    return TotpCredential(
        id=row["id"],
        sub=row["sub"],
        name=row["name"],
        sealed_seed=row["sealed_seed"],
        created_at=row["created_at"],
        last_step=row["last_step"],
        confirmed_at=row["confirmed_at"],
        last_used_at=row["last_used_at"],
    )
