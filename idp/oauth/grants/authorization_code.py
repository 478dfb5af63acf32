"""A code for tokens (RFC 6749 §4.1.3; RFC 7636 §4.6)."""

from idp.model.authorization import Authorization, AuthorizationCode
from idp.oauth import pkce
from idp.oauth.errors import InvalidGrant, InvalidRequest, OAuthError
from idp.oauth.grants import refresh_token
from idp.oauth.grants.grant import Grant, TokenRequest
from idp.oauth.issue import Issue
from idp.store.authorizations import consume_code, find_code, find_live_authorization, revoke_authorization
from idp.store.users import get_user

REFUSED = "The code is not valid, was used, or was issued to another client or redirect URI."


async def redeem(request: TokenRequest) -> Issue | OAuthError:
    """The issue that the code stands for, or why there is none.

    A code used again kills all that was issued for it (RFC 6749 §4.1.2; RFC 9700 §4.5); one shown by a client that it
    was not issued to stays usable for the one that it was.
    """
    code, verifier = request.form.get("code"), request.form.get("code_verifier")
    if code is None or verifier is None:
        return InvalidRequest("The code and the code_verifier are required.")
    found = await find_code(request.conn, code)
    if found is None or not _fits(found.record, request, verifier):
        return InvalidGrant(REFUSED)
    if not await consume_code(request.conn, code, now=request.now):
        if not found.consumed and found.record.expires_at <= request.now:
            return InvalidGrant(REFUSED, detail="the code has expired")
        ended = await revoke_authorization(request.conn, found.record.authorization_id, now=request.now)
        return InvalidGrant(REFUSED, detail="the code was used again", ended=ended)
    authorization = await find_live_authorization(request.conn, found.record.authorization_id, now=request.now)
    if authorization is None:
        return InvalidGrant(REFUSED, detail="the authorization is dead")
    return await _issue(request, authorization, found.record)


def _fits(record: AuthorizationCode, request: TokenRequest, verifier: str) -> bool:
    """Bound to its client, its redirect URI (RFC 6749 §4.1.3) and its proof key (RFC 7636 §4.6)."""
    return (
        record.client_id == request.client.client_id
        and record.redirect_uri == request.form.get("redirect_uri")
        and pkce.proves(verifier, record.code_challenge)
    )


async def _issue(request: TokenRequest, authorization: Authorization, record: AuthorizationCode) -> Issue:
    return Issue(
        client=request.client,
        scope=authorization.scope,
        user=await get_user(request.conn, authorization.sub),
        authorization=authorization,
        session_id=authorization.session_id,
        nonce=record.nonce,
        refresh_token=await refresh_token.create(request, authorization) if _may_refresh(request) else None,
    )


def _may_refresh(request: TokenRequest) -> bool:
    return refresh_token.GRANT.name in request.client.grant_types


GRANT = Grant("authorization_code", redeem)
