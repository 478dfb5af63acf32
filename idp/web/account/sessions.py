"""``/account/sessions``: the browsers in which one is signed in, to end one of them or all others."""

from starlette.requests import Request
from starlette.responses import Response

from idp.model.session import Session
from idp.oauth.errors import PageError
from idp.store.database import Connection, transaction
from idp.store.known_devices import forget_devices
from idp.store.sessions import end_session, end_sessions_of, list_live
from idp.web import cookies
from idp.web.account.owner import Owner, find_owner, to_login
from idp.web.answers import page, see_other
from idp.web.forms import read_page_form
from idp.web.notices import browser_of
from idp.web.pages import Device, SessionsPage
from idp.web.provider import moment, provider_of
from idp.web.steps import step_of
from idp.web.trail import note

DEVICES = "/account/sessions"


async def show(request: Request) -> Response:
    """All browsers in which the account is signed in, this one first."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        live = await sessions_of(request, conn, owner)
    devices = [_device(one, owner) for one in live]
    devices.sort(key=lambda one: not one.current)
    return page(request, SessionsPage(tuple(devices)))


async def end(request: Request) -> Response:
    """End one session of the owner's; nobody else's is there (A-74)."""
    await read_page_form(request)
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        wanted = request.path_params["id"]
        if wanted not in {one.id for one in await sessions_of(request, conn, owner)}:
            raise PageError("not_found", status=404)
        await end_session(conn, wanted, now=moment(request))
        await note(request, conn, "session_ended", sub=owner.user.sub, session_id=owner.session.id, ended=wanted)
    if wanted != owner.session.id:
        return see_other(DEVICES)
    response = see_other("/signed-out")
    cookies.clear(response, provider_of(request), "session")
    return response


async def end_others(request: Request) -> Response:
    """End all sessions of the owner's but this one."""
    await read_page_form(request)
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        await sign_out_elsewhere(request, conn, owner)
    return see_other(DEVICES)


async def sign_out_elsewhere(request: Request, conn: Connection, owner: Owner) -> None:
    """End the owner's other sessions with their tokens, and know none of the other browsers any more."""
    sub, here = owner.user.sub, owner.session.id
    count = await end_sessions_of(conn, sub, moment(request), but=here)
    await forget_devices(conn, sub, but=cookies.read(request, provider_of(request), "device"))
    await note(request, conn, "sessions_ended", sub=sub, session_id=here, count=count)


async def sessions_of(request: Request, conn: Connection, owner: Owner) -> tuple[Session, ...]:
    """The owner's live sessions."""
    idle = provider_of(request).lifetimes.session_idle
    return await list_live(conn, owner.user.sub, now=moment(request), idle=idle)


def _and(words: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _device(session: Session, owner: Owner) -> Device:
    agent, current = session.user_agent or "", session.id == owner.session.id
    browser = browser_of(agent)
    used = dict.fromkeys(step_of(one.method).used for one in sorted(session.evidence, key=lambda one: one.at))
    facts = (
        session.address or "Address unknown",
        f"signed in {session.created_at:%-d %B, %H:%M} UTC with {_and(tuple(used))}",
        "active now" if current else f"last active {session.seen_at:%-d %B, %H:%M} UTC",
    )
    name = f"{browser[:1].upper()}{browser[1:]}" if agent else "Unknown browser"
    icon = "phone" if any(word in agent for word in ("Mobile", "Android", "iPhone")) else "laptop"
    return Device(session.id, name, icon, facts, current=current)
