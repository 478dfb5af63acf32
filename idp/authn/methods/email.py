"""Codes by mail, where the operator wants them: a weak second step, since a mailbox is no device (ASVS 6.3.6).

It stands beside a password and for nothing else: a reset by mail is never proved by a mail (``policy.BY_MAIL``). It is
``weak``: whoever has an app, a passkey or a number is not satisfied by a mailbox.
"""

from idp.authn.methods.method import Attempt, Factor, Method, Proved, Refusal
from idp.authn.methods.sent_code import check_code
from idp.authn.throttle import Guessing
from idp.base.text import say
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store.database import Connection


def recipient(user: User) -> str | None:
    """The address that codes go to: one that was confirmed, and no other (A-35)."""
    return user.email if user.email_verified else None


def masked(address: str) -> str:
    """The address as it is shown before its owner has shown who they are."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}•••@{domain}"


async def authenticators(_conn: Connection, user: User) -> tuple[Authenticator, ...]:
    """The user's address, if it is confirmed."""
    address = recipient(user)
    return () if address is None else (Authenticator("email", say("Mail to %(address)s", address=masked(address))),)


async def check(attempt: Attempt) -> Proved | Refusal:
    """Judge the field ``code``."""
    return await check_code(attempt, "email", recipient(attempt.user) if attempt.user else None, None)


def amr(_evidence: Evidence) -> tuple[str, ...]:
    """A one-time password: RFC 8176 §2 has no word for mail, and this is what all codes are."""
    return ("otp",)


METHOD = Method(
    "email",
    Factor.POSSESSION,
    amr,
    authenticators,
    check,
    guessing=Guessing.BEHIND_A_STEP,
    weak=True,
    recipient=recipient,
)
