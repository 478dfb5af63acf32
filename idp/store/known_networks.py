"""Networks from which an account has signed in: as keyed digests, for nobody needs to know where people have been."""

from datetime import datetime, timedelta

from idp.store.database import Connection
from idp.store.expiry import BATCH, count_of

LIFE = timedelta(days=90)
"""How long a network is known after the last sign-in from it."""
MOST = 100
"""So many networks of an account are kept, the latest ones: a traveller has fewer, and nobody fills the table."""


async def is_known(conn: Connection, sub: str, digest: bytes, *, now: datetime) -> bool:
    """Whether the account has signed in from this network within its life."""
    return bool(
        await conn.fetchval(
            "SELECT EXISTS (SELECT FROM known_networks WHERE sub = $1 AND network_digest = $2 AND seen_at > $3)",
            sub,
            digest,
            now - LIFE,
        )
    )


async def remember_network(conn: Connection, sub: str, digest: bytes, *, now: datetime) -> None:
    """Know this network for the account from now on, and of the others the latest."""
    await conn.execute(
        """
        INSERT INTO known_networks (sub, network_digest, seen_at) VALUES ($1, $2, $3)
        ON CONFLICT (sub, network_digest) DO UPDATE SET seen_at = EXCLUDED.seen_at
        """,
        sub,
        digest,
        now,
    )
    await conn.execute(
        """
        DELETE FROM known_networks
        WHERE sub = $1 AND network_digest IN (
            SELECT network_digest FROM known_networks WHERE sub = $1 ORDER BY seen_at DESC OFFSET $2
        )
        """,
        sub,
        MOST,
    )


async def delete_expired(conn: Connection, *, now: datetime, limit: int = BATCH) -> int:
    """Forget networks from which nobody has signed in for so long; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM known_networks WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM known_networks WHERE seen_at <= $1
                ORDER BY seen_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now - LIFE,
            limit,
        )
    )
