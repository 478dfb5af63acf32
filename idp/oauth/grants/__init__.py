"""Grants: the visible list, and the way from a token request to what is to be issued."""

from idp.oauth.errors import InvalidRequest, OAuthError, UnauthorizedClient, UnsupportedGrantType
from idp.oauth.grants import authorization_code, client_credentials, refresh_token
from idp.oauth.grants.grant import Grant, TokenRequest
from idp.oauth.issue import Issue

__all__ = ["GRANTS", "Grant", "TokenRequest", "redeem"]

GRANTS: tuple[Grant, ...] = (authorization_code.GRANT, refresh_token.GRANT, client_credentials.GRANT)


async def redeem(request: TokenRequest) -> Issue | OAuthError:
    """What the request's grant gives, or why nothing (RFC 6749 §5.2)."""
    name = request.form.get("grant_type")
    if name is None:
        return InvalidRequest("The grant_type is missing.")
    grant = next((each for each in GRANTS if each.name == name), None)
    if grant is None:
        return UnsupportedGrantType("The grant_type is not supported.")
    if name not in request.client.grant_types:
        return UnauthorizedClient("This client is not registered for the grant_type.")
    return await grant.redeem(request)
