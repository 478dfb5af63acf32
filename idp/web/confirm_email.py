"""``/confirm-email``: the page behind the link that confirms an address, signed in or not; it signs nobody in."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from idp.base.text import say
from idp.model.mail_link import MailLink
from idp.model.user import User
from idp.store.database import Connection, transaction
from idp.store.mail_links import consume_link
from idp.store.users import EmailTaken, find_user, get_user, lock_claimants, update_proved_email
from idp.web.answers import page, see_other
from idp.web.flow import bind, current_session
from idp.web.forms import read_page_form
from idp.web.mail_link import RESET_LIFE, get_opened, gone
from idp.web.notices import notify_user, write_to
from idp.web.pages import DonePage, LinkPage, Person
from idp.web.provider import moment, provider_of, transacted
from idp.web.recover.clearing import clear_all
from idp.web.recover.recovery import begin_recovery
from idp.web.recover.second_step import NEW_PASSWORD
from idp.web.verification import PATH, end_claims

ACCOUNT = (say("Your account"), "/account")
SIGN_IN_FIRST = (say("Sign in first"), "/login")
CLEARS = say(
    "You are not signed in to it here. If you go on, its password and all that was added to it are removed, and you "
    "choose a new password: someone else may have created the account with your address. To keep everything, sign in "
    "first and then open this link again in the same browser."
)


async def show(request: Request) -> Response:
    """Which address is to belong to which account, and a button; looking confirms nothing, whoever looks."""
    secret = request.query_params.get("link", "")
    async with transaction(provider_of(request).pool) as conn:
        link = await get_opened(request, conn, secret, "verify_email")
        user = await _open_account(request, conn, link)
        clears = await _clears(request, conn, user)
    text = say("%(address)s was given for this account. Confirm it only if the account is yours.", address=link.email)
    content = LinkPage(
        say("Confirm your e-mail address"), Person(user.username), text, PATH, secret, say("Confirm address")
    )
    return page(request, replace(content, warning=CLEARS, onward=SIGN_IN_FIRST) if clears else content)


async def submit(request: Request) -> Response:
    """Take the link, and let the address be the account's; whoever merely claimed it has it no more (A-72)."""
    form = await read_page_form(request)

    async def step(conn: Connection) -> Response:
        found = await get_opened(request, conn, form.get("link", ""), "verify_email")
        await lock_claimants(conn, found.email_canonical, sub=found.sub)
        link = await consume_link(conn, found.digest, "verify_email", now=moment(request))
        if link is None:
            raise gone(request)
        user = await _open_account(request, conn, link)
        clears = await _clears(request, conn, user)
        try:
            await update_proved_email(conn, user.sub, link.email, link.email_canonical, moment(request))
        except EmailTaken:
            return _taken(request, link)
        await _settle(request, conn, user, link)
        if not clears:
            return see_other(f"{PATH}/done")
        await clear_all(request, conn, user)
        interaction, browser = await begin_recovery(request, conn, await _renewed(request, conn, link))
        return bind(see_other(f"{PATH}/done?interaction={interaction}"), provider_of(request), browser)

    return await transacted(request, step)


async def done(request: Request) -> Response:
    """What was done, and the way to a new password where the account was cleared."""
    title, interaction = say("Your e-mail address is confirmed"), request.query_params.get("interaction", "")
    if not (interaction.isascii() and interaction.isalnum()):
        text = say("Mail about your account goes to this address from now on.")
        return page(request, DonePage(title, text, None, ACCOUNT))
    text = say("What was set up in the account before is removed. Choose a password to sign in with.")
    onward = (say("Choose a password"), f"{NEW_PASSWORD}?interaction={interaction}")
    return page(request, DonePage(title, text, None, onward))


async def _clears(request: Request, conn: Connection, user: User) -> bool:
    """Whether the confirmation ends what is there: the account's first, by somebody who is not signed in to it here.

    Anybody can register with somebody else's address, and wait until it is confirmed (A-72). Whoever is signed in has
    shown that the account is theirs, and so is the mailbox.
    """
    session = await current_session(request, conn, touch=False)
    return not user.email_verified and (session is None or session.sub != user.sub)


async def _renewed(request: Request, conn: Connection, link: MailLink) -> MailLink:
    """The link as if it had just been sent for a new password: its mailbox was opened a moment ago."""
    user = await get_user(conn, link.sub)
    return replace(link, generation=user.generation, expires_at=moment(request) + RESET_LIFE)


async def _open_account(request: Request, conn: Connection, link: MailLink) -> User:
    user = await find_user(conn, link.sub)
    if user is None or user.disabled_at is not None:
        raise gone(request)
    return user


async def _settle(request: Request, conn: Connection, user: User, link: MailLink) -> None:
    """What a proof of an address brings with it: for this account, and for those that have claimed it."""
    former = user.email if user.email_verified else None
    await end_claims(request, conn, user.sub, link.email_canonical)
    if former is None or former == link.email:
        return
    await write_to(request, conn, former, user, "email_changed", email=link.email)
    await notify_user(
        request, conn, replace(user, email=link.email, email_verified=True), "email_changed", email=link.email
    )


def _taken(request: Request, link: MailLink) -> Response:
    """Said to somebody who has the mailbox, and so need not be told that the address is theirs."""
    text = say(
        "%(address)s is confirmed for another account already. Sign in with that one, or remove it there first.",
        address=link.email,
    )
    return page(request, DonePage(say("This address is in use"), text, None, ACCOUNT, icon="alert"), status=409)
