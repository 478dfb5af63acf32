"""Browsers that stand in for a second step, as their owners have said."""

from starlette.requests import Request

from idp.authn.policy import is_backup_method, is_waivable, shows_more_than_mail
from idp.base.entropy import identifier
from idp.base.text import Day
from idp.model.session import Session
from idp.model.user import User
from idp.store.database import Connection
from idp.store.known_devices import end_trust, forget_devices, keep_known, trust_device
from idp.web import cookies
from idp.web.notices import notify_user
from idp.web.provider import moment, provider_of
from idp.web.source import user_agent_of
from idp.web.standing import Standing
from idp.web.trail import note


def trust_days(request: Request, standing: Standing) -> int | None:
    """For how many days this browser may be trusted after the step that is asked for now; None if it may not."""
    offered = bool(standing.evidence) and not standing.outlook.met and is_waivable(standing.requirement)
    return provider_of(request).trust_life.days or None if offered else None


def may_trust(request: Request, standing: Standing, method: str) -> bool:
    """Whether a proof by this method lets the browser be trusted: a code of recovery does not, nor one by mail."""
    real = shows_more_than_mail(method) and not is_backup_method(method)
    return real and trust_days(request, standing) is not None


async def trust_browser(request: Request, conn: Connection, user: User, session: Session, device: str) -> None:
    """Trust the browser with this secret, and tell its owner."""
    provider = provider_of(request)
    until, trust_id = moment(request) + provider.trust_life, identifier(provider.entropy)
    await trust_device(conn, device, user.sub, trust_id, until=until, user_agent=user_agent_of(request))
    await note(
        request, conn, "device_trusted", sub=user.sub, session_id=session.id, device=trust_id, until=until.isoformat()
    )
    await notify_user(request, conn, user, "device_trusted", until=Day(until))


async def distrust(
    request: Request, conn: Connection, sub: str, session_id: str | None, *, trust_id: str | None = None
) -> None:
    """Trust that browser of the account no more, or none; nothing is kept where none was trusted."""
    if count := await end_trust(conn, sub, trust_id):
        await note(request, conn, "device_trust_ended", sub=sub, session_id=session_id, device=trust_id, count=count)


async def keep_browser(request: Request, conn: Connection, before: User) -> None:
    """Know this browser still, in which its owner has just changed the account that was so ``before``."""
    if device := cookies.read(request, provider_of(request), "device"):
        await keep_known(conn, device, before)


async def forget_browsers(
    request: Request, conn: Connection, sub: str, session_id: str | None = None, *, but: str | None = None
) -> None:
    """Know no browser of the account any more, and trust none, except the one with that secret."""
    if count := await forget_devices(conn, sub, but=but):
        await note(request, conn, "device_trust_ended", sub=sub, session_id=session_id, count=count)
