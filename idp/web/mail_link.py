"""Links that go out by mail: how long each kind works, to whom one may go, and the page behind one.

Opening a link changes nothing, since mail programs and scanners open links too: the form behind it does.
"""

from datetime import datetime, timedelta

from starlette.requests import Request

from idp.authn.accounts import Email, parse_email
from idp.base.digest import sha256
from idp.model.mail_link import LinkKind, MailLink
from idp.model.user import User
from idp.oauth.errors import PageError
from idp.store.database import Connection
from idp.store.mail_links import find_link
from idp.web.provider import moment

RESET_LIFE = timedelta(minutes=60)
VERIFY_LIFE = timedelta(hours=24)
_LIVES: dict[LinkKind, timedelta] = {"reset_password": RESET_LIFE, "verify_email": VERIFY_LIFE}


def new_link(secret: str, kind: LinkKind, user: User, address: Email, now: datetime) -> MailLink:
    """The link with this secret for that account, to be sent to that address."""
    expires_at = now + _LIVES[kind]
    return MailLink(sha256(secret), kind, user.sub, address.shown, address.canonical, now, expires_at, user.generation)


def address_of_link(user: User) -> Email | None:
    """The address to which a link that resets the password may go: one that is proved, of an account that is open."""
    if user.email is None or not user.email_verified or user.disabled_at is not None:
        return None
    return parse_email(user.email)


async def get_opened(request: Request, conn: Connection, secret: str, kind: LinkKind) -> MailLink:
    """The live link with this secret; raises PageError, the same for all that are none (A-67)."""
    link = await find_link(conn, sha256(secret), kind, now=moment(request))
    if link is None:
        raise gone(request)
    return link


def gone(request: Request) -> PageError:
    """What to raise for a link that was used, is too old, or never was one."""
    return PageError("link_gone", status=403 if request.method == "POST" else 400)
