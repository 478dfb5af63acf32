"""A refresh token for new tokens, and for its own successor (RFC 6749 §6; RFC 9700 §4.14.2)."""

from dataclasses import replace

from idp.base.entropy import token
from idp.model.authorization import Authorization
from idp.oauth.errors import InvalidGrant, InvalidRequest, InvalidScope, OAuthError
from idp.oauth.grants.grant import Grant, TokenRequest
from idp.oauth.issue import Issue
from idp.oauth.parameters import words
from idp.store.authorizations import find_live_authorization, revoke_authorization, session_is_live
from idp.store.refresh_tokens import consume_refresh_token, create_refresh_token, find_refresh_token
from idp.store.users import get_user

REFUSED = "The refresh token is not valid, was used, or was issued to another client."


async def redeem(request: TokenRequest) -> Issue | OAuthError:
    """New tokens and a new refresh token in place of the old, or why there are none.

    A refresh token used again kills its whole family. A wider scope than was granted is refused before the token is
    taken (RFC 6749 §6); a narrower one narrows this answer alone.
    """
    secret = request.form.get("refresh_token")
    if secret is None:
        return InvalidRequest("The refresh_token is required.")
    found = await find_refresh_token(request.conn, secret, hold=True)
    if found is None or found.client_id != request.client.client_id:
        return InvalidGrant(REFUSED)
    authorization = await find_live_authorization(request.conn, found.authorization_id, now=request.now)
    if authorization is None or request.now >= authorization.created_at + request.lifetimes.refresh_token:
        return InvalidGrant(REFUSED, detail="the authorization is dead")
    asked = words(request.form.get("scope")) or authorization.scope
    # Of a token that was used already the scope does not matter: whoever shows it betrays the family.
    if found.consumed_at is None and not set(asked) <= set(authorization.scope):
        return InvalidScope("The scope is wider than what was granted.")
    if not await consume_refresh_token(request.conn, secret, now=request.now):
        if found.consumed_at is None and found.expires_at <= request.now:
            return InvalidGrant(REFUSED, detail="the refresh token has expired")
        ended = await revoke_authorization(request.conn, authorization.id, now=request.now)
        return InvalidGrant(REFUSED, detail="the refresh token was used again", ended=ended)
    return replace(await _issue(request, authorization), scope=asked)


async def _issue(request: TokenRequest, authorization: Authorization) -> Issue:
    # It is named and not touched: an application at work does not keep a browser signed in (ASVS 7.3.1).
    session_id = authorization.session_id
    if session_id is not None and not await session_is_live(request.conn, session_id, now=request.now):
        session_id = None
    return Issue(
        client=request.client,
        scope=authorization.scope,
        user=await get_user(request.conn, authorization.sub),
        authorization=authorization,
        session_id=session_id,
        refresh_token=await create(request, authorization),
    )


async def create(request: TokenRequest, authorization: Authorization) -> str:
    """A new refresh token: good until it lies idle too long or the authorization grows too old (ASVS 10.4.8)."""
    secret = token(request.entropy)
    absolute = authorization.created_at + request.lifetimes.refresh_token
    await create_refresh_token(
        request.conn,
        secret,
        authorization.id,
        request.client.client_id,
        now=request.now,
        expires_at=min(request.now + request.lifetimes.refresh_idle, absolute),
    )
    return secret


GRANT = Grant("refresh_token", redeem)
