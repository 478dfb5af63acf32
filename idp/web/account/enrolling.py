"""What the pages have in common that add an authenticator: where they lead back to, and what is kept and told of it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.methods import Refusal
from idp.base.text import Phrase
from idp.model.assurance import Evidence
from idp.store.database import Connection
from idp.store.interactions import find_interaction
from idp.web import cookies
from idp.web.account.owner import Owner, go_on_with, return_to
from idp.web.answers import allow_form_target
from idp.web.notices import notify_user
from idp.web.provider import moment, provider_of
from idp.web.standing import load_request
from idp.web.trail import note


def with_return(request: Request, path: str) -> str:
    """The address of a form that goes on to the same place."""
    return f"{path}?{request.url.query}" if "return_to" in request.query_params else path


async def allow_return(request: Request, conn: Connection) -> None:
    """Let the form of this page end at the client whose request waits for what is added here."""
    path, _, interaction_id = return_to(request).partition("?interaction=")
    browser = cookies.read(request, provider_of(request), "browser")
    if path != "/login" or browser is None:
        return
    waiting = await find_interaction(conn, interaction_id, browser, now=moment(request))
    if waiting is not None and waiting.parameters is not None:
        allow_form_target(request, await load_request(provider_of(request), conn, dict(waiting.parameters)))


async def added(request: Request, conn: Connection, owner: Owner, shown: Evidence, name: Phrase) -> Response:
    """Keep and tell that an authenticator was added; on to what waits for it, since it has just been shown."""
    await tell_added(request, conn, owner, name, method=shown.method, credential=shown.credential_id)
    return await go_on_with(request, conn, owner, shown, return_to(request))


async def tell_added(request: Request, conn: Connection, owner: Owner, name: Phrase, **details: Any) -> None:
    """Keep that an authenticator was added, and tell its owner."""
    sub, session_id = owner.user.sub, owner.session.id
    await note(request, conn, "authenticator_added", sub=sub, session_id=session_id, **details)
    await notify_user(request, conn, owner.user, "authenticator_added", name=name)


async def note_not_added(request: Request, conn: Connection, owner: Owner, method: str, refused: Refusal) -> None:
    """Keep that an authenticator was not added, for what it answered was wrong."""
    await note(
        request,
        conn,
        "authenticator_refused",
        sub=owner.user.sub,
        session_id=owner.session.id,
        method=method,
        cause=refused.cause,
        detail=refused.detail[:200],
    )
