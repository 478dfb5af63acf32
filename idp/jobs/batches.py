"""One batch of each job: some of what has expired in one table is forgotten, some people are reminded."""

from datetime import timedelta

from idp.authn.methods.totp import ENROLMENT_LIFE
from idp.authn.throttle import COUNTED_FOR
from idp.jobs.job import Round
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
CLOCKS = timedelta(minutes=5)
"""So far the clocks of processes may be apart: what one of them has forgotten as expired, none may take for good."""


async def remind(conn: Connection, work: Round) -> int:
    """Write to those whose recovery of lost factors is ripe."""
    return await work.duties.remind(conn, work.now, work.limit)


async def forget_interactions(conn: Connection, work: Round) -> int:
    """Forget interactions to which no page leads back any more."""
    return await interactions.delete_expired(conn, now=work.now, keep=LEFT_OPEN, limit=work.limit)


async def forget_attempts(conn: Connection, work: Round) -> int:
    """Forget failed attempts that count for nothing any more."""
    return await attempts.delete_expired(conn, missed_before=work.now - COUNTED_FOR, limit=work.limit)


async def forget_refresh_tokens(conn: Connection, work: Round) -> int:
    """Forget refresh tokens, and the authorizations whose last one it was."""
    return await refresh_tokens.delete_expired(conn, now=work.now - CLOCKS, keep=ENDED, limit=work.limit)


async def forget_authorization_codes(conn: Connection, work: Round) -> int:
    """Forget codes, and the authorizations of which nothing else lives."""
    return await authorizations.delete_expired(conn, now=work.now - CLOCKS, keep=ENDED, limit=work.limit)


async def forget_sessions(conn: Connection, work: Round) -> int:
    """Forget sessions a day after they could have lasted longest."""
    return await sessions.delete_expired(conn, now=work.now, keep=ENDED, limit=work.limit)


async def forget_client_assertions(conn: Connection, work: Round) -> int:
    """Forget which client assertions were seen."""
    return await client_assertions.delete_expired(conn, now=work.now - CLOCKS, limit=work.limit)


async def forget_revoked_access_tokens(conn: Connection, work: Round) -> int:
    """Forget which access tokens were revoked."""
    return await revoked_tokens.delete_expired(conn, now=work.now - CLOCKS, limit=work.limit)


async def forget_messages(conn: Connection, work: Round) -> int:
    """Forget messages that were sent or given up."""
    return await outbox.delete_expired(conn, now=work.now, keep=ENDED, limit=work.limit)


async def forget_sent_codes(conn: Connection, work: Round) -> int:
    """Forget codes that were sent."""
    return await sent_codes.delete_expired(conn, now=work.now, keep=ENDED, limit=work.limit)


async def forget_mail_links(conn: Connection, work: Round) -> int:
    """Forget links that were sent by mail."""
    return await mail_links.delete_expired(conn, now=work.now, limit=work.limit)


async def forget_invitations(conn: Connection, work: Round) -> int:
    """Forget invitations whose time is over."""
    return await invitations.delete_expired(conn, now=work.now, limit=work.limit)


async def forget_totp_enrolments(conn: Connection, work: Round) -> int:
    """Forget authenticator apps that were never confirmed."""
    return await totp_enrolments.delete_expired(conn, begun_before=work.now - ENROLMENT_LIFE, limit=work.limit)


async def forget_known_devices(conn: Connection, work: Round) -> int:
    """Forget browsers that were not used for long."""
    return await known_devices.delete_expired(conn, now=work.now, limit=work.limit)


async def forget_known_networks(conn: Connection, work: Round) -> int:
    """Forget networks that were not used for long."""
    return await known_networks.delete_expired(conn, now=work.now, limit=work.limit)


async def forget_factor_recoveries(conn: Connection, work: Round) -> int:
    """Forget requests to have lost factors removed."""
    return await factor_recoveries.delete_expired(conn, now=work.now, limit=work.limit)


async def seal_audit_trail(conn: Connection, work: Round) -> int:
    """Seal the heads of the trail's chains, all at once: what is written until the next time could be taken back."""
    return await audit_seals.seal_chains(conn, work.duties.master, work.now)


async def forget_audit_events(conn: Connection, work: Round) -> int:
    """Forget events that are older than the trail is kept."""
    duties = work.duties
    return await audit_events.delete_expired(conn, duties.master, now=work.now, keep=duties.audit, limit=work.limit)


async def forget_audit_seals(conn: Connection, work: Round) -> int:
    """Forget seals of events that are forgotten."""
    duties = work.duties
    return await audit_seals.delete_expired(conn, duties.master, now=work.now, keep=duties.audit, limit=work.limit)
