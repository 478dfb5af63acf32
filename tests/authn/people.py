"""Somebody to be at the keyboard, and what the methods work with."""

from datetime import UTC, datetime

from idp.authn.methods import Attempt, RelyingParty, Tools
from idp.base.digest import PasswordHasher
from idp.base.seal import MasterKey
from idp.model.assurance import Evidence
from idp.model.attempt import Source
from idp.model.user import User
from idp.store import users
from idp.store.database import Connection, Step, T
from tests.doubles import SeededEntropy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HASHER = PasswordHasher()
RELYING_PARTY = RelyingParty("idp.test", ("https://idp.test", "https://login.idp.test"), "Example Bank")


def tools() -> Tools:
    return Tools(HASHER, MasterKey(b"m" * 32), SeededEntropy(), RELYING_PARTY)


async def add_user(
    conn: Connection,
    username: str = "alice",
    *,
    email: str | None = None,
    email_verified: bool = False,
    password_hash: str | None = None,
) -> User:
    user = User(
        f"sub-of-{username}",
        username,
        NOW,
        NOW,
        email=email,
        email_verified=email_verified,
        password_hash=password_hash,
    )
    return await users.create(conn, user, username_canonical=username.lower(), email_canonical=email)


def attempt(
    conn: Connection,
    user: User | None,
    *,
    challenge: bytes | None = None,
    now: datetime = NOW,
    with_: Tools | None = None,
    shown: tuple[Evidence, ...] = (),
    **form: str,
) -> Attempt:
    async def transact(step: Step[T], /) -> T:
        async with conn.transaction():
            return await step(conn)

    subject = user.sub if user else "nobody"
    source = Source("192.0.2.0/24")
    return Attempt(transact, source, subject, user, form, challenge, with_ or tools(), now, shown=shown)
