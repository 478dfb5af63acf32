"""Codes by text message: something that one has, the telephone number (restricted by NIST SP 800-63B-4 §3.1.3.3).

The number is a person's as long as the telephone company says so, and a code can be typed into a false page. It is
better than a password alone, and no more: no level above ``mfa`` is reached by it.
"""

from idp.authn.methods.method import Attempt, Factor, Method, Proved, Refusal
from idp.authn.methods.sent_code import check_code
from idp.authn.throttle import Guessing
from idp.base.text import Phrase, say
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store import users
from idp.store.database import Connection

CREDENTIAL = "phone"
"""An account has one number."""
_SHOWN = 3
_BLOCK = 4


def recipient(user: User) -> str | None:
    """The number that codes go to: one that was confirmed, and no other (A-35)."""
    return user.phone if user.phone_verified else None


def masked(number: str) -> str:
    """The number as it is shown before its owner has shown who they are."""
    return f"••• {number[-_SHOWN:]}"


def prefix(number: str) -> str:
    """What the number has in common with the ten thousand around it."""
    return number[:-_BLOCK]


def named(number: str) -> Phrase:
    """How the number is called among the ways to sign in."""
    return say("Text messages to %(number)s", number=masked(number))


async def authenticators(_conn: Connection, user: User) -> tuple[Authenticator, ...]:
    """The user's number, if it is confirmed: by them as a second step, or by the operator."""
    number = recipient(user)
    return () if number is None else (Authenticator("sms", named(number), CREDENTIAL),)


async def check(attempt: Attempt) -> Proved | Refusal:
    """Judge the field ``code``."""
    number = recipient(attempt.user) if attempt.user else None
    return await check_code(attempt, "sms", number, CREDENTIAL)


async def remove(conn: Connection, sub: str, id_: str) -> bool:
    """Forget the user's number; answers whether there was one."""
    return id_ == CREDENTIAL and await users.remove_phone(conn, sub)


def amr(_evidence: Evidence) -> tuple[str, ...]:
    """A confirmation by text message to a registered number (RFC 8176 §2)."""
    return ("sms",)


METHOD = Method(
    "sms",
    Factor.POSSESSION,
    amr,
    authenticators,
    check,
    guessing=Guessing.BEHIND_A_STEP,
    remove=remove,
    recipient=recipient,
)
