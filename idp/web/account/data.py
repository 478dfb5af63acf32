"""``/account/data``: a copy of all that is kept of the owner, and the way to the account's end."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from idp.model.authorization import ConnectedApp
from idp.model.event import Activity
from idp.model.session import Session
from idp.model.user import User
from idp.store import recovery_codes, totp_credentials, webauthn_credentials
from idp.store.audit_events import list_activity
from idp.store.database import Connection, transaction
from idp.web.account.apps import apps_of
from idp.web.account.email import waiting_address
from idp.web.account.owner import Owner, find_changer, find_owner, to_login
from idp.web.account.sessions import sessions_of
from idp.web.answers import page
from idp.web.forms import read_page_form
from idp.web.pages import DataPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.trail import note

DATA = "/account/data"
MOST_EVENTS = 10_000
"""So many events of the trail, the newest, are in a copy: strangers can add to what is there."""

Values = dict[str, Any]


async def show(request: Request) -> Response:
    """What one can do with one's data."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
    return page(request, DataPage())


async def download(request: Request) -> Response:
    """One JSON document with all that is kept of the owner, and no secret in it; to be saved, and by no cache."""
    await read_page_form(request)

    async def step(conn: Connection) -> Response:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        await note(request, conn, "data_downloaded", sub=owner.user.sub, session_id=owner.session.id)
        document = await _document(request, conn, owner)
        text = json.dumps(document, ensure_ascii=False, indent=2, default=datetime.isoformat)
        headers = {"Content-Disposition": 'attachment; filename="account.json"', "Cache-Control": "no-store"}
        return Response(f"{text}\n", media_type="application/json", headers=headers)

    return await transacted(request, step)


async def _document(request: Request, conn: Connection, owner: Owner) -> Values:
    sub, now = owner.user.sub, moment(request)
    waiting = await waiting_address(request, conn, owner)
    # Everything that the trail still has, however long ago.
    acts = await list_activity(conn, sub, since=now - timedelta(days=3660), limit=MOST_EVENTS)
    return {
        "made_at": now,
        "issuer": provider_of(request).issuer,
        "account": _account(owner.user),
        "email_waiting": waiting.shown if waiting else None,
        "authenticators": await _authenticators(conn, owner.user),
        "sessions": [_session(one) for one in await sessions_of(request, conn, owner)],
        "apps": [_app(one) for one in await apps_of(request, conn, owner)],
        "activity": _activity(acts),
    }


def _account(user: User) -> Values:
    return {
        "sub": user.sub,
        "username": user.username,
        "profile": dict(user.profile),
        "email": user.email,
        "email_verified": user.email_verified,
        "phone": user.phone,
        "phone_verified": user.phone_verified,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


async def _authenticators(conn: Connection, user: User) -> Values:
    """Names and dates: what somebody could sign in with stays here."""
    apps = await totp_credentials.list_confirmed(conn, user.sub)
    keys = await webauthn_credentials.list_of(conn, user.sub)
    codes = await recovery_codes.find_codes(conn, user.sub)
    return {
        "password_changed_at": user.password_changed_at,
        "authenticator_apps": [_dated(one.name, one.created_at, one.last_used_at) for one in apps],
        "passkeys": [_dated(one.name, one.created_at, one.last_used_at) for one in keys],
        "recovery_codes": {"created_at": codes.created_at, "total": codes.total, "left": codes.left} if codes else None,
    }


def _dated(name: str, created_at: datetime, last_used_at: datetime | None) -> Values:
    return {"name": name, "created_at": created_at, "last_used_at": last_used_at}


def _session(session: Session) -> Values:
    return {
        "created_at": session.created_at,
        "seen_at": session.seen_at,
        "expires_at": session.expires_at,
        "address": session.address,
        "user_agent": session.user_agent,
    }


def _app(app: ConnectedApp) -> Values:
    return {
        "client_id": app.client_id,
        "name": app.name,
        "scope": list(app.scope),
        "since": app.since,
        "last_used_at": app.last_used_at,
    }


def _activity(acts: Iterable[Activity]) -> list[Values]:
    return [
        {
            "at": one.event.at,
            "event": one.event.event,
            "by": one.event.actor,
            "client_id": one.event.client_id,
            "address": one.event.address,
            "user_agent": one.user_agent,
        }
        for one in acts
    ]
