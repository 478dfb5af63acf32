"""Browsers in which an account has signed in before: outsiders who guess elsewhere do not slow these (A-63)."""

from datetime import datetime, timedelta

from idp.base.digest import sha256
from idp.store.database import Connection


async def remember_device(
    conn: Connection, secret: str, sub: str, *, former: str | None, now: datetime, life: timedelta
) -> None:
    """Know the browser by this secret for the account until the end of that life; its former secret is dead."""
    if former is not None:
        await conn.execute(
            "UPDATE known_devices SET secret_hash = $2 WHERE secret_hash = $1", sha256(former), sha256(secret)
        )
    await conn.execute(
        """
        INSERT INTO known_devices (secret_hash, sub, created_at, expires_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (secret_hash, sub) DO UPDATE SET expires_at = EXCLUDED.expires_at
        """,
        sha256(secret),
        sub,
        now,
        now + life,
    )


async def is_known(conn: Connection, secret: str, sub: str, *, now: datetime) -> bool:
    """Whether the browser with this secret is known for the account."""
    return bool(
        await conn.fetchval(
            "SELECT EXISTS (SELECT FROM known_devices WHERE secret_hash = $1 AND sub = $2 AND expires_at > $3)",
            sha256(secret),
            sub,
            now,
        )
    )


async def forget_devices(conn: Connection, sub: str, *, but: str | None = None) -> None:
    """Know no browser for the account any more, except the one with that secret."""
    await conn.execute(
        "DELETE FROM known_devices WHERE sub = $1 AND secret_hash IS DISTINCT FROM $2",
        sub,
        None if but is None else sha256(but),
    )


async def delete_expired(conn: Connection, *, now: datetime) -> None:
    """Forget browsers whose time is over."""
    await conn.execute("DELETE FROM known_devices WHERE expires_at <= $1", now)
