"""Credentials in the Authorization header, access tokens above all (RFC 6750), and whether these are good now."""

from starlette.requests import Request

from idp.oauth import access_tokens
from idp.oauth.access_tokens import AccessToken
from idp.oauth.errors import BearerError, InvalidRequest, OAuthError
from idp.store.database import Connection
from idp.web.forms import read_form
from idp.web.provider import moment, provider_of


def authorization_of(request: Request) -> str:
    """The Authorization header, empty if there is none; raises InvalidRequest for several (RFC 9110 §5.3)."""
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise InvalidRequest("There is more than one Authorization header.")
    return given[0] if given else ""


async def read_bearer(request: Request) -> str:
    """The token from the header or the form body, from one of them alone (RFC 6750 §2); raises BearerError."""
    try:
        scheme, _, token = authorization_of(request).partition(" ")
        in_header = token.strip() if scheme.lower() == "bearer" else ""
        in_body = (await read_form(request)).get("access_token", "") if _has_form(request) else ""
    except OAuthError as fault:
        raise BearerError("invalid_request", fault.description, status=400) from fault
    if in_header and in_body:
        raise BearerError("invalid_request", "The token is sent in more than one way.", status=400)
    if not (in_header or in_body):
        raise BearerError
    return in_header or in_body


def _has_form(request: Request) -> bool:
    kind = request.headers.get("content-type", "")
    return request.method == "POST" and kind.startswith("application/x-www-form")


async def find_active(request: Request, conn: Connection, token: str) -> AccessToken | None:
    """The access token, if it is ours and nothing that it rests on has ended."""
    provider = provider_of(request)
    return await access_tokens.find_active(
        conn,
        token,
        keys=provider.keys.ring.verifiers,
        issuer=provider.issuer,
        now=moment(request),
    )
