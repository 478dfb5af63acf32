"""``/account/email``: the address of the account, to confirm, change or remove it."""

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import Email, parse_email
from idp.authn.policy import BY_MAIL
from idp.base.text import say
from idp.store.database import Connection, transaction
from idp.store.mail_links import find_link_of, revoke_links
from idp.store.users import remove_email
from idp.web.account.owner import Owner, find_changer, find_owner, to_login
from idp.web.answers import page, see_other
from idp.web.forms import read_page_form
from idp.web.notices import notify_user
from idp.web.pages import DonePage, EmailPage, Fault, Person
from idp.web.provider import moment, provider_of, transacted
from idp.web.trail import note
from idp.web.trust import keep_browser
from idp.web.verification import may_send, send_link

EMAIL = "/account/email"


async def show(request: Request) -> Response:
    """The address, and the one that waits to be confirmed."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        return await _page(request, conn, owner)


async def change(request: Request) -> Response:
    """Ask the new address whose it is; until a link that goes there is opened, nothing changes but that it is known."""
    form, provider = await read_page_form(request), provider_of(request)
    typed = form.get("email", "").strip()
    address = parse_email(typed)
    async with transaction(provider.pool) as conn:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        if address is None:
            return await _page(request, conn, owner, Fault.of("email_invalid", "email"), typed)
    if owner.user.email_verified and owner.user.email == address.shown:
        return see_other(EMAIL)
    granted = await may_send(request, address, owner.user.sub)

    async def step(conn: Connection) -> Response:
        found = await find_changer(request, conn)
        if isinstance(found, Response):
            return found
        if granted:
            await _ask(request, conn, found, address)
        return _sent(request, address)

    return await transacted(request, step)


async def send_again(request: Request) -> Response:
    """One more link to the address that waits; beyond the limit the answer is the same."""
    await read_page_form(request)
    provider = provider_of(request)
    async with transaction(provider.pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        address = await waiting_address(request, conn, owner)
    if address is None:
        return see_other("/account")
    granted = await may_send(request, address, owner.user.sub)

    async def step(conn: Connection) -> Response:
        found = await find_owner(request, conn)
        if found is None:
            return await to_login(request, conn)
        if granted:
            await send_link(request, conn, found.user, address)
        return _sent(request, address)

    return await transacted(request, step)


async def remove(request: Request) -> Response:
    """Let the account have no address, unless it signs in with codes that go there."""
    await read_page_form(request)

    async def step(conn: Connection) -> Response:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        user = owner.user
        if {one.method for one in owner.second_factors} == {BY_MAIL}:
            return await _page(request, conn, owner, Fault.of("email_needed"))
        await revoke_links(conn, user.sub, "verify_email")
        await revoke_links(conn, user.sub, "reset_password")
        if user.email is not None:
            await remove_email(conn, user.sub, moment(request))
            await keep_browser(request, conn, user)
            await note(request, conn, "email_removed", sub=user.sub, session_id=owner.session.id)
            await notify_user(request, conn, user, "email_removed", email=user.email)
        return see_other(EMAIL)

    return await transacted(request, step)


async def waiting_address(request: Request, conn: Connection, owner: Owner) -> Email | None:
    """The address that the owner has given and not confirmed, if any."""
    link = await find_link_of(conn, owner.user.sub, "verify_email", now=moment(request))
    if link is not None:
        return Email(link.email, link.email_canonical)
    return None if owner.user.email_verified else parse_email(owner.user.email or "")


async def _ask(request: Request, conn: Connection, owner: Owner, address: Email) -> None:
    await note(request, conn, "email_change_requested", sub=owner.user.sub, session_id=owner.session.id)
    await send_link(request, conn, owner.user, address)
    await notify_user(request, conn, owner.user, "email_change_requested", email=address.shown)


def _sent(request: Request, address: Email) -> Response:
    text = say(
        "A link is on its way to %(address)s. Open it within 24 hours to confirm that the address is yours.",
        address=address.shown,
    )
    advice = say("Nothing there after a few minutes? Look among the unwanted mail, or check the address.")
    onward = (say("Your account"), "/account")
    return page(request, DonePage(say("Look into your mailbox"), text, advice, onward, icon="mail"))


async def _page(
    request: Request, conn: Connection, owner: Owner, fault: Fault | None = None, typed: str = ""
) -> Response:
    user, waiting = owner.user, await waiting_address(request, conn, owner)
    content = EmailPage(
        Person(user.username),
        confirmed=user.email if user.email_verified else None,
        waiting=waiting.shown if waiting else None,
        typed=typed[:320],
        fault=fault,
    )
    return page(request, content, status=400 if fault else 200)
