"""``/account/authenticators/add-phone``: a telephone number for codes by text message."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import parse_phone
from idp.authn.methods import sms
from idp.authn.methods.sent_code import CAUSES, digest_of
from idp.authn.methods.totp import six_digits
from idp.authn.throttle import CLAIM_PHONE, claim_limits
from idp.model.assurance import Evidence
from idp.model.sent_code import Tried
from idp.oauth.errors import PageError
from idp.store.attempts import remove_tallies
from idp.store.database import Connection, transaction
from idp.store.sent_codes import consume_code, find_recipient
from idp.store.users import update_proved_phone
from idp.web.account.enrolling import added, allow_return, with_return
from idp.web.account.owner import WAYS, Owner, find_changer, return_to
from idp.web.answers import page, see_other
from idp.web.forms import read_page_form
from idp.web.limits import is_within
from idp.web.notices import notify_user
from idp.web.pages import AddPhonePage, Fault
from idp.web.provider import moment, provider_of, transacted
from idp.web.sent_codes import send_code
from idp.web.steps.sent_code import sent_fault
from idp.web.text_notices import text_user
from idp.web.trail import note

PATH = f"{WAYS}/add-phone"


async def add(request: Request) -> Response:
    """The form for the number, or for the code that went there."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await _find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        waits = None if "another" in request.query_params else await _waiting(request, conn, owner)
        return await _page(request, conn, waits)


async def submit(request: Request) -> Response:
    """Send a code to the number, or take the code as the proof that the number is theirs."""
    form = await read_page_form(request)
    if "code" in form:
        return await _confirm(request, form["code"])
    typed = form.get("phone", "")
    number = parse_phone(typed)
    async with transaction(provider_of(request).pool) as conn:
        owner = await _find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        if number is None:
            return await _page(request, conn, None, Fault.of("phone_invalid", "phone"), typed)
    await send_code(request, _flow(owner), owner.user, CLAIM_PHONE, number)
    there = f"?return_to={quote(return_to(request))}" if "return_to" in request.query_params else ""
    return see_other(PATH + there)


async def _confirm(request: Request, typed: str) -> Response:
    """Judge the code within a limit of its own: each session can have a new code, and five misses at it."""
    provider = provider_of(request)
    async with transaction(provider.pool) as conn:
        owner = await _find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
    judged = await is_within(request, claim_limits(owner.user.sub))

    async def step(conn: Connection) -> Response:
        found = await _find_changer(request, conn)
        if isinstance(found, Response):
            return found
        number = await _waiting(request, conn, found)
        if number is None:
            return await _page(request, conn, None, Fault.of("code_expired"))
        tried = await _try(request, conn, found, number, typed) if judged else Tried.WRONG
        if tried is not Tried.RIGHT:
            await _note_refusal(request, conn, found, tried, judged=judged)
            return await _page(request, conn, number, sent_fault(Fault.of(CAUSES[tried])))
        await _keep(request, conn, found, number)
        shown = Evidence("sms", moment(request), sms.CREDENTIAL)
        return await added(request, conn, found, shown, sms.named(number))

    return await transacted(request, step)


async def _note_refusal(request: Request, conn: Connection, owner: Owner, tried: Tried, *, judged: bool) -> None:
    event = "number_refused" if judged else "number_held_back"
    await note(request, conn, event, sub=owner.user.sub, session_id=owner.session.id, cause=CAUSES[tried])


async def _try(request: Request, conn: Connection, owner: Owner, number: str, typed: str) -> Tried:
    code, flow = six_digits(typed), _flow(owner)
    if code is None:
        return Tried.WRONG
    digest = digest_of(provider_of(request).tools.master_key, flow, code)
    return await consume_code(
        conn, flow, CLAIM_PHONE, sub=owner.user.sub, recipient=number, digest=digest, now=moment(request)
    )


async def _keep(request: Request, conn: Connection, owner: Owner, number: str) -> None:
    """Let codes go there from now on; of a number that they replace, its owner is told by mail and there."""
    user, former = owner.user, sms.recipient(owner.user)
    await update_proved_phone(conn, user.sub, number, moment(request))
    # Bound anew by somebody who has shown enough of the owner: what was guessed at before counts no more.
    for factor in ("sms", CLAIM_PHONE):
        await remove_tallies(conn, user.sub, factor=factor)
    if former is not None and former != number:
        await note(
            request,
            conn,
            "authenticator_removed",
            sub=user.sub,
            session_id=owner.session.id,
            method="sms",
            credential=sms.CREDENTIAL,
        )
        await notify_user(request, conn, user, "authenticator_removed", name=sms.named(former))
        await text_user(request, conn, user, "phone_replaced", number=former)


async def _find_changer(request: Request, conn: Connection) -> Owner | Response:
    """As ``owner.find_changer``; raises PageError where there are no codes by text message."""
    owner = await find_changer(request, conn)
    if isinstance(owner, Owner) and "sms" in provider_of(request).tools.off:
        raise PageError("not_found", status=404)
    return owner


def _flow(owner: Owner) -> str:
    # No interaction is called so, and a code for the one is none for the other.
    return f"session {owner.session.id}"


async def _waiting(request: Request, conn: Connection, owner: Owner) -> str | None:
    return await find_recipient(conn, _flow(owner), CLAIM_PHONE, owner.user.sub, now=moment(request))


async def _page(
    request: Request, conn: Connection, number: str | None, fault: Fault | None = None, typed: str = ""
) -> Response:
    await allow_return(request, conn)
    action = with_return(request, PATH)
    content = AddPhonePage(
        action,
        number,
        typed=typed[:64],
        fault=fault,
        other_number_url=f"{action}{'&' if '?' in action else '?'}another=1",
        passkey_url=with_return(request, f"{WAYS}/add-passkey"),
        totp_url=with_return(request, f"{WAYS}/add-totp"),
        cancel_url=return_to(request),
    )
    return page(request, content, status=400 if fault else 200)
