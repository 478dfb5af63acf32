"""Authenticator apps."""

from datetime import datetime

from idp.model.credential import TotpCredential
from idp.store.database import Connection, Row


async def create(conn: Connection, credential: TotpCredential) -> None:
    """Store an app that counts from now on."""
    await conn.execute(
        """
        INSERT INTO totp_credentials (id, sub, name, sealed_seed, last_step, created_at, confirmed_at, last_used_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        credential.id,
        credential.sub,
        credential.name,
        credential.sealed_seed,
        credential.last_step,
        credential.created_at,
        credential.confirmed_at,
        credential.last_used_at,
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
    return tuple(map(_credential, rows))


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


def _credential(row: Row) -> TotpCredential:
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
