"""``/account/recovery-codes``: how many are left, and a new set of them."""

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.methods.recovery import make_codes
from idp.base.text import Day, Phrase, say
from idp.model.credential import RecoveryCodes
from idp.oauth.errors import PageError
from idp.store.attempts import remove_tallies
from idp.store.database import Connection, transaction
from idp.store.recovery_codes import find_codes, replace_codes
from idp.web.account.owner import Owner, find_changer, find_owner, to_login, under_new_secret
from idp.web.answers import page
from idp.web.forms import read_page_form
from idp.web.notices import notify_user
from idp.web.pages import NewCodesPage, Person, RecoveryCodesPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.trail import note

CODES = "/account/recovery-codes"


async def show(request: Request) -> Response:
    """How many codes are left, and of when."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        codes = await find_codes(conn, owner.user.sub)
    made = Day(codes.created_at) if codes else None
    left, total = (codes.left, codes.total) if codes else (0, 0)
    return page(request, RecoveryCodesPage(left, total, made, offered=bool(owner.second_factors)))


async def renew(request: Request) -> Response:
    """Make a new set, and show it in this very answer: no redirect, so that the codes are kept nowhere in the clear.

    The browser asks before it sends the form anew; then there is one more new set.
    """
    await read_page_form(request)
    provider = provider_of(request)
    async with transaction(provider.pool) as conn:
        owner = await _find_renewer(request, conn)
    if isinstance(owner, Response):
        return owner
    codes = await make_codes(provider.tools)

    async def step(conn: Connection) -> Response:
        # What was right before the hashing need not be so any more.
        owner = await _find_renewer(request, conn)
        if isinstance(owner, Response):
            return owner
        sub, now = owner.user.sub, moment(request)
        await replace_codes(conn, sub, codes.salt, codes.hashes, now)
        await remove_tallies(conn, sub, factor="recovery")
        await note(request, conn, "recovery_codes_renewed", sub=sub, session_id=owner.session.id)
        await notify_user(request, conn, owner.user, "recovery_codes_renewed")
        content = NewCodesPage(Person(owner.user.username), codes.shown, Day(now))
        return await under_new_secret(request, conn, owner, page(request, content))

    return await transacted(request, step)


async def _find_renewer(request: Request, conn: Connection) -> Owner | Response:
    """The owner, if they may make codes now; without a second factor there is nothing that these could stand in for."""
    owner = await find_changer(request, conn)
    if isinstance(owner, Owner) and not owner.second_factors:
        raise PageError("no_second_factor", status=403)
    return owner


def left(codes: RecoveryCodes | None) -> Phrase:
    """How many recovery codes there are, in a few words."""
    return say("%(left)s of %(total)s left", left=codes.left, total=codes.total) if codes else say("None yet")
