"""``/account/password/remove``: from then on the passkey alone signs in."""

from dataclasses import replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.freshness import STEP_UP_LIFE
from idp.oauth.errors import PageError
from idp.store.database import Connection
from idp.store.sessions import forget_shown
from idp.store.users import remove_password
from idp.store.webauthn_credentials import rely_on
from idp.web.account.owner import WAYS, Owner, find_changer, under_new_secret
from idp.web.account.sessions import sign_out_elsewhere
from idp.web.answers import see_other
from idp.web.forms import read_page_form
from idp.web.notices import notify_user
from idp.web.provider import moment, transacted
from idp.web.trail import note
from idp.web.trust import keep_browser

REMOVE = "/account/password/remove"


def passkeys_alone(owner: Owner) -> int:
    """How many passkeys the owner has that sign in alone."""
    return sum(one.begins_alone for one in owner.enrolled)


def shows_passkey(owner: Owner, now: datetime) -> bool:
    """Whether the owner has such a passkey at hand: it was used in this session a short time ago."""
    alone = {one.credential_id for one in owner.enrolled if one.begins_alone}
    return any(
        one.credential_id in alone and one.user_verified and one.at >= now - STEP_UP_LIFE
        for one in owner.session.evidence
    )


async def remove(request: Request) -> Response:
    """Remove the password of an owner who has just shown a passkey that does without it."""
    form, now = await read_page_form(request), moment(request)

    async def step(conn: Connection) -> Response:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        sub, session_id = owner.user.sub, owner.session.id
        if not shows_passkey(owner, now) or not await remove_password(conn, sub, now):
            raise PageError("not_found", status=404)
        await rely_on(conn, sub)
        # A password that is gone is no second factor beside a key that does not verify its user.
        await forget_shown(conn, sub, "password")
        kept = tuple(one for one in owner.session.evidence if one.method != "password")
        owner = replace(owner, session=replace(owner.session, evidence=kept))
        await note(request, conn, "password_removed", sub=sub, session_id=session_id)
        await notify_user(request, conn, owner.user, "password_removed")
        if "end_others" in form:
            await sign_out_elsewhere(request, conn, owner)
        await keep_browser(request, conn, owner.user)
        return await under_new_secret(request, conn, owner, see_other(WAYS))

    return await transacted(request, step)
