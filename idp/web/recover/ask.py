"""``/recover``: to ask for a new password. Whatever was typed, the answer is the same (A-49)."""

import logging
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import canonical_login
from idp.authn.methods import authenticators
from idp.authn.policy import has_passkey_alone
from idp.authn.throttle import recovery_limits, subject_of_name
from idp.base.entropy import token
from idp.base.text import say
from idp.store.database import Connection, Unavailable, transaction
from idp.store.mail_links import create_link
from idp.store.users import find_by_login, find_user
from idp.web.answers import page, see_other
from idp.web.forms import read_page_form
from idp.web.limits import is_within
from idp.web.mail_link import RESET_LIFE, address_of_link, new_link
from idp.web.notices import notify_user
from idp.web.pages import DonePage, RecoverPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.source import source_of
from idp.web.trail import note, note_refusal

_LOG = logging.getLogger(__name__)


async def show(request: Request) -> Response:
    """The form."""
    return page(request, RecoverPage())


async def submit(request: Request) -> Response:
    """Write to the owner of the account that was named, if there is one with an address that it has proved.

    Before the answer the same is done for every name, and the mail is written at some moment after it: neither the text
    nor the time of this answer, or of the next one, tells who has an account.
    """
    form, provider = await read_page_form(request), provider_of(request)
    canonical = canonical_login(form.get("username", ""))
    async with transaction(provider.pool) as conn:
        user = await find_by_login(conn, canonical) if canonical is not None else None
        source = await source_of(request, conn, user.sub if user else None)
    subject = user.sub if user else subject_of_name(canonical, provider.tools.master_key)
    if not await is_within(request, recovery_limits(subject, source)):
        whose = user.sub if user else None
        await note_refusal(request, "recovery_held_back", sub=whose, error="recovery_throttled")
    elif user is not None:
        provider.later.do(partial(_write_if_possible, request, user.sub))
    return see_other("/recover/sent")


async def sent(request: Request) -> Response:
    """What everybody is told."""
    return page(
        request,
        DonePage(
            say("Look into your mailbox"),
            say(
                "If there is an account with that name and a confirmed e-mail address, a link to choose a new password "
                "is on its way there. It works for one hour."
            ),
            say("Nothing there after a few minutes? Look among the unwanted mail, or check what you have typed."),
            (say("Back to the sign-in"), "/login"),
            icon="mail",
        ),
    )


async def _write_if_possible(request: Request, sub: str) -> None:
    try:
        await _write(request, sub)
    except Unavailable as error:
        _LOG.warning("a link for a new password was not sent: %s", error)


async def _write(request: Request, sub: str) -> None:
    """Keep the link and its mail; nothing for an account that is shut, or whose address is a mere claim (A-72)."""
    provider = provider_of(request)

    async def step(conn: Connection) -> None:
        user = await find_user(conn, sub)
        address = address_of_link(user) if user else None
        if user is None or address is None:
            return
        await note(request, conn, "recovery_started", actor="anonymous", sub=user.sub)
        if has_passkey_alone(await authenticators(conn, user, off=provider.tools.off)):
            await notify_user(request, conn, user, "recovery_by_passkey")
            return
        secret = token(provider.entropy)
        await create_link(conn, new_link(secret, "reset_password", user, address, moment(request)))
        url = f"{provider.issuer}/recover/password?link={secret}"
        await notify_user(request, conn, user, "reset_password", life=RESET_LIFE, link=url)

    await transacted(request, step)
