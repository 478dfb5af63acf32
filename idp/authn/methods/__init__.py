"""The ways to prove who one is: the visible list, and what is the same for all of them."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from idp.authn import throttle
from idp.authn.methods import email, password, recovery, sms, totp, webauthn
from idp.authn.methods.method import Attempt, Factor, Method, Proved, Refusal, RelyingParty, Tools
from idp.authn.throttle import Consequence, Guessing
from idp.base.digest import Busy
from idp.model.attempt import Bucket
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store.attempts import find_misses
from idp.store.database import Connection

__all__ = [
    "METHODS",
    "Attempt",
    "Consequence",
    "Factor",
    "Method",
    "Proved",
    "Refusal",
    "RelyingParty",
    "Tools",
    "authenticators",
    "find_method",
    "find_owned",
    "in_force",
    "is_weak",
    "prove",
]

METHODS: tuple[Method, ...] = (
    password.METHOD,
    totp.METHOD,
    webauthn.METHOD,
    sms.METHOD,
    email.METHOD,
    recovery.METHOD,
)


def find_method(name: str) -> Method | None:
    """The method of this name, or None."""
    return next((method for method in METHODS if method.name == name), None)


async def authenticators(
    conn: Connection, user: User, *, off: frozenset[str] = frozenset(), by_mail: bool = False
) -> tuple[Authenticator, ...]:
    """Everything with which the user can sign in: what is ``in_force`` of all that ``find_owned`` finds."""
    return in_force(await find_owned(conn, user, off=off, by_mail=by_mail))


async def find_owned(
    conn: Connection, user: User, *, off: frozenset[str] = frozenset(), by_mail: bool = False
) -> tuple[Authenticator, ...]:
    """All that the user has, in the order of METHODS; what was guessed at too often is locked.

    Methods that are ``off`` are left out: they neither serve nor are asked for. ``by_mail`` is whether they are asked
    for behind a link by mail, where they are locked sooner.
    """
    owned = [(method, await method.authenticators(conn, user)) for method in METHODS if method.name not in off]
    misses = await find_misses(conn, user.sub)
    return tuple(
        replace(one, locked=True) if _is_off(method, len(found), misses.get(method.name, 0), by_mail=by_mail) else one
        for method, found in owned
        for one in found
    )


def in_force(owned: Iterable[Authenticator]) -> tuple[Authenticator, ...]:
    """What of it serves and is asked for: nothing ``weak`` where there is another second factor, locked or not."""
    found = tuple(owned)
    if not any(map(_is_strong, found)):
        return found
    return tuple(one for one in found if not is_weak(one.method))


def is_weak(name: str) -> bool:
    """Whether this method gives way to any other second factor."""
    method = find_method(name)
    return method is not None and method.weak


def _is_strong(one: Authenticator) -> bool:
    method = find_method(one.method)
    if method is None or method.factor is not Factor.POSSESSION:
        return False
    return not (method.weak or method.backup or one.voluntary)


def _is_off(method: Method, secrets: int, misses: int, *, by_mail: bool) -> bool:
    return method.guessing is Guessing.BEHIND_A_STEP and misses >= throttle.most_misses(secrets, by_mail=by_mail)


async def prove(name: str, attempt: Attempt) -> Proved | Refusal:
    """Judge an attempt by the method of this name, within the limits on guessing.

    An unknown name is a refusal like any other (A-30). One that a limit holds back reads like a wrong one. Raises Busy
    when it could not be judged, and then it does not count; and Unavailable, which leaves it counted.
    """
    method = find_method(name)
    if method is None or name in attempt.tools.off:
        return Refusal("method_unknown")
    if method.guessing is None or not attempt.tools.limited:
        return await method.check(attempt)
    claimed = await throttle.claim(attempt.transact, await _limits(method, method.guessing, attempt), attempt.now)
    if not claimed.granted:
        return Refusal(method.wrong, "too many attempts", claimed.consequence)
    try:
        outcome = await method.check(attempt)
    except Busy:
        await throttle.withdraw(attempt.transact, claimed, attempt.now)
        raise
    if isinstance(outcome, Refusal):
        return replace(outcome, consequence=claimed.consequence)
    await throttle.forgive(attempt.transact, claimed, attempt.now)
    return outcome


async def _enrolled(method: Method, user: User, conn: Connection) -> tuple[Authenticator, ...]:
    return await method.authenticators(conn, user)


async def _limits(method: Method, guessing: Guessing, attempt: Attempt) -> dict[Bucket, throttle.Limit]:
    secrets = 1
    if attempt.user is not None and guessing is Guessing.BEHIND_A_STEP:
        secrets = len(await attempt.transact(partial(_enrolled, method, attempt.user)))
    return throttle.limits_of(
        guessing, method.name, attempt.subject, attempt.source, secrets=secrets, by_mail=attempt.by_mail
    )
