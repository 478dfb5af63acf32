"""``/oauth/logout`` (OpenID Connect RP-Initiated Logout 1.0) and ``/logout``, the user's own sign-out."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from idp.base.jose import InvalidToken, verify
from idp.base.uri import origin, with_parameters
from idp.model.client import Client
from idp.model.session import Session
from idp.oauth.errors import InvalidRequest, PageError, bare_uri
from idp.store.clients import find_client
from idp.store.database import Connection
from idp.store.sessions import end_session
from idp.store.users import get_user
from idp.web import cookies
from idp.web.answers import page, see_other
from idp.web.flow import current_session
from idp.web.forms import read_page_form, read_parameters
from idp.web.pages import Person, SignedOutPage, SignOutPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.standing import ID_TOKEN_HINT
from idp.web.trail import note


@dataclass(frozen=True, slots=True)
class _Asked:
    """A checked logout request: ``subject`` and ``session_id`` are those of the ID token hint."""

    client: Client | None = None
    location: str | None = None
    subject: str | None = None
    session_id: str | None = None


async def logout(request: Request) -> Response:
    """End the session at once where the hint proves whose it is; ask the user otherwise (A-56)."""
    try:
        given = await read_parameters(request)
    except InvalidRequest as fault:
        raise PageError("invalid_request", detail=str(fault)) from fault
    if request.method == "POST":
        # A form posted by another site comes without our cookies (SameSite=Lax): who is signed in, and whether
        # anybody is, can only be judged by GET.
        return see_other(with_parameters("/oauth/logout", given.items()))

    async def step(conn: Connection) -> Response:
        asked = await _checked(request, conn, given)
        session = await current_session(request, conn)
        if session is None:
            return _gone(request, asked)
        if asked.subject == session.sub and asked.session_id in {None, session.id}:
            await _end(request, conn, session, asked)
            return _gone(request, asked)
        user = await get_user(conn, session.sub)
        fields = tuple(
            (name, given[name]) for name in ("post_logout_redirect_uri", "state", "id_token_hint") if name in given
        )
        if asked.location:
            request.state.form_target = origin(asked.location)
        return page(request, SignOutPage("/logout", Person(user.username), None, fields))

    return await transacted(request, step)


async def sign_out(request: Request) -> Response:
    """End this browser's session: the user said so, on a page of ours."""
    given = await read_page_form(request)

    async def step(conn: Connection) -> Response:
        asked = await _checked(request, conn, given)
        session = await current_session(request, conn)
        if session is not None:
            await _end(request, conn, session, asked)
        response = _gone(request, asked) if asked.location else see_other("/signed-out")
        cookies.clear(response, provider_of(request), "session")
        return response

    return await transacted(request, step)


async def signed_out(request: Request) -> Response:
    """The page after a sign-out."""
    return page(request, SignedOutPage())


async def _end(request: Request, conn: Connection, session: Session, asked: _Asked) -> None:
    await end_session(conn, session.id, now=moment(request))
    client_id = asked.client.client_id if asked.client else None
    await note(request, conn, "sign_out", sub=session.sub, session_id=session.id, client_id=client_id)


def _gone(request: Request, asked: _Asked) -> Response:
    response = see_other(asked.location) if asked.location else page(request, SignedOutPage())
    cookies.clear(response, provider_of(request), "session")
    return response


async def _checked(request: Request, conn: Connection, given: dict[str, str]) -> _Asked:
    """The request, its hint verified and its redirect registered by the hint's client (RP-Initiated Logout §3)."""
    provider, hint, target = provider_of(request), given.get("id_token_hint"), given.get("post_logout_redirect_uri")
    if hint is None:
        if target is not None:
            raise PageError("logout_refused", detail="no id_token_hint")
        return _Asked()
    try:
        token = verify(
            hint,
            ID_TOKEN_HINT,
            keys=provider.keys.ring.hint_verifiers,
            issuer=provider.issuer,
            audience=None,
            now=moment(request),
        )
    except InvalidToken as fault:
        raise PageError("logout_refused", detail=str(fault)) from fault
    client = await find_client(conn, str(token.claims["aud"]))
    if client is None or client.disabled_at or given.get("client_id", client.client_id) != client.client_id:
        raise PageError("client_unknown")
    if target is not None and target not in client.post_logout_redirect_uris:
        raise PageError("logout_refused", client_id=client.client_id, detail=bare_uri(target))
    state = given.get("state")
    location = target and with_parameters(target, [("state", state)] if state else [])
    return _Asked(client, location, str(token.claims["sub"]), token.claims.get("sid"))
