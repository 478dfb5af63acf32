"""A client acting for itself (RFC 6749 §4.4)."""

from idp.oauth.errors import InvalidScope, OAuthError
from idp.oauth.grants.grant import Grant, TokenRequest
from idp.oauth.issue import Issue
from idp.oauth.parameters import words
from idp.oauth.scope import SCOPE_CLAIMS


async def redeem(request: TokenRequest) -> Issue | OAuthError:
    """A token for the client itself, without a refresh token (RFC 6749 §4.4.3).

    Scopes that speak of a user have no meaning here: they are never granted, and asking for one is refused.
    """
    own = tuple(word for word in request.client.scope if word not in SCOPE_CLAIMS)
    asked = words(request.form.get("scope")) or own
    if not set(asked) <= set(own):
        return InvalidScope("The scope is not one that this client may have.")
    return Issue(client=request.client, scope=asked)


GRANT = Grant("client_credentials", redeem)
