"""``/account/password``: another password."""

from functools import partial
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import PASSWORD_SHORTEST, PASSWORD_SHORTEST_ALONE, password_fault
from idp.authn.methods import Attempt, Consequence, Refusal, prove
from idp.model.assurance import Evidence
from idp.store.database import Connection, transact, transaction
from idp.store.users import update_password
from idp.web.account.owner import WAYS, Owner, find_changer, go_on_with
from idp.web.account.remove_password import REMOVE, passkeys_alone, shows_passkey
from idp.web.account.sessions import sign_out_elsewhere
from idp.web.answers import page
from idp.web.breached import is_breached
from idp.web.forms import read_page_form
from idp.web.notices import notify_user
from idp.web.pages import Fault, PasswordPage, Person
from idp.web.provider import moment, provider_of, transacted
from idp.web.source import source_of
from idp.web.trail import note
from idp.web.trust import distrust, keep_browser

Form = dict[str, str]


async def show(request: Request) -> Response:
    """The empty form."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_changer(request, conn)
    return owner if isinstance(owner, Response) else _page(request, owner)


async def change(request: Request) -> Response:
    """Set the new password, shown the present one, or say what is wrong with either (ASVS 6.2.3).

    No transaction is open while one is hashed; so the last one looks again at what the first one has seen.
    """
    form, provider = await read_page_form(request), provider_of(request)
    async with transaction(provider.pool) as conn:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        attempt = await _attempt(request, conn, owner, form)
    if fault := _fault_of_new(request, owner, form.get("password", "")):
        return _page(request, owner, fault)
    outcome = await prove("password", attempt) if owner.user.password_hash else None
    if isinstance(outcome, Refusal):
        await _note_refusal(request, owner, outcome)
        return _page(request, owner, Fault.of("password_wrong", "current_password"))
    if await is_breached(request, form.get("password", "")):
        return _page(request, owner, Fault.of("password_known", "password"))
    password_hash = await provider.tools.hasher.hash(form.get("password", ""))

    async def step(conn: Connection) -> Response:
        found = await find_changer(request, conn)
        if isinstance(found, Response):
            return found
        if found.user.password_changed_at != owner.user.password_changed_at:
            return _page(request, found, Fault.of("form_expired"))
        return await _keep(request, conn, found, password_hash, end_others="end_others" in form)

    return await transacted(request, step)


async def _attempt(request: Request, conn: Connection, owner: Owner, form: Form) -> Attempt:
    """One attempt at the present password, under the same limits as a sign-in."""
    provider, user = provider_of(request), owner.user
    return Attempt(
        transact=partial(transact, provider.pool),
        source=await source_of(request, conn, user.sub),
        subject=user.sub,
        user=user,
        form={"password": form.get("current_password", "")},
        challenge=None,
        tools=provider.tools,
        now=moment(request),
    )


def _fault_of_new(request: Request, owner: Owner, password: str) -> Fault | None:
    provider, user = provider_of(request), owner.user
    context = (provider.operator, urlsplit(provider.issuer).hostname or "", user.username, user.email or "")
    cause = password_fault(password, context=context, shortest=_shortest(owner))
    return Fault.of(cause, "password", minimum=_shortest(owner)) if cause else None


def _shortest(owner: Owner) -> int:
    """How long a password has to be: longer where it stands alone (G10)."""
    return PASSWORD_SHORTEST if owner.second_factors else PASSWORD_SHORTEST_ALONE


async def _note_refusal(request: Request, owner: Owner, refused: Refusal) -> None:
    held_back = refused.consequence is Consequence.NOT_JUDGED

    async def step(conn: Connection) -> None:
        event = "password_change_held_back" if held_back else "password_change_refused"
        await note(request, conn, event, sub=owner.user.sub, session_id=owner.session.id, cause=refused.cause)

    await transacted(request, step)


async def _keep(request: Request, conn: Connection, owner: Owner, password_hash: str, *, end_others: bool) -> Response:
    user, now = owner.user, moment(request)
    await update_password(conn, user.sub, password_hash, now)
    await note(request, conn, "password_changed", sub=user.sub, session_id=owner.session.id)
    await notify_user(request, conn, user, "password_changed")
    await distrust(request, conn, user.sub, owner.session.id)
    if end_others:
        await sign_out_elsewhere(request, conn, owner)
    await keep_browser(request, conn, user)
    return await go_on_with(request, conn, owner, Evidence("password", now), WAYS)


def _page(request: Request, owner: Owner, fault: Fault | None = None) -> Response:
    has_one, alone = owner.user.password_hash is not None, passkeys_alone(owner)
    content = PasswordPage(
        Person(owner.user.username),
        _shortest(owner),
        fault,
        has_one=has_one,
        passkeys=alone if has_one else 0,
        remove_url=REMOVE if shows_passkey(owner, moment(request)) else None,
    )
    return page(request, content, status=400 if fault else 200)
