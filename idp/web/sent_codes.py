"""Codes on their way, by text message or mail: within the limits on sending, and through the outbox (G8, F15).

Nothing here waits for a gateway, and no GET sends: what a browser fetches ahead or again costs nobody a message.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.methods import find_method, sms
from idp.authn.methods.sent_code import LIFE, make_code
from idp.authn.policy import BY_MAIL
from idp.authn.sending import held_back
from idp.authn.throttle import CLAIM_PHONE, mail_code_limits, take
from idp.base.entropy import identifier
from idp.model.message import Message
from idp.model.user import User
from idp.store.database import Connection, transaction
from idp.store.outbox import create_message
from idp.store.sent_codes import create_code, create_stand_in, find_recipient, lock_sendings
from idp.store.users import hold
from idp.web.answers import see_other
from idp.web.flow import Visit, resume
from idp.web.forms import read_page_form
from idp.web.notices import write_to
from idp.web.provider import moment, provider_of, transacted
from idp.web.reader import language_for
from idp.web.source import source_of
from idp.web.trail import note, note_refusal

_BY_TEXT = frozenset({"sms", CLAIM_PHONE})


def is_sent(method: str) -> bool:
    """Whether a proof by this method begins with a message of ours."""
    found = find_method(method)
    return found is not None and found.recipient is not None


def recipient_of(method: str, user: User) -> str | None:
    """Where a code of this method goes for the user; None where nothing is sent."""
    found = find_method(method)
    return found.recipient(user) if found is not None and found.recipient is not None else None


async def send_in(request: Request, visit: Visit, method: str, *, again: bool = False) -> None:
    """Send a code for this step of the visit, if it is one of the ways on; without ``again`` only where none waits.

    Where it goes is the account's to say, and never the form's (A-35).
    """
    user, flow = visit.standing.user, visit.interaction.id
    if user is None or method not in {way.method for way in visit.standing.outlook.ways}:
        return
    recipient = recipient_of(method, user)
    if recipient is None:
        return
    if not again:
        async with transaction(provider_of(request).pool) as conn:
            if await find_recipient(conn, flow, method, user.sub, now=moment(request)) is not None:
                return
    await send_code(request, flow, user, method, recipient)


async def send_first(request: Request, visit: Visit) -> None:
    """Send the code of the step that comes by itself, if it is one of a code that is sent."""
    if visit.standing.outlook.ways:
        await send_in(request, visit, visit.standing.outlook.ways[0].method)


async def send_again(request: Request) -> Response:
    """One more code for a step of the sign-in, in place of the former."""
    await read_page_form(request)
    method = request.query_params.get("method", "")
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
    await send_in(request, visit, method, again=True)
    return see_other(f"/login?interaction={visit.interaction.id}" + (f"&method={method}" if is_sent(method) else ""))


async def send_code(request: Request, flow: str, user: User, method: str, recipient: str) -> None:
    """Keep a new code of this flow with the message that carries it; beyond a limit everything looks the same.

    ``method`` is that of the step, or ``CLAIM_PHONE`` for a number that is merely claimed. What stands in for a code
    that was held back is right for no six digits: whoever asks often has no more to guess at than what was sent.
    """
    provider, now = provider_of(request), moment(request)
    is_sms, claimed = method in _BY_TEXT, method == CLAIM_PHONE
    prefix, others = (sms.prefix(recipient), tuple(_BY_TEXT - {method})) if is_sms else (recipient, ())
    code, kept = make_code(provider.tools, flow, method, user, recipient, now, prefix=prefix)

    async def step(conn: Connection) -> str | None:
        await hold(conn, user.sub)
        sendings = await lock_sendings(
            conn, method, sub=user.sub, recipient=recipient, prefix=prefix, now=now, others=others
        )
        limit = held_back(sendings, claimed=claimed) if provider.tools.limited else None
        if limit is None and method == BY_MAIL and not await _may_mail(request, conn, user):
            limit = "mails"
        if limit is None:
            await create_code(conn, kept)
            await _write(request, conn, user, method, recipient, code)
            await note(request, conn, "code_sent", sub=user.sub, method="sms" if is_sms else method)
        else:
            await create_stand_in(conn, replace(kept, digest=provider.entropy(len(kept.digest)), sent=False))
        return limit

    limit = await transacted(request, step)
    if limit is not None:
        await note_refusal(request, "code_held_back", sub=user.sub, error=f"{method}_{limit}")


async def _may_mail(request: Request, conn: Connection, user: User) -> bool:
    """Whether one more code may go to the account's mailbox: a stranger who has the password does not fill it."""
    if not provider_of(request).tools.limited:
        return True
    limits = mail_code_limits(user.sub, await source_of(request, conn, user.sub))
    return (await take(conn, limits, moment(request))).granted


async def _write(request: Request, conn: Connection, user: User, method: str, recipient: str, code: str) -> None:
    provider, now = provider_of(request), moment(request)
    if method not in _BY_TEXT:
        await write_to(request, conn, recipient, user, "sign_in_code", life=LIFE, code=code)
        return
    host = urlsplit(provider.issuer).hostname
    text = provider.pages.render_text(
        "sms/code.txt", language_for(request, user), code=code, host=host, minutes=LIFE.seconds // 60
    )
    message = Message(identifier(provider.entropy), "sms", recipient, "sign_in_code", "", text.strip(), now, now + LIFE)
    await create_message(conn, message, provider.tools.master_key, entropy=provider.entropy)
