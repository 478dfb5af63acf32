"""`idp user add`."""

import sys
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

import typer

from idp.authn import accounts
from idp.base.digest import PasswordHasher
from idp.base.entropy import identifier, system_entropy
from idp.cli.output import Json, emit, in_database, refuse, run, settings
from idp.cli.trail import note
from idp.cli.user.shown import document
from idp.model.user import User
from idp.settings import Settings
from idp.store import users
from idp.store.clock import database_time
from idp.store.database import Connection

REASONS = {
    "username_short": "a user name has at least 3 characters",
    "username_characters": "a user name has at most 64 letters, digits, dots, dashes and underscores, a letter or "
    "digit first",
    "username_ending": "a user name does not end with a dot",
    "username_scripts": "a user name has letters and digits of one script, or of those that Japanese, Chinese or "
    "Korean is written with",
    "password_short": f"a password has at least {accounts.PASSWORD_SHORTEST} characters",
    "password_long": f"a password has at most {accounts.PASSWORD_LONGEST} characters",
    "password_known": "this password is on lists of common passwords",
    "password_context": "this password is little more than the name of the user or of this service",
    "email_invalid": "the e-mail address is not of the form name@mail.example",
    "phone_invalid": "the phone number lacks its country code, as in +44 7700 900123",
}


def add_command(
    username: Annotated[str, typer.Option("--username", help="3 to 64 letters and digits of any script, and . - _")],
    email: Annotated[str, typer.Option("--email", help="An address; it counts as confirmed.")] = "",
    phone: Annotated[str, typer.Option("--phone", help="A number with country code; it counts as confirmed.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password, one line, from standard input.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Add a person; without a password the account has none."""
    password = _read_line() if password_stdin else None
    user = run(_add(settings(), username, email, phone, password))
    emit(document(user), f"Added {user.username}.\nsub  {user.sub}", as_json=as_json)


async def _add(installation: Settings, username: str, email: str, phone: str, password: str | None) -> User:
    address, number = accounts.parse_email(email), accounts.parse_phone(phone)
    context = (installation.name, urlsplit(installation.issuer).hostname or "", username, email)
    found = [
        accounts.new_username_fault(username),
        "email_invalid" if email and address is None else None,
        "phone_invalid" if phone and number is None else None,
        None
        if password is None
        else accounts.password_fault(password, context=context, shortest=accounts.PASSWORD_SHORTEST),
    ]
    _refuse_faults([REASONS[cause] for cause in found if cause])
    password_hash = None if password is None else await _hash(password)

    async def step(conn: Connection) -> User:
        now = await database_time(conn)
        user = User(
            sub=identifier(system_entropy),
            username=accounts.shown_username(username),
            created_at=now,
            updated_at=now,
            email=address.shown if address else None,
            email_verified=address is not None,
            phone=number,
            phone_verified=number is not None,
            password_hash=password_hash,
            password_changed_at=None if password_hash is None else now,
        )
        created = await _create(conn, user, address.canonical if address else None)
        given = [name for name in ("email", "phone", "password_hash") if getattr(user, name) is not None]
        details = {"username": created.username, "fields": [name.removesuffix("_hash") for name in given]}
        await note(conn, "user_added", now, sub=created.sub, details=details)
        return created

    return await in_database(installation, step)


async def _create(conn: Connection, user: User, email_canonical: str | None) -> User:
    try:
        return await users.create(
            conn,
            user,
            username_canonical=accounts.canonical_username(user.username),
            username_skeleton=accounts.username_skeleton(user.username),
            email_canonical=email_canonical,
        )
    except users.UsernameTaken:
        refuse("this user name is in use, or one that looks like it")
    except users.EmailTaken:
        refuse("this e-mail address belongs to another account")


async def _hash(password: str) -> str:
    hasher = PasswordHasher(workers=1)
    try:
        return await hasher.hash(password)
    finally:
        hasher.close()


def _read_line() -> str:
    """One line of standard input without its end; refuses what is no UTF-8."""
    try:
        return sys.stdin.buffer.readline(4096).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        refuse("the password on standard input is not UTF-8")


def _refuse_faults(reasons: Sequence[str]) -> None:
    if reasons:
        refuse("\n  ".join(["this account cannot be added:", *reasons]))
