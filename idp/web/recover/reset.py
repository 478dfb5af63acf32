"""``/recover/password``: the page behind the link, and ``/recover/new-password``: the new password."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import PASSWORD_SHORTEST, PASSWORD_SHORTEST_ALONE, password_fault
from idp.authn.throttle import mail_arrived, subjects_of
from idp.base.text import say
from idp.store.attempts import remove_tallies
from idp.store.database import Connection, transaction
from idp.store.interactions import consume_interaction
from idp.store.sessions import end_sessions_of
from idp.store.users import hold, lock, update_password
from idp.web.answers import page, see_other
from idp.web.breached import is_breached
from idp.web.flow import bind
from idp.web.forms import read_page_form
from idp.web.mail_link import get_opened, gone
from idp.web.notices import notify_user
from idp.web.pages import DonePage, Fault, LinkPage, NewPasswordPage, Person
from idp.web.provider import moment, provider_of, transacted
from idp.web.recover.recovery import Recovery, begin_recovery, get_recovery, get_resettable
from idp.web.recover.second_step import NEW_PASSWORD, step_page
from idp.web.trail import note
from idp.web.trust import forget_browsers

LINK = "/recover/password"


async def show_link(request: Request) -> Response:
    """What the link is for, and a button; the link is not used up by looking, whoever looks."""
    secret = request.query_params.get("link", "")
    async with transaction(provider_of(request).pool) as conn:
        link = await get_opened(request, conn, secret, "reset_password")
        user, _ = await get_resettable(request, conn, link.sub)
    text = say("You asked for a new password. When you have chosen it, you are signed out everywhere.")
    return page(
        request, LinkPage(say("Choose a new password"), Person(user.username), text, LINK, secret, say("Continue"))
    )


async def open_link(request: Request) -> Response:
    """Begin the reset in this browser, where alone it can be finished, under an address without the link."""
    form, provider = await read_page_form(request), provider_of(request)

    async def step(conn: Connection) -> Response:
        link = await get_opened(request, conn, form.get("link", ""), "reset_password")
        await hold(conn, link.sub)
        await get_resettable(request, conn, link.sub)
        interaction_id, browser = await begin_recovery(request, conn, link)
        return bind(see_other(f"{NEW_PASSWORD}?interaction={interaction_id}"), provider, browser)

    return await transacted(request, step)


async def show(request: Request) -> Response:
    """The form for the new password, or first the second factor where the account has one."""
    async with transaction(provider_of(request).pool) as conn:
        recovery = await get_recovery(request, conn)
        if not recovery.is_proved:
            return see_other(f"/recover/step?{recovery.here}")
    return _page(request, recovery)


async def submit(request: Request) -> Response:
    """Set the password, end all sessions and whatever else was begun: all of it or nothing.

    No transaction is open while the password is hashed; so the last one looks again at what the first one has seen.
    """
    form, provider = await read_page_form(request), provider_of(request)
    password = form.get("password", "")
    async with transaction(provider.pool) as conn:
        recovery = await get_recovery(request, conn)
        if not recovery.is_proved:
            return await step_page(request, conn, recovery, status=403)
    if fault := _fault(request, recovery, password):
        return _page(request, recovery, fault)
    if await is_breached(request, password):
        return _page(request, recovery, Fault.of("password_known", "password"))
    password_hash = await provider.tools.hasher.hash(password)

    async def step(conn: Connection) -> Response:
        await lock(conn, recovery.user.sub)
        found = await get_recovery(request, conn)
        if not found.is_proved:
            return await step_page(request, conn, found, status=403)
        await _reset(request, conn, found, password_hash)
        return see_other("/recover/done")

    return await transacted(request, step)


async def done(request: Request) -> Response:
    """What was done, and the way to the sign-in: a link by mail gives no session (A-34)."""
    text = say("You were signed out everywhere. Sign in with your new password now.")
    return page(request, DonePage(say("Your password is changed"), text, None, (say("Sign in"), "/login")))


async def _reset(request: Request, conn: Connection, recovery: Recovery, password_hash: str) -> None:
    user, now = recovery.user, moment(request)
    if not await consume_interaction(conn, recovery.interaction.id, now=now):
        raise gone(request)
    # With that the generation is another: neither the link nor any other reset under way is worth anything.
    await update_password(conn, user.sub, password_hash, now)
    # Who had to reset may have lost more than a memory: what apps hold for offline use ends as well.
    sessions = await end_sessions_of(conn, user.sub, now)
    await forget_browsers(request, conn, user.sub)
    # Whoever has forgotten a password has guessed at it: the new one is not held back for that.
    for subject in subjects_of(user, provider_of(request).tools.master_key):
        await remove_tallies(conn, subject, factor="password")
    await mail_arrived(conn, user.sub)
    await note(request, conn, "password_reset", sub=user.sub, sessions=sessions)
    await notify_user(request, conn, user, "password_reset")


def _shortest(recovery: Recovery) -> int:
    return PASSWORD_SHORTEST if recovery.asked else PASSWORD_SHORTEST_ALONE


def _fault(request: Request, recovery: Recovery, password: str) -> Fault | None:
    provider, user, shortest = provider_of(request), recovery.user, _shortest(recovery)
    context = (provider.operator, urlsplit(provider.issuer).hostname or "", user.username, user.email or "")
    cause = password_fault(password, context=context, shortest=shortest)
    return Fault.of(cause, "password", minimum=shortest) if cause else None


def _page(request: Request, recovery: Recovery, fault: Fault | None = None) -> Response:
    action = f"{NEW_PASSWORD}?{recovery.here}"
    content = NewPasswordPage(Person(recovery.user.username), action, _shortest(recovery), fault)
    return page(request, content, status=400 if fault else 200)
