"""The ways to prove who one is: the visible list, and what is the same for all of them."""

from idp.authn.methods import password, totp, webauthn
from idp.authn.methods.method import Attempt, Factor, Method, Proved, Refusal, RelyingParty, Tools
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store.database import Connection

__all__ = [
    "METHODS",
    "Attempt",
    "Factor",
    "Method",
    "Proved",
    "Refusal",
    "RelyingParty",
    "Tools",
    "authenticators",
    "find_method",
    "prove",
]

METHODS: tuple[Method, ...] = (password.METHOD, totp.METHOD, webauthn.METHOD)


def find_method(name: str) -> Method | None:
    """The method of this name, or None."""
    return next((method for method in METHODS if method.name == name), None)


async def authenticators(conn: Connection, user: User) -> tuple[Authenticator, ...]:
    """Everything with which the user can sign in now, in the order of METHODS."""
    return tuple([one for method in METHODS for one in await method.authenticators(conn, user)])


async def prove(name: str, attempt: Attempt) -> Proved | Refusal:
    """Judge an attempt by the method of this name; an unknown name is a refusal like any other (A-30)."""
    method = find_method(name)
    return Refusal("method_unknown") if method is None else await method.check(attempt)
