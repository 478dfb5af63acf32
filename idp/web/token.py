"""``/oauth/token`` (RFC 6749 §3.2)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idp.base.entropy import identifier
from idp.model.authorization import Authorization
from idp.model.client import Client
from idp.oauth import client_auth
from idp.oauth.errors import InvalidGrant, InvalidRequest, OAuthError, claimed_id
from idp.oauth.grants import TokenRequest, redeem
from idp.oauth.issue import (
    ACCESS_TOKEN_ALG,
    ACCESS_TOKEN_TYPE,
    ID_TOKEN_TYPE,
    Issue,
    access_token_claims,
    id_token_claims,
)
from idp.store.database import Connection
from idp.web.bearer import authorization_of
from idp.web.forms import read_form
from idp.web.provider import Provider, moment, provider_of, transacted
from idp.web.trail import note

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


async def authenticated(request: Request, conn: Connection, form: dict[str, str]) -> Client:
    """The client that sent this form (RFC 6749 §2.3); credentials never travel in the query."""
    if request.url.query:
        raise InvalidRequest("Parameters belong in the body.")
    provider = provider_of(request)
    surroundings = client_auth.Surroundings(conn, provider.issuer, provider.token_endpoint, moment(request))
    header = authorization_of(request)
    # Who it says it is belongs in the audit trail, above all where that turns out not to be so.
    request.state.client_id = claimed_id(client_auth.present(header, form)[1].client_id)
    return await client_auth.authenticate(header, form, surroundings)


async def token(request: Request) -> Response:
    """Tokens for a grant; what the refusal of a grant recorded is committed before it is answered."""
    provider, form = provider_of(request), await read_form(request)

    async def step(conn: Connection) -> Issue | OAuthError:
        client = await authenticated(request, conn, form)
        outcome = await redeem(TokenRequest(conn, client, form, provider.lifetimes, provider.entropy, moment(request)))
        if isinstance(outcome, InvalidGrant) and outcome.ended is not None:
            await note_revoked(request, conn, outcome.ended, outcome.detail)
        return outcome

    outcome = await transacted(request, step)
    if isinstance(outcome, OAuthError):
        raise outcome
    return JSONResponse(await _signed(provider, outcome, request), headers=NO_STORE)


async def note_revoked(request: Request, conn: Connection, ended: Authorization, reason: str) -> None:
    """Keep that an authorization and all its tokens were ended by what a client sent."""
    await note(
        request,
        conn,
        "authorization_revoked",
        actor="client",
        sub=ended.sub,
        client_id=ended.client_id,
        session_id=ended.session_id,
        authorization=ended.id,
        reason=reason,
    )


async def _signed(provider: Provider, issue: Issue, request: Request) -> dict[str, Any]:
    now, lifetimes = moment(request), provider.lifetimes
    access_token = await provider.keys.sign(
        access_token_claims(
            issue,
            issuer=provider.issuer,
            serial=identifier(provider.entropy),
            now=now,
            life=lifetimes.access_token,
        ),
        alg=ACCESS_TOKEN_ALG,
        typ=ACCESS_TOKEN_TYPE,
    )
    body: dict[str, Any] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": int(lifetimes.access_token.total_seconds()),
        "scope": " ".join(issue.scope),
    }
    if issue.refresh_token is not None:
        body["refresh_token"] = issue.refresh_token
    if issue.user is not None and "openid" in issue.scope:
        alg = issue.client.id_token_signed_response_alg
        claims = id_token_claims(
            issue,
            issue.user,
            access_token=access_token,
            alg=alg,
            issuer=provider.issuer,
            serial=identifier(provider.entropy),
            now=now,
            life=lifetimes.id_token,
        )
        body["id_token"] = await provider.keys.sign(claims, alg=alg, typ=ID_TOKEN_TYPE)
    return body
