"""Who may make an account here: anybody, whoever brings an invitation, or nobody."""

from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import Email
from idp.base.digest import sha256
from idp.base.text import say
from idp.model.invitation import Invitation
from idp.oauth.errors import PageError
from idp.store.database import Connection
from idp.store.invitations import consume_invitation, find_invitation
from idp.store.users import find_by_proved_email
from idp.web.answers import page
from idp.web.pages import DonePage
from idp.web.provider import moment, provider_of

INVITATION_LIFE = timedelta(days=7)
LINK = "link"
"""Where the secret of an invitation is: in the address that was sent by mail, and then in the form alone."""


def new_invitation(secret: str, address: Email, now: datetime) -> Invitation:
    """The invitation with this secret, to be sent to that address."""
    return Invitation(sha256(secret), address.shown, address.canonical, now, now + INVITATION_LIFE)


def invitation_link(issuer: str, secret: str) -> str:
    """The link by which the invitation is opened."""
    return f"{issuer}/register?{LINK}={secret}"


async def admit(request: Request, conn: Connection, secret: str | None) -> Invitation | None:
    """The invitation with this secret, None where anybody may make an account without one.

    Raises PageError where nobody may, or not without one, and for every secret that opens nothing (A-35).
    """
    sign_up = provider_of(request).sign_up
    if sign_up == "off":
        raise PageError("sign_up_off", status=403)
    if secret is None:
        if sign_up == "open":
            return None
        raise PageError("invitation_needed", status=403)
    invitation = await find_invitation(conn, sha256(secret), now=moment(request))
    if invitation is None:
        raise gone(request)
    return invitation


async def accept(request: Request, conn: Connection, invitation: Invitation) -> None:
    """Take the invitation in the transaction that makes its account; raises PageError where another was quicker."""
    if await consume_invitation(conn, invitation.digest, now=moment(request)) is None:
        raise gone(request)


def gone(request: Request) -> PageError:
    """What to raise for an invitation that was used, is too old, or never was one."""
    return PageError("invitation_gone", status=403 if request.method == "POST" else 400)


async def is_needless(conn: Connection, invitation: Invitation) -> bool:
    """Whether an account has proved the address meanwhile, so that the invitation is worth nothing."""
    return await find_by_proved_email(conn, invitation.email_canonical) is not None


def needless(request: Request, invitation: Invitation) -> Response:
    """Said to somebody who has the mailbox, and so need not be told that the address is theirs."""
    text = say("%(address)s is confirmed for an account already. Sign in with that one.", address=invitation.email)
    content = DonePage(say("You already have an account"), text, None, (say("Sign in"), "/login"), icon="alert")
    return page(request, content, status=409)
