"""The audit trail as the web writes it: each act with whose, by whom and from where."""

import contextlib

from starlette.requests import Request

from idp.model.event import Event
from idp.store.audit_events import record_event
from idp.store.database import Connection, Unavailable
from idp.web.provider import moment, provider_of, transacted
from idp.web.source import address_of, request_id_of


async def note(
    request: Request,
    conn: Connection,
    event: str,
    *,
    actor: str = "user",
    sub: str | None = None,
    client_id: str | None = None,
    session_id: str | None = None,
    **details: object,
) -> None:
    """Append an event to the audit trail in this transaction, so that neither act nor row is kept alone.

    Where nothing else is said, it happened in the session of this browser and through the client that it is here for.
    """
    if session_id is None:
        session_id = _session_here(request, sub)
    await record_event(
        conn,
        Event(
            event,
            actor,
            moment(request),
            sub=sub,
            client_id=client_id or getattr(request.state, "client_id", None),
            session_id=session_id,
            address=address_of(request),
            request_id=request_id_of(request),
            details={name: _clean(value) for name, value in details.items()},
        ),
    )


def _session_here(request: Request, sub: str | None) -> str | None:
    """The browser's own session; what concerns another account than the one signed in did not happen in it."""
    session = getattr(request.state, "session", None)
    return session.id if session is not None and sub in {None, session.sub} else None


def _clean(value: object) -> object:
    """Text as a database takes it, whoever wrote it."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


async def note_refusal(
    request: Request,
    event: str,
    *,
    actor: str = "anonymous",
    sub: str | None = None,
    client_id: str | None = None,
    error: str = "",
    detail: str | None = None,
) -> None:
    """Append a refusal to the audit trail, in a transaction of its own; ``sub`` is whose account it is about, if known.

    Anybody can cause these without end, so each process keeps some a minute and leaves the rest to the log; and what is
    refused stays refused if the database cannot keep it.
    """
    provider = provider_of(request)
    if not provider.refusals.take(moment(request)):
        return
    kept = {"error": error, "detail": (detail or "")[:200], "path": request.url.path[:100]}
    with contextlib.suppress(Unavailable):
        await transacted(
            request, lambda conn: note(request, conn, event, actor=actor, sub=sub, client_id=client_id, **kept)
        )
