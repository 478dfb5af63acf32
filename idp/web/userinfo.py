"""``/oauth/userinfo`` (OpenID Connect Core §5.3)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idp.oauth.claims import claims_for_userinfo, within
from idp.oauth.errors import BearerError
from idp.store.database import transaction
from idp.store.users import get_user
from idp.web.bearer import find_active, read_bearer
from idp.web.provider import provider_of


async def userinfo(request: Request) -> Response:
    """The claims that the access token opens."""
    bearer = await read_bearer(request)
    async with transaction(provider_of(request).pool) as conn:
        token = await find_active(request, conn, bearer)
        if token is None or token.authorization is None:
            raise BearerError("invalid_token", "The access token is not valid, or not valid any more.")
        if "openid" not in token.scope:
            raise BearerError("insufficient_scope", "The scope openid is required.", status=403, scope="openid")
        user = await get_user(conn, token.authorization.sub)
    requested = within(token.authorization.claims.get("userinfo", ()), token.authorization.client_scope)
    return JSONResponse(claims_for_userinfo(user, token.scope, requested))
