"""Whether an address is really somebody's: asked by a link that is sent there. No answer of ours tells who has it."""

from starlette.requests import Request

from idp.authn.accounts import Email
from idp.authn.throttle import VERIFICATION, subject_of_name, verification_limits
from idp.base.entropy import token
from idp.model.attempt import Source
from idp.model.user import User
from idp.store.attempts import remove_tallies
from idp.store.database import Connection
from idp.store.mail_links import create_link, revoke_links_to
from idp.store.users import find_by_proved_email, release_email
from idp.web.limits import is_within
from idp.web.mail_link import VERIFY_LIFE, new_link
from idp.web.notices import write_to
from idp.web.provider import moment, provider_of
from idp.web.source import address_of, network_of
from idp.web.trail import note, note_refusal

PATH = "/confirm-email"


async def may_send(request: Request, address: Email, sub: str | None) -> bool:
    """Whether this address may be written to once more now; counted for it, whatever the account that asks.

    ``sub`` is that account, None where it is only just being made.
    """
    source, master = Source(network_of(address_of(request))), provider_of(request).tools.master_key
    limits = verification_limits(address.canonical, source, master)
    granted = await is_within(request, limits)
    if not granted:
        await note_refusal(request, "email_link_held_back", sub=sub, error="email_link_throttled")
    return granted


async def send_link(request: Request, conn: Connection, user: User, address: Email) -> None:
    """Keep a mail to the address that asks whose it is, or tells its owner that somebody else has claimed it (A-49).

    The link is made in either case: the account that asked looks the same, and so does the time that it takes.
    """
    provider, now, secret = provider_of(request), moment(request), token(provider_of(request).entropy)
    owner = await find_by_proved_email(conn, address.canonical)
    await create_link(conn, new_link(secret, "verify_email", user, address, now))
    await note(request, conn, "email_link_sent", sub=user.sub)
    if owner is not None and owner.sub != user.sub:
        await write_to(request, conn, owner.email or address.shown, owner, "email_in_use", life=VERIFY_LIFE)
        return
    url = f"{provider.issuer}{PATH}?link={secret}"
    await write_to(request, conn, address.shown, user, "verify_email", life=VERIFY_LIFE, email=address.shown, link=url)


async def end_claims(request: Request, conn: Connection, sub: str, canonical: str) -> None:
    """What a proof of an address brings with it, beside the address itself: whoever merely claimed it has it no more.

    The mails that asked whose it is begin to be counted anew.
    """
    await revoke_links_to(conn, canonical, but=sub)
    for other in await release_email(conn, canonical, moment(request), but=sub):
        await note(request, conn, "email_released", actor="system", sub=other)
    await note(request, conn, "email_confirmed", sub=sub)
    await remove_tallies(conn, subject_of_name(canonical, provider_of(request).tools.master_key), factor=VERIFICATION)
