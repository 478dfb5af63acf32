"""Links that were sent by mail. Of the secret in a link the digest alone is stored."""

from datetime import datetime

from idp.model.mail_link import LinkKind, MailLink
from idp.store.database import Connection, Row
from idp.store.expiry import BATCH, count_of

COLUMNS = "link_hash, kind, sub, email, email_canonical, created_at, expires_at, generation"
# Of the generation of its account still.
CURRENT = "generation = (SELECT generation FROM users WHERE users.sub = mail_links.sub)"


async def create_link(conn: Connection, link: MailLink) -> None:
    """Keep a new link; an earlier one of the same kind for the same account is dead from now on."""
    await conn.execute(
        """
        INSERT INTO mail_links (link_hash, kind, sub, email, email_canonical, created_at, expires_at, generation)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (sub, kind) WHERE consumed_at IS NULL DO UPDATE
        SET link_hash = EXCLUDED.link_hash, email = EXCLUDED.email, email_canonical = EXCLUDED.email_canonical,
            created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at, generation = EXCLUDED.generation
        """,
        link.digest,
        link.kind,
        link.sub,
        link.email,
        link.email_canonical,
        link.created_at,
        link.expires_at,
        link.generation,
    )


async def find_link(conn: Connection, digest: bytes, kind: LinkKind, *, now: datetime) -> MailLink | None:
    """The live link with this digest, if it is of this kind; looking does not use it up."""
    row = await conn.fetchrow(
        f"""
        SELECT {COLUMNS} FROM mail_links
        WHERE link_hash = $1 AND kind = $2 AND consumed_at IS NULL AND expires_at > $3 AND {CURRENT}
        """,
        digest,
        kind,
        now,
    )
    return None if row is None else _link(row)


async def find_link_of(conn: Connection, sub: str, kind: LinkKind, *, now: datetime) -> MailLink | None:
    """The live link of this kind that the account has, if any."""
    row = await conn.fetchrow(
        f"""
        SELECT {COLUMNS} FROM mail_links
        WHERE sub = $1 AND kind = $2 AND consumed_at IS NULL AND expires_at > $3 AND {CURRENT}
        """,
        sub,
        kind,
        now,
    )
    return None if row is None else _link(row)


async def consume_link(conn: Connection, digest: bytes, kind: LinkKind, *, now: datetime) -> MailLink | None:
    """Take the link: only one caller ever gets it, while it lives, and only for what it was made for."""
    row = await conn.fetchrow(
        f"""
        UPDATE mail_links SET consumed_at = $3
        WHERE link_hash = $1 AND kind = $2 AND consumed_at IS NULL AND expires_at > $3 AND {CURRENT}
        RETURNING {COLUMNS}
        """,
        digest,
        kind,
        now,
    )
    return None if row is None else _link(row)


async def revoke_links(conn: Connection, sub: str, kind: LinkKind) -> None:
    """Let no link of this kind work any more for the account."""
    await conn.execute("DELETE FROM mail_links WHERE sub = $1 AND kind = $2 AND consumed_at IS NULL", sub, kind)


async def revoke_links_to(conn: Connection, email_canonical: str, *, but: str) -> None:
    """Let no link work that was sent to this address for any other account than that one."""
    await conn.execute(
        "DELETE FROM mail_links WHERE email_canonical = $1 AND sub <> $2 AND consumed_at IS NULL", email_canonical, but
    )


async def delete_expired(conn: Connection, *, now: datetime, limit: int = BATCH) -> int:
    """Forget links whose time is over; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM mail_links WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM mail_links WHERE expires_at <= $1
                ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now,
            limit,
        )
    )


def _link(row: Row) -> MailLink:
    return MailLink(
        digest=bytes(row["link_hash"]),
        kind=row["kind"],
        sub=row["sub"],
        email=row["email"],
        email_canonical=row["email_canonical"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        generation=row["generation"],
    )
