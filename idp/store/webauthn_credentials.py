"""Security keys, platform authenticators and passkeys."""

from datetime import datetime

from idp.model.credential import WebAuthnCredential
from idp.store.database import Connection, Row


async def create(conn: Connection, credential: WebAuthnCredential) -> bool:
    """Store a new credential; answers no if any user has that credential id (WebAuthn Level 3 §7.1 step 26)."""
    created = await conn.fetchval(
        """
        INSERT INTO webauthn_credentials (
            id, sub, name, credential_id, public_key, sign_count, aaguid, transports, backup_eligible, backed_up,
            uv_initialized, discoverable, attested, created_at, last_used_at, voluntary
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        ON CONFLICT (credential_id) DO NOTHING
        RETURNING id
        """,
        credential.id,
        credential.sub,
        credential.name,
        credential.credential_id,
        credential.public_key,
        credential.sign_count,
        credential.aaguid,
        list(credential.transports),
        credential.backup_eligible,
        credential.backed_up,
        credential.uv_initialized,
        credential.discoverable,
        credential.attested,
        credential.created_at,
        credential.last_used_at,
        credential.voluntary,
    )
    return created is not None


async def find(conn: Connection, credential_id: bytes) -> WebAuthnCredential | None:
    """The credential with this credential id, whoever's it is, or None."""
    row = await conn.fetchrow(
        """
        SELECT id, sub, name, credential_id, public_key, sign_count, aaguid, transports, backup_eligible, backed_up,
               uv_initialized, discoverable, attested, created_at, last_used_at, voluntary
        FROM webauthn_credentials
        WHERE credential_id = $1
        """,
        credential_id,
    )
    return None if row is None else _credential(row)


async def list_of(conn: Connection, sub: str) -> tuple[WebAuthnCredential, ...]:
    """The user's credentials, oldest first."""
    rows = await conn.fetch(
        """
        SELECT id, sub, name, credential_id, public_key, sign_count, aaguid, transports, backup_eligible, backed_up,
               uv_initialized, discoverable, attested, created_at, last_used_at, voluntary
        FROM webauthn_credentials
        WHERE sub = $1
        ORDER BY created_at, id
        """,
        sub,
    )
    return tuple(map(_credential, rows))


async def count(conn: Connection, sub: str) -> int:
    """How many credentials the user has."""
    found = await conn.fetchval("SELECT count(*) FROM webauthn_credentials WHERE sub = $1", sub)
    return int(found)


async def record_use(
    conn: Connection,
    id_: str,
    *,
    sign_count: int,
    backed_up: bool,
    initializes_uv: bool,
    now: datetime,
    discovered: bool = False,
) -> bool:
    """Remember the state after a verified use; answers no, and changes nothing, if the counter did not grow.

    An authenticator without a counter says zero always, and that is let through (WebAuthn Level 3 §7.2 step 22). A use
    that ``initializes_uv`` lets the user verification of all later ones count. One that was ``discovered``, by itself
    and not by its id, is discoverable, whatever its browser said when it was made.
    """
    return (
        await conn.fetchval(
            """
            UPDATE webauthn_credentials
            SET sign_count = $2, backed_up = $3, uv_initialized = uv_initialized OR $4, last_used_at = $5,
                discoverable = discoverable OR $6
            WHERE id = $1 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0))
            RETURNING id
            """,
            id_,
            sign_count,
            backed_up,
            initializes_uv,
            now,
            discovered,
        )
        is not None
    )


async def rename(conn: Connection, sub: str, id_: str, name: str) -> bool:
    """Give the user's credential another name; answers whether it is theirs."""
    return (
        await conn.fetchval(
            "UPDATE webauthn_credentials SET name = $3 WHERE id = $1 AND sub = $2 RETURNING id", id_, sub, name
        )
        is not None
    )


async def rely_on(conn: Connection, sub: str) -> None:
    """Let no credential of the user's be voluntary any more."""
    await conn.execute("UPDATE webauthn_credentials SET voluntary = false WHERE sub = $1 AND voluntary", sub)


async def remove(conn: Connection, sub: str, id_: str) -> bool:
    """Forget the user's credential; answers whether it was theirs."""
    return (
        await conn.fetchval("DELETE FROM webauthn_credentials WHERE id = $1 AND sub = $2 RETURNING id", id_, sub)
        is not None
    )


def _credential(row: Row) -> WebAuthnCredential:
    return WebAuthnCredential(
        id=row["id"],
        sub=row["sub"],
        name=row["name"],
        credential_id=row["credential_id"],
        public_key=row["public_key"],
        sign_count=row["sign_count"],
        aaguid=row["aaguid"],
        transports=tuple(row["transports"]),
        backup_eligible=row["backup_eligible"],
        backed_up=row["backed_up"],
        uv_initialized=row["uv_initialized"],
        discoverable=row["discoverable"],
        attested=row["attested"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        voluntary=row["voluntary"],
    )
