"""``/consent``: whether an app may have what it asks for."""

from starlette.requests import Request
from starlette.responses import Response

from idp.oauth.errors import AccessDenied, AuthorizationError
from idp.store.consents import record_consent
from idp.store.database import Connection, transaction
from idp.store.interactions import consume_interaction, record_approval
from idp.store.users import hold
from idp.web.answers import allow_form_target, page, refuse, see_other
from idp.web.flow import proceed, resume, revisit
from idp.web.forms import read_page_form
from idp.web.pages import ConsentPage, Person
from idp.web.provider import moment, provider_of, transacted
from idp.web.scopes import scope_line
from idp.web.slip import needed, slip_of
from idp.web.trail import note


async def show(request: Request) -> Response:
    """What the app would be able to do, with the real values."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
        standing, asked = visit.standing, needed(visit.standing.request)
        if standing.need is None or standing.need.prompt != "consent":
            return await proceed(request, conn, visit)
    user, here = needed(standing.user), f"interaction={visit.interaction.id}"
    lines = tuple(scope_line(scope, user) for scope in asked.scope_to_approve)
    allow_form_target(request, asked)
    content = ConsentPage(
        slip_of(standing), f"/consent?{here}", Person(user.username), lines, f"/login/other-account?{here}"
    )
    return page(request, content)


async def submit(request: Request) -> Response:
    """Keep the decision; only ``allow`` allows, and only what the request asks for (A-73)."""
    form = await read_page_form(request)

    async def step(conn: Connection) -> Response:
        visit = await resume(request, conn)
        standing, asked = visit.standing, needed(visit.standing.request)
        if standing.need is None or standing.need.prompt != "consent":
            return see_other(f"/login?interaction={visit.interaction.id}")
        user, client_id = needed(standing.user), asked.client.client_id
        await hold(conn, user.sub)
        if form.get("decision") == "deny":
            # Denied is denied: going back does not find the same question again.
            await consume_interaction(conn, visit.interaction.id, now=moment(request))
            await note(request, conn, "consent_denied", sub=user.sub, client_id=client_id)
            return refuse(
                request, AuthorizationError(asked.target, AccessDenied("The user did not allow the request."))
            )
        if form.get("decision") != "allow":
            return see_other(f"/consent?interaction={visit.interaction.id}")
        scope = asked.scope_to_approve
        await record_consent(conn, user.sub, client_id, scope, now=moment(request))
        await note(request, conn, "consent_given", sub=user.sub, client_id=client_id, scope=list(scope))
        interaction = await record_approval(conn, visit.interaction.id, scope)
        return await proceed(request, conn, await revisit(request, conn, interaction))

    return await transacted(request, step)
