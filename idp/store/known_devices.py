"""Browsers in which an account has signed in before: outsiders who guess elsewhere do not slow these (A-63)."""

from datetime import datetime, timedelta

from idp.base.digest import sha256
from idp.model.trusted_device import TrustedDevice
from idp.model.user import User
from idp.store.database import Connection
from idp.store.expiry import BATCH, count_of
from idp.store.users import find_user

# Of the generation of its account still: what is not is known for nothing, and offered to nobody.
CURRENT = "generation = (SELECT generation FROM users WHERE users.sub = known_devices.sub)"


async def remember_device(
    conn: Connection, secret: str, user: User, *, former: str | None, now: datetime, life: timedelta
) -> None:
    """Know the browser by this secret for the account until the end of that life; its former secret is dead.

    A browser that was known under an earlier generation is known anew, and trusted no more.
    """
    if former is not None:
        await conn.execute(
            "UPDATE known_devices SET secret_hash = $2 WHERE secret_hash = $1", sha256(former), sha256(secret)
        )
    await conn.execute(
        """
        INSERT INTO known_devices AS known (secret_hash, sub, generation, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (secret_hash, sub) DO UPDATE
        SET expires_at = EXCLUDED.expires_at, generation = EXCLUDED.generation,
            trust_id = CASE WHEN known.generation = EXCLUDED.generation THEN known.trust_id END,
            trusted_until = CASE WHEN known.generation = EXCLUDED.generation THEN known.trusted_until END
        """,
        sha256(secret),
        user.sub,
        user.generation,
        now,
        now + life,
    )


async def keep_known(conn: Connection, secret: str, before: User) -> None:
    """Let the browser with this secret be known still, in which the account was changed that was so ``before``."""
    await conn.execute(
        """
        UPDATE known_devices SET generation = (SELECT generation FROM users WHERE users.sub = $2)
        WHERE secret_hash = $1 AND sub = $2 AND generation = $3
        """,
        sha256(secret),
        before.sub,
        before.generation,
    )


async def is_known(conn: Connection, secret: str, sub: str, *, now: datetime) -> bool:
    """Whether the browser with this secret is known for the account."""
    return bool(
        await conn.fetchval(
            f"""
            SELECT EXISTS (
                SELECT FROM known_devices WHERE secret_hash = $1 AND sub = $2 AND expires_at > $3 AND {CURRENT}
            )
            """,
            sha256(secret),
            sub,
            now,
        )
    )


async def has_any(conn: Connection, sub: str, *, now: datetime) -> bool:
    """Whether any browser is known for the account."""
    return bool(
        await conn.fetchval(
            f"SELECT EXISTS (SELECT FROM known_devices WHERE sub = $1 AND expires_at > $2 AND {CURRENT})", sub, now
        )
    )


async def trust_device(
    conn: Connection, secret: str, sub: str, trust_id: str, *, until: datetime, user_agent: str
) -> None:
    """Let the known browser with this secret stand in for a second step of the account until then."""
    await conn.execute(
        """
        UPDATE known_devices SET trust_id = $3, trusted_until = $4, user_agent = $5
        WHERE secret_hash = $1 AND sub = $2
        """,
        sha256(secret),
        sub,
        trust_id,
        until,
        user_agent,
    )


async def is_trusted(conn: Connection, secret: str, sub: str, *, now: datetime) -> bool:
    """Whether the browser with this secret stands in for a second step of the account."""
    return bool(
        await conn.fetchval(
            f"""
            SELECT EXISTS (
                SELECT FROM known_devices
                WHERE secret_hash = $1 AND sub = $2 AND trusted_until > $3 AND expires_at > $3 AND {CURRENT}
            )
            """,
            sha256(secret),
            sub,
            now,
        )
    )


async def list_trusted(
    conn: Connection, sub: str, *, now: datetime, here: str | None = None
) -> tuple[TrustedDevice, ...]:
    """The browsers that stand in for a second step of the account, the latest first; ``here`` is this one's secret."""
    rows = await conn.fetch(
        f"""
        SELECT trust_id, trusted_until, user_agent, secret_hash IS NOT DISTINCT FROM $3 AS here FROM known_devices
        WHERE sub = $1 AND trusted_until > $2 AND {CURRENT} ORDER BY trusted_until DESC
        """,
        sub,
        now,
        None if here is None else sha256(here),
    )
    return tuple(
        TrustedDevice(row["trust_id"], row["trusted_until"], row["user_agent"], here=row["here"]) for row in rows
    )


async def end_trust(conn: Connection, sub: str, trust_id: str | None = None) -> int:
    """Trust the browser of that id for the account no more, or none at all; answers how many were trusted."""
    rows = await conn.fetch(
        """
        UPDATE known_devices SET trust_id = NULL, trusted_until = NULL
        WHERE sub = $1 AND trust_id IS NOT NULL AND ($2::text IS NULL OR trust_id = $2)
        RETURNING sub
        """,
        sub,
        trust_id,
    )
    return len(rows)


async def list_known(conn: Connection, secret: str, *, now: datetime) -> tuple[User, ...]:
    """The accounts that have signed in in the browser with this secret, the latest first; ten at most."""
    rows = await conn.fetch(
        f"""
        SELECT sub FROM known_devices
        WHERE secret_hash = $1 AND expires_at > $2 AND {CURRENT}
        ORDER BY expires_at DESC
        LIMIT 10
        """,
        sha256(secret),
        now,
    )
    users = [await find_user(conn, row["sub"]) for row in rows]
    return tuple(user for user in users if user is not None and user.disabled_at is None)


async def forget_account(conn: Connection, secret: str, sub: str) -> str | None:
    """Know the browser with this secret for that account no more; answers the id of its trust, if it was trusted."""
    trust_id: str | None = await conn.fetchval(
        "DELETE FROM known_devices WHERE secret_hash = $1 AND sub = $2 RETURNING trust_id", sha256(secret), sub
    )
    return trust_id


async def forget_devices(conn: Connection, sub: str, *, but: str | None = None) -> int:
    """Know no browser for the account any more, except the one with that secret; answers how many were trusted."""
    rows = await conn.fetch(
        "DELETE FROM known_devices WHERE sub = $1 AND secret_hash IS DISTINCT FROM $2 RETURNING trust_id",
        sub,
        None if but is None else sha256(but),
    )
    return sum(row["trust_id"] is not None for row in rows)


async def delete_expired(conn: Connection, *, now: datetime, limit: int = BATCH) -> int:
    """Forget browsers whose time is over; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM known_devices WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM known_devices WHERE expires_at <= $1
                ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now,
            limit,
        )
    )
