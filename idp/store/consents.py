"""What users have allowed which client, remembered."""

from collections.abc import Iterable
from datetime import datetime

from idp.store.database import Connection


async def find_consent(conn: Connection, sub: str, client_id: str) -> frozenset[str]:
    """The scope that the user has allowed this client so far; empty if none."""
    scope = await conn.fetchval("SELECT scope FROM consents WHERE sub = $1 AND client_id = $2", sub, client_id)
    return frozenset(scope or ())


async def hold_consent(conn: Connection, sub: str, client_id: str) -> bool:
    """Whether the user still allows this client anything; a withdrawal has to wait until this transaction ends.

    The user is held first, as by ``users.hold``.
    """
    row = await conn.fetchrow(
        """
        WITH held AS MATERIALIZED (SELECT sub FROM users WHERE sub = $1 FOR KEY SHARE)
        SELECT client_id FROM consents
        WHERE sub = $1 AND client_id = $2 AND EXISTS (SELECT FROM held)
        FOR SHARE OF consents
        """,
        sub,
        client_id,
    )
    return row is not None


async def record_consent(conn: Connection, sub: str, client_id: str, scope: Iterable[str], *, now: datetime) -> None:
    """Add to what the user has allowed this client."""
    await conn.execute(
        """
        INSERT INTO consents (sub, client_id, scope, granted_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (sub, client_id) DO UPDATE
        SET scope = ARRAY(SELECT DISTINCT unnest(consents.scope || excluded.scope)), granted_at = excluded.granted_at
        """,
        sub,
        client_id,
        list(scope),
        now,
    )


async def revoke_consents_of(conn: Connection, sub: str) -> None:
    """Remember nothing of what the user has allowed anybody."""
    await conn.execute("DELETE FROM consents WHERE sub = $1", sub)


async def revoke_consent(conn: Connection, sub: str, client_id: str) -> None:
    """Remember nothing of what the user has allowed this client; it has to ask again."""
    await conn.execute("DELETE FROM consents WHERE sub = $1 AND client_id = $2", sub, client_id)
