"""``/account/authenticators/add-totp``: a new authenticator app."""

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from idp.authn.methods import Refusal, totp
from idp.model.assurance import Evidence
from idp.store.attempts import remove_tallies
from idp.store.database import Connection
from idp.web.account.enrolling import added, allow_return, note_not_added, with_return
from idp.web.account.owner import WAYS, Owner, find_changer, return_to
from idp.web.answers import page, see_other
from idp.web.forms import read_page_form
from idp.web.pages import AddTotpPage, Fault
from idp.web.provider import moment, provider_of, transacted


async def add(request: Request) -> Response:
    """A new key for an authenticator app, shown until a code confirms it."""

    async def step(conn: Connection) -> Response:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        return await _page(request, conn, owner)

    return await transacted(request, step)


async def confirm(request: Request) -> Response:
    """Add the app whose code was entered; the code counts as a use of it."""
    form, provider, now = await read_page_form(request), provider_of(request), moment(request)

    async def step(conn: Connection) -> Response:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        user = owner.user
        code, name = form.get("code", ""), form.get("name", "")
        outcome = await totp.confirm(conn, user, owner.session.id, code, provider.tools, now, name=name)
        if isinstance(outcome, Refusal):
            await note_not_added(request, conn, owner, "totp", outcome)
            return await _page(request, conn, owner, Fault.of(outcome.cause), name)
        # Bound anew by somebody who has shown enough of the owner: what was guessed at before counts no more.
        await remove_tallies(conn, user.sub, factor="totp")
        return await added(request, conn, owner, Evidence("totp", now, outcome.id), outcome.name)

    return await transacted(request, step)


async def _page(
    request: Request, conn: Connection, owner: Owner, fault: Fault | None = None, name: str = ""
) -> Response:
    tools, now, session_id = provider_of(request).tools, moment(request), owner.session.id
    shown = await totp.find_enrolment(conn, owner.user, session_id, tools, now) if fault else None
    enrolment = shown or await totp.begin_enrolment(conn, owner.user, session_id, tools, now)
    if isinstance(enrolment, Refusal):
        return see_other(WAYS)
    await allow_return(request, conn)
    content = AddTotpPage(
        with_return(request, f"{WAYS}/add-totp"),
        Markup(enrolment.svg),  # noqa: S704 - drawn by segno, with nothing typed by anybody in it as text
        enrolment.uri,
        enrolment.secret,
        fault,
        name,
        cancel_url=return_to(request),
    )
    return page(request, content, status=400 if fault else 200)
