"""A page whose interaction is over: what had been asked begins anew, or is said to be done."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from idp.base.text import say
from idp.model.interaction import Interaction
from idp.oauth.request import known
from idp.store.database import Connection
from idp.store.users import find_user
from idp.web.answers import page, see_other
from idp.web.flow import StaleInteraction, begin, bind, current_session
from idp.web.forms import read_page_form
from idp.web.pages import DonePage
from idp.web.provider import provider_of, transacted
from idp.web.reader import heed_account, heed_request
from idp.web.steps.password import EXPIRED, TYPED, sealed_name


async def restart(request: Request, error: Exception) -> Response:
    """The same request once more, from its beginning; to who is signed in, a page that says so (back button, two tabs).

    Nothing that had been proved is taken over, and the request is checked again like any other.
    """
    assert isinstance(error, StaleInteraction)
    stale = error.interaction
    form = await read_page_form(request) if request.method == "POST" else {}

    async def step(conn: Connection) -> Response:
        heed_request(request, stale.parameters)
        if error.ended and (done := await _signed_in(request, conn, stale)) is not None:
            return done
        parameters = None if stale.parameters is None else dict(stale.parameters)
        if parameters is not None and form.get("username"):
            parameters[TYPED] = sealed_name(request, form["username"])
        interaction, browser = await begin(
            request, conn, parameters=parameters, return_to=stale.return_to, fresh=stale.fresh
        )
        location = f"/login?interaction={interaction.id}&{EXPIRED}=1"
        return bind(see_other(location), provider_of(request), browser)

    return await transacted(request, step)


async def _signed_in(request: Request, conn: Connection, stale: Interaction) -> Response | None:
    """That the sign-in was completed, and the way on; None where nobody is signed in any more."""
    session = await current_session(request, conn)
    user = await find_user(conn, session.sub) if session is not None else None
    if user is None:
        return None
    heed_account(request, user)
    text = say(
        "You are signed in as %(username)s. This page belongs to a sign-in that is done.", username=user.username
    )
    onward = stale.return_to if stale.parameters is None else f"/oauth/authorize?{urlencode(known(stale.parameters))}"
    return page(
        request,
        DonePage(
            say("You are already signed in"),
            text,
            None,
            (say("Continue"), onward),
        ),
    )
