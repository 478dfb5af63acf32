"""The removal of second factors that were lost: it takes the password, the mailbox, and a delay in which to object.

Neither the password nor the mailbox is enough: who knows the password has to wait for a mail, and who reads the mail
has to know the password. Meanwhile the owner is told by every way there is, and whoever still has a second factor
stops it by signing in. The secrets of its links follow from the request and the master key, so that a reminder can
repeat one of which the database has the digest alone.
"""

import base64
from datetime import datetime, timedelta

from starlette.requests import Request

from idp.authn.accounts import Email
from idp.authn.policy import shows_more_than_mail
from idp.authn.throttle import RECOVERY, Limit
from idp.base.digest import sha256
from idp.base.entropy import Entropy, token
from idp.base.seal import MasterKey, keyed_digest
from idp.base.text import Moment, say
from idp.model.assurance import Evidence
from idp.model.attempt import Bucket, Source
from idp.model.event import Event
from idp.model.factor_recovery import FactorRecovery
from idp.model.user import User
from idp.store.audit_events import record_event
from idp.store.database import Connection
from idp.store.factor_recoveries import cancel_waiting, claim_ripe, create_recovery
from idp.store.outbox import create_message
from idp.store.users import find_user
from idp.web.language import choose
from idp.web.mail_link import address_of_link
from idp.web.notices import Writer, notify_user
from idp.web.provider import Provider, moment, provider_of
from idp.web.reader import account_locale
from idp.web.text_notices import text_of_notice, text_user
from idp.web.trail import note

FINISH_LIFE = timedelta(days=7)
"""How long the link that finishes works once the delay is over."""
USUAL_DELAY = timedelta(hours=72)
"""The delay of what an operator begins where people cannot begin it themselves."""
REQUESTS = 3
REQUESTS_WINDOW = timedelta(days=1)

PATH = "/recover/factor"
CANCEL = f"{PATH}/cancel"
FINISH = f"{PATH}/finish"


def request_limits(sub: str, source: Source) -> dict[Bucket, Limit]:
    """The bucket of requests: so many a day for one account from strangers and from a known browser each.

    Each one writes to its owner.
    """
    asker = source.name if source.device else ""
    return {Bucket(RECOVERY, f"factors {sub}", asker): Limit(REQUESTS, REQUESTS_WINDOW)}


def new_recovery(entropy: Entropy, user: User, address: Email, now: datetime, delay: timedelta) -> FactorRecovery:
    """A request that waits from now on."""
    ripe_at = now + delay
    return FactorRecovery(
        token(entropy),
        user.sub,
        address.canonical,
        "waiting",
        now,
        not_before=ripe_at,
        not_after=ripe_at + FINISH_LIFE,
        generation=user.generation,
    )


async def keep_recovery(conn: Connection, asked: FactorRecovery, master: MasterKey) -> bool:
    """Keep the request with the digests of its links; False where the account waits for one already."""
    cancel, finish = (sha256(_secret(master, asked, path)) for path in (CANCEL, FINISH))
    return await create_recovery(conn, asked, cancel_hash=cancel, finish_hash=finish)


def cancel_link(issuer: str, master: MasterKey, asked: FactorRecovery) -> str:
    """The link by which anybody who was told of the request can stop it."""
    return f"{issuer}{CANCEL}?link={_secret(master, asked, CANCEL)}"


def finish_link(issuer: str, master: MasterKey, asked: FactorRecovery) -> str:
    """The link that finishes it, with the password; it goes to the mailbox alone."""
    return f"{issuer}{FINISH}?link={_secret(master, asked, FINISH)}"


def _secret(master: MasterKey, asked: FactorRecovery, path: str) -> str:
    digest = keyed_digest(master, asked.id, context=f"factor recovery {path}")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def begin_recovery(request: Request, conn: Connection, user: User) -> None:
    """Keep a request for this user and tell them; nothing where there is no proved address or one waits already."""
    provider, address = provider_of(request), address_of_link(user)
    if address is None or not provider.factor_recovery_delay:
        return
    master, delay = provider.tools.master_key, provider.factor_recovery_delay
    asked = new_recovery(provider.entropy, user, address, moment(request), delay)
    if not await keep_recovery(conn, asked, master):
        return
    await note(request, conn, "factor_recovery_asked", sub=user.sub, not_before=asked.not_before.isoformat())
    link, life = cancel_link(provider.issuer, master, asked), asked.not_after - asked.created_at
    facts = {"link": link, "ripe_at": Moment(asked.not_before)}
    await notify_user(request, conn, user, "factor_recovery_asked", life=life, **facts)
    await text_user(request, conn, user, "factor_recovery_asked", facts)


async def cancel_recovery(request: Request, conn: Connection, user: User, *, cause: str) -> bool:
    """Stop what the account waits for, and tell its owner; answers whether it waited for anything."""
    if await cancel_waiting(conn, user.sub, now=moment(request)) is None:
        return False
    actor = "anonymous" if cause == "link" else "user"
    await note(request, conn, "factor_recovery_cancelled", actor=actor, sub=user.sub, cause=cause)
    await notify_user(request, conn, user, "factor_recovery_cancelled")
    await text_user(request, conn, user, "factor_recovery_cancelled")
    return True


async def cancel_if_shown(request: Request, conn: Connection, user: User, shown: tuple[Evidence, ...]) -> None:
    """Stop what the account waits for where somebody has shown one of its second factors: they are not lost."""
    if any(shows_more_than_mail(one.method) for one in shown):
        await cancel_recovery(request, conn, user, cause="second_factor")


async def remind_some(provider: Provider, conn: Connection, now: datetime, limit: int) -> int:
    """Send the link that finishes to so many at most whose delay is over, and answer how many these were.

    Each of them is written to by one process alone.
    """
    ripe = await claim_ripe(conn, now=now, limit=limit)
    for asked in ripe:
        user = await find_user(conn, asked.sub)
        address = address_of_link(user) if user is not None else None
        if user is None or address is None or address.canonical != asked.email_canonical:
            # Nobody but who was told at the beginning is told the end.
            continue
        await _remind(conn, provider, asked, user, address, now)
    return len(ripe)


async def _remind(
    conn: Connection, provider: Provider, asked: FactorRecovery, user: User, address: Email, now: datetime
) -> None:
    master, life = provider.tools.master_key, asked.not_after - now
    writer = Writer(
        provider.pages, provider.issuer, provider.entropy, now, say("this server"), choose(*account_locale(user))
    )
    facts = {"link": finish_link(provider.issuer, master, asked), "ends_at": Moment(asked.not_after)}
    mail = writer.message(address.shown, user, "factor_recovery_ripe", facts, life=life)
    await create_message(conn, mail, master, entropy=provider.entropy)
    if "sms" not in provider.tools.off:
        link = cancel_link(provider.issuer, master, asked)
        text = text_of_notice(writer, user, "factor_recovery_ripe", {"link": link}, life=life)
        if text is not None:
            await create_message(conn, text, master, entropy=provider.entropy)
    await record_event(conn, Event("factor_recovery_ripe", "system", now, sub=user.sub))
