"""The clean-up: what has expired is refused anyway (F21), here it is forgotten, so that tables level off."""

from datetime import datetime, timedelta

from idp.store import (
    authorizations,
    client_assertions,
    interactions,
    refresh_tokens,
    revoked_tokens,
    sessions,
    totp_credentials,
)
from idp.store.database import Connection

KEEP = timedelta(days=1)
"""How long what has ended stays to be told apart from what never was."""


async def delete_expired(conn: Connection, *, now: datetime, enrolment_life: timedelta) -> None:
    """Forget everything whose time is over."""
    await interactions.delete_expired(conn, now=now)
    await refresh_tokens.delete_expired(conn, now=now)
    await authorizations.delete_expired(conn, now=now, keep=KEEP)
    await sessions.delete_expired(conn, now=now, keep=KEEP)
    await client_assertions.delete_expired(conn, now=now)
    await revoked_tokens.delete_expired(conn, now=now)
    await totp_credentials.delete_expired(conn, begun_before=now - enrolment_life)
