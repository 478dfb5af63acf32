"""Logos of applications as they are served, each drawn anew as a PNG."""

import hashlib

from idp.store.database import Connection


async def keep_logo(conn: Connection, client_id: str, logo_uri: str, content: bytes) -> None:
    """Keep the picture that was found at the client's ``logo_uri``, in place of a former one."""
    await conn.execute(
        """
        INSERT INTO client_logos (client_id, logo_uri, digest, content) VALUES ($1, $2, $3, $4)
        ON CONFLICT (client_id) DO UPDATE
        SET logo_uri = EXCLUDED.logo_uri, digest = EXCLUDED.digest, content = EXCLUDED.content
        """,
        client_id,
        logo_uri,
        hashlib.sha256(content).hexdigest()[:32],
        content,
    )


async def find_logo(conn: Connection, digest: str) -> bytes | None:
    """The PNG of this digest."""
    content = await conn.fetchval("SELECT content FROM client_logos WHERE digest = $1 LIMIT 1", digest)
    return None if content is None else bytes(content)
