"""Which account a sign-in is for: another one, the chosen one, or none at all."""

from starlette.requests import Request
from starlette.responses import Response

from idp.base.text import say
from idp.model.user import User
from idp.oauth.errors import AccessDenied, AuthorizationError
from idp.store.database import Connection, transaction
from idp.store.interactions import consume_interaction, record_choice, record_proof
from idp.store.known_devices import forget_account, list_known
from idp.store.sessions import end_session
from idp.store.users import hold
from idp.web import cookies
from idp.web.answers import allow_form_target, page, refuse, see_other
from idp.web.flow import Visit, end_idle, proceed, resume, revisit
from idp.web.forms import read_page_form
from idp.web.pages import Account, ChooserPage, ForgetPage, Person
from idp.web.provider import moment, provider_of, transacted
from idp.web.slip import slip_of
from idp.web.trail import note


async def other_account(request: Request) -> Response:
    """Start over with another account: what this login and this browser's session have shown counts no more.

    The unguessable interaction of this very browser in the address makes this safe as a plain link.
    """
    provider = provider_of(request)

    async def step(conn: Connection) -> Response:
        visit = await resume(request, conn)
        if (session := visit.standing.session) is not None:
            await hold(conn, session.sub)
            await end_session(conn, session.id, now=moment(request))
            await note(request, conn, "sign_out", sub=session.sub, session_id=session.id)
        else:
            await end_idle(request, conn)
        await _forget(conn, visit)
        response = see_other(f"/login?interaction={visit.interaction.id}")
        cookies.clear(response, provider, "session")
        return response

    return await transacted(request, step)


async def cancel(request: Request) -> Response:
    """Back to the app without a sign-in; the unguessable interaction makes this safe as a plain link."""

    async def step(conn: Connection) -> Response:
        visit = await resume(request, conn)
        await consume_interaction(conn, visit.interaction.id, now=moment(request))
        if visit.standing.request is None:
            return see_other("/account")
        error = AccessDenied("The user did not sign in.")
        return refuse(request, AuthorizationError(visit.standing.request.target, error))

    return await transacted(request, step)


async def _forget(conn: Connection, visit: Visit) -> None:
    await record_choice(conn, visit.interaction.id)
    await record_proof(conn, visit.interaction.id, None, ())


async def choose(request: Request) -> Response:
    """The account chooser (``prompt=select_account``): who is signed in, and who has been in this browser before."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
        known = await _known(request, conn)
    signed_in, here = _signed_in(visit), f"interaction={visit.interaction.id}"
    accounts = [Account(user.sub, Person(user.username), say("Signed out")) for user in known if user.sub != signed_in]
    if visit.standing.user is not None and visit.standing.user.sub == signed_in:
        accounts.insert(0, Account(signed_in, Person(visit.standing.user.username), say("Signed in")))
    allow_form_target(request, visit.standing.request)
    forget = f"/login/forget?{here}" if any(user.sub != signed_in for user in known) else None
    return page(
        request, ChooserPage(slip_of(visit.standing), f"/login/choose?{here}", tuple(accounts), forget_url=forget)
    )


async def chosen(request: Request) -> Response:
    """Go on with the chosen account, or with another one; of one that is signed out nothing is proved yet."""
    form = await read_page_form(request)

    async def step(conn: Connection) -> Response:
        visit = await resume(request, conn)
        wanted = form.get("account", "")
        known = {user.sub: user for user in await _known(request, conn)}
        if wanted not in {_signed_in(visit), *known} - {None}:
            return see_other(f"/login/other-account?interaction={visit.interaction.id}")
        await hold(conn, wanted)
        if wanted != _signed_in(visit):
            await record_proof(conn, visit.interaction.id, known[wanted], ())
        interaction = await record_choice(conn, visit.interaction.id)
        return await proceed(request, conn, await revisit(request, conn, interaction))

    return await transacted(request, step)


async def show_forget(request: Request) -> Response:
    """The accounts that this browser may forget: all that it knows but the one that is signed in."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
        known = await _known(request, conn)
    here, signed_in = f"interaction={visit.interaction.id}", _signed_in(visit)
    accounts = tuple(
        Account(user.sub, Person(user.username), say("Signed out")) for user in known if user.sub != signed_in
    )
    content = ForgetPage(f"/login/forget?{here}", accounts, back_url=f"/login/choose?{here}")
    return page(request, content)


async def forget(request: Request) -> Response:
    """Take the account out of this browser's memory; nothing of the account itself changes."""
    form, provider = await read_page_form(request), provider_of(request)
    device = cookies.read(request, provider, "device")

    async def step(conn: Connection) -> Response:
        visit = await resume(request, conn)
        if device is not None and form.get("account", "") != _signed_in(visit):
            sub = form.get("account", "")
            if trust_id := await forget_account(conn, device, sub):
                await note(request, conn, "device_trust_ended", actor="anonymous", sub=sub, device=trust_id, count=1)
        return see_other(f"/login/choose?interaction={visit.interaction.id}")

    return await transacted(request, step)


def _signed_in(visit: Visit) -> str | None:
    return visit.standing.session.sub if visit.standing.session else None


async def _known(request: Request, conn: Connection) -> tuple[User, ...]:
    """The accounts that have signed in in this browser before."""
    device = cookies.read(request, provider_of(request), "device")
    return await list_known(conn, device, now=moment(request)) if device else ()
