"""``/oauth/userinfo`` (OpenID Connect Core §5.3)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idp.oauth.access_tokens import find_active
from idp.oauth.claims import claims_for_userinfo
from idp.oauth.errors import BearerError, OAuthError
from idp.store.database import transaction
from idp.store.users import get_user
from idp.web.forms import read_form
from idp.web.provider import moment, provider_of


async def userinfo(request: Request) -> Response:
    """The claims that the access token opens."""
    provider, bearer = provider_of(request), await _bearer(request)
    async with transaction(provider.pool) as conn:
        token = await find_active(
            conn,
            bearer,
            keys=provider.keys.ring.verifiers,
            issuer=provider.issuer,
            session_idle=provider.lifetimes.session_idle,
            now=moment(request),
        )
        if token is None or token.authorization is None:
            raise BearerError("invalid_token", "The access token is not valid, or not valid any more.")
        if "openid" not in token.scope:
            raise BearerError("insufficient_scope", "The scope openid is required.", status=403, scope="openid")
        user = await get_user(conn, token.authorization.sub)
    requested = token.authorization.claims.get("userinfo", ())
    return JSONResponse(claims_for_userinfo(user, token.scope, requested))


async def _bearer(request: Request) -> str:
    """The token from the header or the form body, from one of them alone (RFC 6750 §2)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    in_header = token.strip() if scheme.lower() == "bearer" else ""
    in_body = ""
    if request.method == "POST" and request.headers.get("content-type", "").startswith("application/x-www-form"):
        try:
            in_body = (await read_form(request)).get("access_token", "")
        except OAuthError as fault:
            raise BearerError("invalid_request", fault.description, status=400) from fault
    if in_header and in_body:
        raise BearerError("invalid_request", "The token is sent in more than one way.", status=400)
    if not (in_header or in_body):
        raise BearerError
    return in_header or in_body
