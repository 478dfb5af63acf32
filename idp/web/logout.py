"""``/oauth/logout`` (OpenID Connect RP-Initiated Logout 1.0) and ``/logout``, the user's own sign-out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from idp.base.jose import InvalidToken
from idp.base.text import Phrase, say
from idp.base.uri import with_parameters
from idp.model.client import Client
from idp.model.session import Session
from idp.oauth.errors import InvalidRequest, PageError, bare_uri
from idp.store.clients import find_client
from idp.store.database import Connection
from idp.store.sessions import end_session
from idp.store.users import get_user, hold
from idp.web import cookies
from idp.web.answers import page, see_other
from idp.web.flow import current_session, end_idle
from idp.web.forms import read_page_form
from idp.web.hints import ask_again, read_hinted, verify_hint
from idp.web.pages import Person, SignedOutPage, SignOutPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.trail import note, note_refusal

PARAMETERS = frozenset({"id_token_hint", "client_id", "post_logout_redirect_uri", "state"})
"""All that a request may say that means something here (RP-Initiated Logout §2)."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A checked logout request: ``location`` is where it leads, registered by its ``client``.

    ``subject`` and ``session_id`` are those of the ID token hint, None where it has none that is believed; ``doubt`` is
    why it is not.
    """

    client: Client | None = None
    location: str | None = None
    subject: str | None = None
    session_id: str | None = None
    doubt: str | None = None


async def logout(request: Request) -> Response:
    """End the session at once where the hint proves whose it is; ask the user otherwise (A-56)."""
    try:
        given = {name: value for name, value in (await read_hinted(request)).items() if name in PARAMETERS}
    except InvalidRequest as fault:
        raise PageError("invalid_request", detail=str(fault)) from fault
    if request.method == "POST":
        # A form posted by another site comes without our cookies (SameSite=Lax): who is signed in, and whether
        # anybody is, can only be judged by GET.
        return ask_again(request, "/oauth/logout", given)

    async def step(conn: Connection) -> tuple[Response, str | None]:
        asked = await _checked(request, conn, given)
        session = await current_session(request, conn)
        if session is None:
            # Of what the browser has left idle there is nobody to ask.
            await end_idle(request, conn, client_id=_client_id(asked))
            return _gone(request, asked), asked.doubt
        if asked.subject == session.sub and asked.session_id in {None, session.id}:
            await _end(request, conn, session, asked)
            return _gone(request, asked), None
        user = await get_user(conn, session.sub)
        if asked.location:
            request.state.form_target = asked.location
        is_doubtful = asked.doubt is not None or (asked.location is not None and asked.subject is None)
        fields = _kept(asked, given)
        content = SignOutPage("/logout", Person(user.username), fields=fields, is_doubtful=is_doubtful)
        return page(request, content), asked.doubt

    response, doubt = await transacted(request, step)
    if doubt is not None:
        await note_refusal(request, "request_refused", error="logout_refused", detail=doubt)
    return response


async def sign_out(request: Request) -> Response:
    """End this browser's session: the user said so, on a page of ours."""
    given = await read_page_form(request)

    async def step(conn: Connection) -> Response:
        asked = await _checked(request, conn, given)
        session = await current_session(request, conn)
        if session is not None:
            await _end(request, conn, session, asked)
        else:
            await end_idle(request, conn, client_id=_client_id(asked))
        response = see_other(asked.location or "/signed-out")
        cookies.clear(response, provider_of(request), "session")
        return response

    return await transacted(request, step)


async def signed_out(request: Request) -> Response:
    """The page after a sign-out."""
    return page(request, SignedOutPage())


async def _end(request: Request, conn: Connection, session: Session, asked: _Asked) -> None:
    await hold(conn, session.sub)
    await end_session(conn, session.id, now=moment(request))
    await note(request, conn, "sign_out", sub=session.sub, session_id=session.id, client_id=_client_id(asked))


def _client_id(asked: _Asked) -> str | None:
    return asked.client.client_id if asked.client else None


def _gone(request: Request, asked: _Asked) -> Response:
    """Where the request leads, at once if its hint proves that it is the client's own, else by a link."""
    if asked.location and asked.subject:
        response: Response = see_other(asked.location)
    else:
        response = page(request, SignedOutPage(back=_back(asked)))
    cookies.clear(response, provider_of(request), "session")
    return response


def _back(asked: _Asked) -> tuple[Phrase, str] | None:
    if asked.client is None or asked.location is None:
        return None
    return say("Back to %(app)s", app=asked.client.client_name), asked.location


def _kept(asked: _Asked, given: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """What the request said and can be asked again, once the user has said yes."""
    proven = ("id_token_hint",) if asked.subject else ()
    onward = ("client_id", "post_logout_redirect_uri", "state") if asked.location else ()
    return tuple((name, given[name]) for name in (*proven, *onward) if name in given)


async def _checked(request: Request, conn: Connection, given: dict[str, str]) -> _Asked:
    """The request, and where it leads: an address that the hint's client has registered (RP-Initiated Logout §3).

    Where no hint is believed, the client is the one that is named; without either, the request leads nowhere. Raises
    PageError for an address that is not registered.
    """
    target, named = given.get("post_logout_redirect_uri"), given.get("client_id")
    hint, doubt = _believed(request, given.get("id_token_hint"))
    if hint is not None:
        if named not in {None, str(hint["aud"])}:
            raise PageError("client_unknown")
        named = str(hint["aud"])
    elif target is None or named is None:
        if target is not None and doubt is None:
            raise PageError("logout_refused", detail="neither id_token_hint nor client_id")
        return _Asked(doubt=doubt)
    client = await find_client(conn, named or "")
    if client is None or client.disabled_at:
        raise PageError("client_unknown")
    if target is not None and target not in client.post_logout_redirect_uris:
        raise PageError("logout_refused", client_id=client.client_id, detail=bare_uri(target))
    state = given.get("state")
    location = target and with_parameters(target, [("state", state)] if state else [])
    if hint is None:
        return _Asked(client, location, doubt=doubt)
    return _Asked(client, location, str(hint["sub"]), hint.get("sid"))


def _believed(request: Request, hint: str | None) -> tuple[Mapping[str, Any] | None, str | None]:
    """The claims of the ID token hint, or why they are not believed: its key may be gone, and nobody is to blame."""
    if hint is None:
        return None, None
    try:
        return verify_hint(provider_of(request), hint, audience=None, now=moment(request)).claims, None
    except InvalidToken as fault:
        return None, str(fault)
