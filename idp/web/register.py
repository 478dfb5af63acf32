"""``/register``: a new account, which signs in at once."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import Registration, registration
from idp.authn.throttle import registration_limits
from idp.base.entropy import identifier
from idp.model.assurance import Evidence
from idp.model.attempt import Source
from idp.model.invitation import Invitation
from idp.model.user import User
from idp.store import users
from idp.store.database import Connection, transaction
from idp.store.interactions import record_choice, record_proof
from idp.web.answers import allow_form_target, page, see_other
from idp.web.breached import is_breached
from idp.web.flow import Visit, begin, bind, proceed, resume, revisit
from idp.web.forms import read_page_form
from idp.web.invitation import LINK, accept, admit, is_needless, needless
from idp.web.limits import is_within
from idp.web.pages import Fault, RegisterPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.slip import slip_of
from idp.web.source import address_of, network_of
from idp.web.trail import note, note_refusal
from idp.web.verification import end_claims, may_send, send_link

SHORTEST = 15


async def show(request: Request) -> Response:
    """The form; behind an invitation the address that it went to is filled in, and looking takes nothing."""
    provider, secret = provider_of(request), request.query_params.get(LINK)

    async def step(conn: Connection) -> Response:
        invitation = await admit(request, conn, secret)
        if invitation is not None and await is_needless(conn, invitation):
            return needless(request, invitation)
        if "interaction" in request.query_params:
            return _page(request, await resume(request, conn), Invited.by(secret, invitation), {}, ())
        interaction, browser = await begin(request, conn)
        if invitation is None:
            return bind(see_other(f"/register?interaction={interaction.id}"), provider, browser)
        # Drawn at once: the secret goes into the form, and into no further address.
        visit = await revisit(request, conn, interaction)
        return bind(_page(request, visit, Invited.by(secret, invitation), {}, ()), provider, browser)

    return await transacted(request, step)


async def submit(request: Request) -> Response:
    """Make the account and go on as its owner, or show what is wrong with the form.

    Whether anybody may is asked before all else, and again, by taking the invitation, where the account is made.
    """
    form, provider = await read_page_form(request), provider_of(request)
    secret = form.get(LINK)
    async with transaction(provider.pool) as conn:
        invitation = await admit(request, conn, secret)
        if invitation is not None and await is_needless(conn, invitation):
            return needless(request, invitation)
        visit = await resume(request, conn)
    invited = Invited.by(secret, invitation)
    if invitation is not None:
        # Whatever the form says: the link has proved this mailbox and no other.
        form = {**form, "email": invitation.email}
    context = (provider.operator, urlsplit(provider.issuer).hostname or "")
    wanted = registration(form, context=context, shortest=SHORTEST)
    if not isinstance(wanted, Registration):
        return _page(request, visit, invited, form, tuple(_fault(field, cause) for field, cause in wanted))
    if not await _may_register(request):
        await note_refusal(request, "registration_held_back", error="registration_throttled")
        return _page(request, visit, invited, form, (Fault.of("registration_throttled"),))
    if await is_breached(request, wanted.password):
        return _page(request, visit, invited, form, (_fault("password", "password_known"),))
    password_hash = await provider.tools.hasher.hash(wanted.password)
    asks = invitation is None and wanted.email is not None and await may_send(request, wanted.email, None)

    async def step(conn: Connection) -> Response:
        visit = await resume(request, conn)
        if invitation is not None:
            await users.lock_claimants(conn, invitation.email_canonical)
        try:
            user = await _create(request, conn, wanted, password_hash, invited=invitation is not None)
        except users.UsernameTaken:
            return _page(request, visit, invited, form, (_fault("username", "username_taken"),))
        except users.EmailTaken:
            if invitation is None:
                raise
            return needless(request, invitation)
        await note(request, conn, "registered", sub=user.sub, username=user.username)
        if invitation is not None:
            await accept(request, conn, invitation)
            await end_claims(request, conn, user.sub, invitation.email_canonical)
        if asks and wanted.email is not None:
            await send_link(request, conn, user, wanted.email)
        await record_choice(conn, visit.interaction.id)
        evidence = (Evidence("password", moment(request)),)
        interaction = await record_proof(conn, visit.interaction.id, user, evidence)
        return await proceed(request, conn, await revisit(request, conn, interaction))

    return await transacted(request, step)


@dataclass(frozen=True, slots=True)
class Invited:
    """What the form carries on of an invitation: its secret, and the address that it went to."""

    secret: str
    email: str

    @classmethod
    def by(cls, secret: str | None, invitation: Invitation | None) -> Self | None:
        """That of this invitation; None without one."""
        return None if secret is None or invitation is None else cls(secret, invitation.email)


async def _may_register(request: Request) -> bool:
    """Whether this network may make one more account now."""
    return await is_within(request, registration_limits(Source(network_of(address_of(request)))))


async def _create(
    request: Request, conn: Connection, wanted: Registration, password_hash: str, *, invited: bool
) -> User:
    provider, now = provider_of(request), moment(request)
    user = User(
        sub=identifier(provider.entropy),
        username=wanted.username,
        created_at=now,
        updated_at=now,
        email=wanted.email.shown if wanted.email else None,
        email_verified=invited,
        phone=wanted.phone,
        password_hash=password_hash,
        password_changed_at=now,
    )
    canonical = wanted.email.canonical if wanted.email else None
    return await users.create(
        conn,
        user,
        username_canonical=wanted.username_canonical,
        username_skeleton=wanted.username_skeleton,
        email_canonical=canonical,
    )


def _fault(field: str, cause: str) -> Fault:
    return Fault.of(cause, field, minimum=SHORTEST)


def _page(
    request: Request, visit: Visit, invited: Invited | None, form: dict[str, str], faults: tuple[Fault, ...]
) -> Response:
    allow_form_target(request, visit.standing.request)
    here = f"interaction={visit.interaction.id}"
    content = RegisterPage(
        slip_of(visit.standing),
        f"/register?{here}",
        username=form.get("username", "")[:128],
        email=invited.email if invited else form.get("email", "")[:320],
        phone=form.get("phone", "")[:64],
        faults=faults,
        sign_in_url=f"/login?{here}",
        minimum=SHORTEST,
        invitation=invited.secret if invited else None,
    )
    return page(request, content, status=400 if faults else 200)
