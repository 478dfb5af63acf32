"""``/oauth/authorize`` (RFC 6749 §3.1; OpenID Connect Core §3.1.2)."""

from starlette.requests import Request
from starlette.responses import Response

from idp.base.uri import with_parameters
from idp.oauth.errors import AuthorizationError, InvalidRequest, PageError
from idp.store.database import transaction
from idp.web import cookies
from idp.web.answers import see_other
from idp.web.flow import Visit, answer, begin, bind, current_session, proceed, revisit
from idp.web.forms import query, read_form
from idp.web.provider import moment, provider_of
from idp.web.reader import heed_request
from idp.web.standing import load_request, stand


async def authorize(request: Request) -> Response:
    """Answer at once what needs no user; begin an interaction for what does."""
    try:
        if request.method == "POST":
            # A form posted by the client comes without our cookies (SameSite=Lax): ask again, by GET.
            parameters = await read_form(request)
            return see_other(with_parameters("/oauth/authorize", parameters.items()))
        parameters = query(request)
    except InvalidRequest as fault:
        raise PageError("invalid_request", detail=str(fault)) from fault
    heed_request(request, parameters)
    provider = provider_of(request)
    async with transaction(provider.pool) as conn:
        asked = await load_request(conn, parameters)
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
        interaction, browser = await begin(request, conn, parameters=parameters)
        visit: Visit = await revisit(request, conn, interaction)
        return bind(await proceed(request, conn, visit), provider, browser)
