"""``/oauth/introspect`` (RFC 7662) and ``/oauth/revoke`` (RFC 7009): a client's questions about its own tokens."""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idp.base.jose import InvalidToken
from idp.model.client import Client
from idp.oauth.access_tokens import authorization_id, read
from idp.oauth.errors import InvalidClient, InvalidRequest
from idp.store.authorizations import find_live_authorization, revoke_authorization
from idp.store.database import Connection
from idp.store.refresh_tokens import find_refresh_token
from idp.store.revoked_tokens import revoke_access_token
from idp.web.bearer import find_active
from idp.web.forms import read_form
from idp.web.provider import moment, provider_of, transacted
from idp.web.token import NO_STORE, authenticated, note_revoked
from idp.web.trail import note


async def introspect(request: Request) -> Response:
    """What a token of the client's own amounts to now; any other is just not active (RFC 7662 §2.2)."""
    form = await read_form(request)
    # Judged first: a refusal below would give back the client assertion that authentication has spent.
    secret = _token(form)

    async def step(conn: Connection) -> Response:
        client = await authenticated(request, conn, form)
        if client.is_public:
            raise InvalidClient("Introspection is for confidential clients.")
        found = await _access(request, conn, client, secret) or await _refresh(request, conn, client, secret)
        return JSONResponse(found or {"active": False}, headers=NO_STORE)

    return await transacted(request, step)


async def _access(request: Request, conn: Connection, client: Client, secret: str) -> dict[str, Any] | None:
    token = await find_active(request, conn, secret)
    if token is None or token.claims["client_id"] != client.client_id:
        return None
    return {"active": True, "token_type": "Bearer", **token.claims, "scope": " ".join(token.scope)}


async def _refresh(request: Request, conn: Connection, client: Client, secret: str) -> dict[str, Any] | None:
    provider, now = provider_of(request), moment(request)
    found = await find_refresh_token(conn, secret)
    if found is None or found.client_id != client.client_id or found.consumed_at or found.expires_at <= now:
        return None
    authorization = await find_live_authorization(conn, found.authorization_id, now=now)
    if authorization is None:
        return None
    return {
        "active": True,
        "iss": provider.issuer,
        "client_id": client.client_id,
        "sub": authorization.sub,
        "scope": " ".join(authorization.scope),
        "exp": int(found.expires_at.timestamp()),
    }


async def revoke(request: Request) -> Response:
    """Kill the token and all of its family; 200 whatever it was (RFC 7009 §2.2)."""
    form = await read_form(request)
    # Judged first: a refusal below would give back the client assertion that authentication has spent.
    secret = _token(form)

    async def step(conn: Connection) -> Response:
        client = await authenticated(request, conn, form)
        await _revoke(request, conn, client, secret)
        return Response(status_code=200, headers=NO_STORE)

    return await transacted(request, step)


async def _revoke(request: Request, conn: Connection, client: Client, secret: str) -> None:
    provider, now = provider_of(request), moment(request)
    if (found := await find_refresh_token(conn, secret)) is not None:
        if found.client_id == client.client_id:
            await _end(request, conn, found.authorization_id)
        return
    try:
        claims = read(secret, keys=provider.keys.ring.verifiers, issuer=provider.issuer, now=now)
    except InvalidToken:
        return
    if claims["client_id"] != client.client_id:
        return
    if (parent := authorization_id(claims)) is not None:
        await _end(request, conn, parent)
    else:
        await revoke_access_token(conn, claims["jti"], datetime.fromtimestamp(claims["exp"], UTC))
        await note(request, conn, "token_revoked", actor="client", client_id=client.client_id, token=claims["jti"])


async def _end(request: Request, conn: Connection, authorization_id: str) -> None:
    ended = await revoke_authorization(conn, authorization_id, now=moment(request))
    if ended is not None:
        await note_revoked(request, conn, ended, "revoked by the client")


def _token(form: dict[str, str]) -> str:
    if "token" not in form:
        raise InvalidRequest("The token is missing.")
    return form["token"]
