"""What an account signs in with is taken from it: it was lost, or somebody else may have put it there."""

from starlette.requests import Request

from idp.authn.methods import METHODS, Factor, authenticators, find_method
from idp.authn.throttle import Guessing
from idp.model.user import User
from idp.store.attempts import remove_tallies
from idp.store.consents import revoke_consents_of
from idp.store.database import Connection
from idp.store.recovery_codes import remove_codes
from idp.store.sessions import end_sessions_of
from idp.store.users import clear_password
from idp.web.notices import notify_user
from idp.web.provider import moment
from idp.web.text_notices import text_user
from idp.web.trail import note
from idp.web.trust import forget_browsers


async def clear_factors(request: Request, conn: Connection, user: User) -> None:
    """Let the account, which is locked, have its password alone, and nobody be signed in to it any more."""
    removed = await _remove_possessions(conn, user)
    # What was guessed at the lost ones counts no more against those that take their place, nor against codes by mail,
    # which the mailbox has just stood for: switched off, they would keep the owner out for good.
    for method in METHODS:
        if method.guessing is Guessing.BEHIND_A_STEP:
            await remove_tallies(conn, user.sub, factor=method.name)
    sessions = await end_sessions_of(conn, user.sub, moment(request))
    await forget_browsers(request, conn, user.sub)
    await note(request, conn, "factor_recovery_done", sub=user.sub, methods=removed, sessions=sessions)
    await notify_user(request, conn, user, "factor_recovery_done")
    # The number that was a second factor is told too, although it is none any more.
    await text_user(request, conn, user, "factor_recovery_done")


async def clear_all(request: Request, conn: Connection, user: User) -> None:
    """Let nothing stay of what was there before the owner of its address came: whoever was first may be a stranger.

    The account has to be locked. Its name and profile stay, and so does the trail; nobody is signed in to it any more,
    and nobody can be before a new password was chosen (A-72, A-76).
    """
    removed = await _remove_possessions(conn, user)
    if await clear_password(conn, user.sub, moment(request)):
        removed.append("password")
    for method in METHODS:
        await remove_tallies(conn, user.sub, factor=method.name)
    await revoke_consents_of(conn, user.sub)
    sessions = await end_sessions_of(conn, user.sub, moment(request))
    await forget_browsers(request, conn, user.sub)
    await note(request, conn, "account_cleared", sub=user.sub, methods=removed, sessions=sessions)


async def _remove_possessions(conn: Connection, user: User) -> list[str]:
    """Remove all that the user has to sign in with; answers the methods."""
    removed: list[str] = []
    # What this installation has switched off goes as well: it must not come back when it is switched on.
    for one in await authenticators(conn, user):
        method = find_method(one.method)
        if method is None or method.remove is None or method.factor is not Factor.POSSESSION:
            continue
        await method.remove(conn, user.sub, one.credential_id or "")
        removed.append(one.method)
    if await remove_codes(conn, user.sub):
        removed.append("recovery")
    return removed
