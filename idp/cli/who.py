"""Which account an operator means by a name or a sub."""

from typing import Annotated, TypeAlias

import typer

from idp.authn import accounts
from idp.cli.output import refuse
from idp.model.user import User
from idp.store import users
from idp.store.database import Connection

Who: TypeAlias = Annotated[
    str, typer.Argument(metavar="USER", help="A user name, or the account's sub; name:… and sub:… say which.")
]


async def get_meant(conn: Connection, who: str) -> User:
    """The one account that is meant; refuses if there is none, or as `find_meant` does."""
    user = await find_meant(conn, who)
    return user if user is not None else refuse(f"there is no user {who!a}")


async def find_meant(conn: Connection, who: str) -> User | None:
    """The one account that is meant, None if there is none; refuses if one's name is another's sub."""
    kind, _, rest = who.rpartition(":")
    found: dict[str, User] = {}
    if kind in ("", "name"):
        found |= _by_sub(await users.find_by_username(conn, _name(rest)))
    if kind in ("", "sub") and rest.isascii() and rest.isprintable():
        found |= _by_sub(await users.find_user(conn, rest))
    if len(found) > 1:
        refuse(f"{who!a} is the name of one account and the sub of another: write name:{rest} or sub:{rest}")
    return next(iter(found.values()), None)


def _by_sub(user: User | None) -> dict[str, User]:
    return {} if user is None else {user.sub: user}


def _name(username: str) -> str:
    """The canonical name; empty, which nobody is called, for what can be no name."""
    return "" if accounts.username_fault(username) else accounts.canonical_username(username)
