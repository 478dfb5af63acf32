"""Client assertions already seen, so that none counts twice (RFC 7523 §3, item 7; A-23)."""

from datetime import datetime

from idp.base.digest import sha256
from idp.store.database import Connection
from idp.store.expiry import BATCH, count_of


async def consume_assertion(conn: Connection, client_id: str, jti: str, expires_at: datetime) -> bool:
    """Take the assertion's ``jti``; of any number of callers only one ever gets True."""
    row = await conn.fetchrow(
        """
        INSERT INTO client_assertions (client_id, jti_hash, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING RETURNING client_id
        """,
        client_id,
        sha256(jti),
        expires_at,
    )
    return row is not None


async def delete_expired(conn: Connection, *, now: datetime, limit: int = BATCH) -> int:
    """Forget assertions that have expired: they are refused for that; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM client_assertions WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM client_assertions WHERE expires_at <= $1
                ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now,
            limit,
        )
    )
