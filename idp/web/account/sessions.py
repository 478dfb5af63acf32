"""``/account/sessions``: the browsers in which one is signed in, to end one of them or all others."""

from starlette.requests import Request
from starlette.responses import Response

from idp.base.text import Day, Listing, Moment, Phrase, say
from idp.model.session import Session
from idp.model.trusted_device import TrustedDevice
from idp.oauth.errors import PageError
from idp.store.database import Connection, transaction
from idp.store.known_devices import list_trusted
from idp.store.sessions import count_live, end_other_sessions, end_session, list_live
from idp.web import cookies
from idp.web.account.owner import Owner, find_owner, to_login
from idp.web.answers import page, see_other
from idp.web.forms import read_page_form
from idp.web.notices import browser_of
from idp.web.pages import Device, SessionsPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.steps import step_of
from idp.web.trail import note
from idp.web.trust import distrust, forget_browsers, keep_browser

DEVICES = "/account/sessions"
MOST_SHOWN = 100
"""So many browsers, the ones used last, are on the page."""


async def show(request: Request) -> Response:
    """The browsers in which the account is signed in, this one first."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        live = await sessions_of(request, conn, owner, limit=MOST_SHOWN + 1)
        here = cookies.read(request, provider_of(request), "device")
        trusted = await list_trusted(conn, owner.user.sub, now=moment(request), here=here)
    others = [one for one in live if one.id != owner.session.id]
    shown = (owner.session, *others[: MOST_SHOWN - 1])
    devices = tuple(_device(one, owner) for one in shown)
    more = len(others) + 1 > len(shown)
    return page(request, SessionsPage(devices, tuple(map(_trusted, trusted)), more=more))


async def ask_again(request: Request) -> Response:
    """Trust one browser of the owner's no more, or none: the second step is asked for there again."""
    await read_page_form(request)

    async def step(conn: Connection) -> Response:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        await distrust(request, conn, owner.user.sub, owner.session.id, trust_id=request.path_params.get("id"))
        return see_other(DEVICES)

    return await transacted(request, step)


async def end(request: Request) -> Response:
    """End one session of the owner's; nobody else's is there (A-74)."""
    await read_page_form(request)

    async def step(conn: Connection) -> Response:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        wanted = request.path_params["id"]
        if not await count_sessions_of(request, conn, owner, id_=wanted):
            raise PageError("not_found", status=404)
        await end_session(conn, wanted, now=moment(request))
        await note(request, conn, "session_ended", sub=owner.user.sub, session_id=owner.session.id, ended=wanted)
        if wanted != owner.session.id:
            return see_other(DEVICES)
        response = see_other("/signed-out")
        cookies.clear(response, provider_of(request), "session")
        return response

    return await transacted(request, step)


async def end_others(request: Request) -> Response:
    """End all sessions of the owner's but this one."""
    await read_page_form(request)

    async def step(conn: Connection) -> Response:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        await sign_out_elsewhere(request, conn, owner)
        return see_other(DEVICES)

    return await transacted(request, step)


async def sign_out_elsewhere(request: Request, conn: Connection, owner: Owner) -> None:
    """End the owner's other sessions and grants, and all that was begun; know none of the other browsers any more."""
    sub, here = owner.user.sub, owner.session.id
    count = await end_other_sessions(conn, sub, moment(request), but=here)
    await keep_browser(request, conn, owner.user)
    await forget_browsers(request, conn, sub, here, but=cookies.read(request, provider_of(request), "device"))
    await note(request, conn, "sessions_ended", sub=sub, session_id=here, count=count)


async def sessions_of(
    request: Request, conn: Connection, owner: Owner, *, limit: int | None = None
) -> tuple[Session, ...]:
    """The owner's live sessions, the ones used last."""
    idle = provider_of(request).lifetimes.session_idle
    return await list_live(conn, owner.user.sub, now=moment(request), idle=idle, limit=limit)


async def count_sessions_of(request: Request, conn: Connection, owner: Owner, *, id_: str | None = None) -> int:
    """How many these are; with an id, whether it is that of one of them."""
    idle = provider_of(request).lifetimes.session_idle
    return await count_live(conn, owner.user.sub, now=moment(request), idle=idle, id_=id_)


def _trusted(device: TrustedDevice) -> Device:
    agent = device.user_agent or ""
    name = browser_of(agent) if agent else say("Unknown browser")
    until = say("Trusted until %(day)s", day=Day(device.until, year=False))
    return Device(device.id, name, _icon(agent), (until,), current=device.here)


def _device(session: Session, owner: Owner) -> Device:
    agent, current = session.user_agent or "", session.id == owner.session.id
    used = dict.fromkeys(one.method for one in sorted(session.evidence, key=lambda one: one.at))
    ways, began = Listing(tuple(step_of(method).used for method in used)), Moment(session.created_at, year=False)
    facts: tuple[Phrase, ...] = (
        session.address or say("Address unknown"),
        say("signed in %(time)s with %(ways)s", time=began, ways=ways),
        say("active now") if current else say("last active %(time)s", time=Moment(session.seen_at, year=False)),
    )
    name = browser_of(agent) if agent else say("Unknown browser")
    return Device(session.id, name, _icon(agent), facts, current=current)


def _icon(agent: str) -> str:
    return "phone" if any(word in agent for word in ("Mobile", "Android", "iPhone")) else "laptop"
