"""``/register``: a new account, which signs in at once."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import Registration, registration
from idp.authn.throttle import registration_limits
from idp.base.entropy import identifier
from idp.model.assurance import Evidence
from idp.model.attempt import Source
from idp.model.user import User
from idp.store import users
from idp.store.database import Connection, transaction
from idp.store.interactions import record_choice, record_proof
from idp.web.answers import allow_form_target, page, see_other
from idp.web.breached import is_breached
from idp.web.flow import Visit, begin, bind, proceed, resume, revisit
from idp.web.forms import read_page_form
from idp.web.limits import is_within
from idp.web.pages import Fault, RegisterPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.slip import slip_of
from idp.web.source import address_of, network_of
from idp.web.trail import note, note_refusal
from idp.web.verification import may_send, send_link

SHORTEST = 15


async def show(request: Request) -> Response:
    """The empty form."""
    provider = provider_of(request)
    async with transaction(provider.pool) as conn:
        if "interaction" not in request.query_params:
            interaction, browser = await begin(request, conn)
            return bind(see_other(f"/register?interaction={interaction.id}"), provider, browser)
        return _page(request, await resume(request, conn), {}, ())


async def submit(request: Request) -> Response:
    """Make the account and go on as its owner, or show what is wrong with the form."""
    form, provider = await read_page_form(request), provider_of(request)
    context = (provider.operator, urlsplit(provider.issuer).hostname or "")
    wanted = registration(form, context=context, shortest=SHORTEST)
    if not isinstance(wanted, Registration):
        async with transaction(provider.pool) as conn:
            faults = tuple(_fault(field, cause) for field, cause in wanted)
            return _page(request, await resume(request, conn), form, faults)
    async with transaction(provider.pool) as conn:
        visit = await resume(request, conn)
    if not await _may_register(request):
        await note_refusal(request, "registration_held_back", error="registration_throttled")
        return _page(request, visit, form, (Fault.of("registration_throttled"),))
    if await is_breached(request, wanted.password):
        return _page(request, visit, form, (_fault("password", "password_known"),))
    password_hash = await provider.tools.hasher.hash(wanted.password)
    written_to = wanted.email if wanted.email and await may_send(request, wanted.email, None) else None

    async def step(conn: Connection) -> Response:
        visit = await resume(request, conn)
        try:
            user = await _create(request, conn, wanted, password_hash)
        except users.UsernameTaken:
            return _page(request, visit, form, (_fault("username", "username_taken"),))
        await note(request, conn, "registered", sub=user.sub, username=user.username)
        if written_to is not None:
            await send_link(request, conn, user, written_to)
        await record_choice(conn, visit.interaction.id)
        evidence = (Evidence("password", moment(request)),)
        interaction = await record_proof(conn, visit.interaction.id, user.sub, evidence)
        return await proceed(request, conn, await revisit(request, conn, interaction))

    return await transacted(request, step)


async def _may_register(request: Request) -> bool:
    """Whether this network may make one more account now."""
    return await is_within(request, registration_limits(Source(network_of(address_of(request)))))


async def _create(request: Request, conn: Connection, wanted: Registration, password_hash: str) -> User:
    provider, now = provider_of(request), moment(request)
    user = User(
        sub=identifier(provider.entropy),
        username=wanted.username,
        created_at=now,
        updated_at=now,
        email=wanted.email.shown if wanted.email else None,
        phone=wanted.phone,
        password_hash=password_hash,
        password_changed_at=now,
    )
    canonical = wanted.email.canonical if wanted.email else None
    return await users.create(conn, user, username_canonical=wanted.username_canonical, email_canonical=canonical)


def _fault(field: str, cause: str) -> Fault:
    return Fault.of(cause, field, minimum=SHORTEST)


def _page(request: Request, visit: Visit, form: dict[str, str], faults: tuple[Fault, ...]) -> Response:
    allow_form_target(request, visit.standing.request)
    here = f"interaction={visit.interaction.id}"
    content = RegisterPage(
        slip_of(visit.standing),
        f"/register?{here}",
        username=form.get("username", "")[:128],
        email=form.get("email", "")[:320],
        phone=form.get("phone", "")[:64],
        faults=faults,
        sign_in_url=f"/login?{here}",
        minimum=SHORTEST,
    )
    return page(request, content, status=400 if faults else 200)
