"""Passwords: something that one knows."""

from functools import partial

from idp.authn.accounts import LONGEST_PASSWORD_INPUT
from idp.authn.methods.method import Attempt, Factor, Method, Proved, Refusal
from idp.authn.throttle import Guessing
from idp.base.text import say
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store import users
from idp.store.database import Connection


async def authenticators(_conn: Connection, user: User) -> tuple[Authenticator, ...]:
    """The user's password, if they have one."""
    return (Authenticator("password", say("Password")),) if user.password_hash else ()


async def check(attempt: Attempt) -> Proved | Refusal:
    """Judge the field ``password``; an unknown user costs the same time as a known one (A-48).

    Raises Busy when too many passwords wait already.
    """
    user, password, hasher = attempt.user, attempt.form.get("password", ""), attempt.tools.hasher
    # No password can be this long, and hashing megabytes would be an attack.
    if len(password) > LONGEST_PASSWORD_INPUT:
        return Refusal("wrong_credentials", "longer than any password")
    right = await hasher.verify(password, user.password_hash if user else None)
    if not right or user is None or user.password_hash is None:
        return Refusal("wrong_credentials")
    if hasher.outdated(user.password_hash):
        renewed = await hasher.hash(password)
        await attempt.transact(partial(users.replace_password_hash, sub=user.sub, old=user.password_hash, new=renewed))
    return Proved(user.sub, Evidence("password", attempt.now))


def amr(_evidence: Evidence) -> tuple[str, ...]:
    """A password is a password (RFC 8176 §2)."""
    return ("pwd",)


METHOD = Method(
    "password", Factor.KNOWLEDGE, amr, authenticators, check, guessing=Guessing.OPEN, wrong="wrong_credentials"
)
