"""Access tokens revoked one by one: those that hang on no authorization (client credentials)."""

from datetime import datetime

from idp.store.database import Connection
from idp.store.expiry import BATCH, count_of


async def revoke_access_token(conn: Connection, jti: str, expires_at: datetime) -> None:
    """Remember that this token is dead, until it would have expired anyway."""
    await conn.execute(
        "INSERT INTO revoked_access_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", jti, expires_at
    )


async def is_revoked(conn: Connection, jti: str) -> bool:
    """Whether this token was revoked."""
    return bool(await conn.fetchval("SELECT EXISTS (SELECT FROM revoked_access_tokens WHERE jti = $1)", jti))


async def delete_expired(conn: Connection, *, now: datetime, limit: int = BATCH) -> int:
    """Forget tokens that have expired meanwhile; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM revoked_access_tokens WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM revoked_access_tokens WHERE expires_at <= $1
                ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now,
            limit,
        )
    )
