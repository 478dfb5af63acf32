"""The clean-up: what has expired is refused anyway (F21), here it is forgotten, so that tables level off."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.base.seal import MasterKey
from idp.store import (
    attempts,
    audit_events,
    audit_seals,
    authorizations,
    client_assertions,
    factor_recoveries,
    interactions,
    invitations,
    known_devices,
    known_networks,
    mail_links,
    outbox,
    refresh_tokens,
    revoked_tokens,
    sent_codes,
    sessions,
    totp_enrolments,
)
from idp.store.database import Connection

ENDED = timedelta(days=1)
"""How long what has ended stays to be told apart from what never was."""

LEFT_OPEN = timedelta(hours=12)
"""How long a page that was left open can still lead back to what had been asked: over night, say."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long things are kept that have no end of their own."""

    enrolments: timedelta
    attempts: timedelta
    audit: timedelta


AUDIT_BATCH = 10_000
"""How many rows of the audit trail are forgotten at once."""


async def delete_expired(conn: Connection, keep: Keep, master: MasterKey, *, now: datetime) -> None:
    """Forget everything whose time is over."""
    await interactions.delete_expired(conn, now=now, keep=LEFT_OPEN)
    await refresh_tokens.delete_expired(conn, now=now)
    await authorizations.delete_expired(conn, now=now, keep=ENDED)
    await sessions.delete_expired(conn, now=now, keep=ENDED)
    await client_assertions.delete_expired(conn, now=now)
    await revoked_tokens.delete_expired(conn, now=now)
    await totp_enrolments.delete_expired(conn, begun_before=now - keep.enrolments)
    await known_devices.delete_expired(conn, now=now)
    await known_networks.delete_expired(conn, now=now)
    await factor_recoveries.delete_expired(conn, now=now)
    await mail_links.delete_expired(conn, now=now)
    await invitations.delete_expired(conn, now=now)
    await sent_codes.delete_expired(conn, now=now, keep=ENDED)
    await outbox.delete_expired(conn, now=now, keep=ENDED)
    await attempts.delete_expired(conn, missed_before=now - keep.attempts)
    await audit_events.delete_expired(conn, master, now=now, keep=keep.audit, limit=AUDIT_BATCH)
    await audit_seals.delete_expired(conn, master, now=now, keep=keep.audit, limit=AUDIT_BATCH)
