"""Invitations that were sent by mail. Of the secret in a link the digest alone is stored."""

from datetime import datetime

from idp.model.invitation import Invitation
from idp.store.database import Connection, Row
from idp.store.expiry import BATCH, count_of

COLUMNS = "link_hash, email, email_canonical, created_at, expires_at"


async def create_invitation(conn: Connection, invitation: Invitation) -> None:
    """Keep a new invitation; an earlier one for the same address is dead from now on."""
    await conn.execute(
        """
        INSERT INTO invitations (link_hash, email, email_canonical, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (email_canonical) WHERE consumed_at IS NULL DO UPDATE
        SET link_hash = EXCLUDED.link_hash, email = EXCLUDED.email,
            created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at
        """,
        invitation.digest,
        invitation.email,
        invitation.email_canonical,
        invitation.created_at,
        invitation.expires_at,
    )


async def find_invitation(conn: Connection, digest: bytes, *, now: datetime) -> Invitation | None:
    """The live invitation with this digest; looking does not use it up."""
    row = await conn.fetchrow(
        f"""
        SELECT {COLUMNS} FROM invitations
        WHERE link_hash = $1 AND consumed_at IS NULL AND expires_at > $2
        """,
        digest,
        now,
    )
    return None if row is None else _invitation(row)


async def consume_invitation(conn: Connection, digest: bytes, *, now: datetime) -> Invitation | None:
    """Take the invitation: only one caller ever gets it, and only while it lives."""
    row = await conn.fetchrow(
        f"""
        UPDATE invitations SET consumed_at = $2
        WHERE link_hash = $1 AND consumed_at IS NULL AND expires_at > $2
        RETURNING {COLUMNS}
        """,
        digest,
        now,
    )
    return None if row is None else _invitation(row)


async def delete_expired(conn: Connection, *, now: datetime, limit: int = BATCH) -> int:
    """Forget invitations whose time is over; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM invitations WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM invitations WHERE expires_at <= $1
                ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now,
            limit,
        )
    )


def _invitation(row: Row) -> Invitation:
    return Invitation(
        digest=bytes(row["link_hash"]),
        email=row["email"],
        email_canonical=row["email_canonical"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
