"""``/oauth/authorize`` (RFC 6749 §3.1; OpenID Connect Core §3.1.2)."""

from starlette.requests import Request
from starlette.responses import Response

from idp.oauth.errors import AuthorizationError, InvalidRequest, PageError
from idp.oauth.request import known, waiting
from idp.store.database import Connection
from idp.web import cookies
from idp.web.flow import Visit, answer, begin, bind, current_session, proceed, revisit
from idp.web.hints import ask_again, read_hinted
from idp.web.provider import moment, provider_of, transacted
from idp.web.reader import heed_request
from idp.web.standing import hinted_subject, load_request, stand


async def authorize(request: Request) -> Response:
    """Answer at once what needs no user; begin an interaction for what does."""
    try:
        parameters = known(await read_hinted(request))
    except InvalidRequest as fault:
        raise PageError("invalid_request", detail=str(fault)) from fault
    if request.method == "POST":
        # A form posted by the client comes without our cookies (SameSite=Lax): ask again, by GET.
        return ask_again(request, "/oauth/authorize", parameters)
    heed_request(request, parameters)
    provider = provider_of(request)

    async def step(conn: Connection) -> Response:
        asked = await load_request(provider, conn, parameters)
        request.state.client_id = asked.client.client_id
        session = await current_session(request, conn)
        standing = await stand(
            provider,
            conn,
            request=asked,
            session=session,
            interaction=None,
            now=moment(request),
            device=cookies.read(request, provider, "device"),
        )
        if standing.need is None:
            return await answer(request, conn, asked, standing, None)
        if "none" in asked.prompt:
            raise AuthorizationError(asked.target, standing.need.error)
        kept = waiting(parameters, hinted_subject(provider, asked, moment(request)))
        interaction, browser = await begin(request, conn, parameters=kept)
        visit: Visit = await revisit(request, conn, interaction)
        return bind(await proceed(request, conn, visit), provider, browser)

    return await transacted(request, step)
