"""Which account a sign-in is for: another one, the chosen one, or none at all."""

from starlette.requests import Request
from starlette.responses import Response

from idp.oauth.errors import AccessDenied, AuthorizationError
from idp.store.database import Connection, transaction
from idp.store.interactions import consume_interaction, record_choice, record_proof
from idp.store.sessions import end_session
from idp.web import cookies
from idp.web.answers import allow_form_target, page, refuse, see_other
from idp.web.flow import Visit, proceed, resume, revisit
from idp.web.forms import read_page_form
from idp.web.pages import ChooserPage, Person
from idp.web.pages.parts import Account
from idp.web.provider import moment, provider_of
from idp.web.slip import slip_of
from idp.web.trail import note


async def other_account(request: Request) -> Response:
    """Start over with another account: what this login and this browser's session have shown counts no more.

    The unguessable interaction of this very browser in the address makes this safe as a plain link.
    """
    provider = provider_of(request)
    async with transaction(provider.pool) as conn:
        visit = await resume(request, conn)
        if (session := visit.standing.session) is not None:
            await end_session(conn, session.id, now=moment(request))
            await note(request, conn, "sign_out", sub=session.sub, session_id=session.id)
        await _forget(conn, visit)
    response = see_other(f"/login?interaction={visit.interaction.id}")
    cookies.clear(response, provider, "session")
    return response


async def cancel(request: Request) -> Response:
    """Back to the app without a sign-in; the unguessable interaction makes this safe as a plain link."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
        await consume_interaction(conn, visit.interaction.id, now=moment(request))
    if visit.standing.request is None:
        return see_other("/account")
    error = AccessDenied("The user did not sign in.")
    return refuse(request, AuthorizationError(visit.standing.request.target, error))


async def _forget(conn: Connection, visit: Visit) -> None:
    await record_choice(conn, visit.interaction.id)
    await record_proof(conn, visit.interaction.id, None, ())


async def choose(request: Request) -> Response:
    """The account chooser (``prompt=select_account``)."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
    user, here = visit.standing.user, f"interaction={visit.interaction.id}"
    accounts = (Account(user.sub, Person(user.username), "Signed in"),) if user else ()
    allow_form_target(request, visit.standing.request)
    return page(request, ChooserPage(slip_of(visit.standing), f"/login/choose?{here}", accounts))


async def chosen(request: Request) -> Response:
    """Go on with the chosen account, or with another one."""
    form = await read_page_form(request)
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
        user = visit.standing.user
        if user is None or form.get("account") != user.sub:
            return see_other(f"/login/other-account?interaction={visit.interaction.id}")
        interaction = await record_choice(conn, visit.interaction.id)
        return await proceed(request, conn, await revisit(request, conn, interaction))
