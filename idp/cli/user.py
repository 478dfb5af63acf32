"""`idp user`: the people with an account here."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

import typer

from idp.authn import accounts
from idp.base.clock import system_clock
from idp.base.digest import PasswordHasher
from idp.base.entropy import identifier, system_entropy
from idp.cli.output import Json, database, emit, refuse, run, settings, table
from idp.model.user import User
from idp.settings import Settings
from idp.store import authorizations, sessions, totp_credentials, users, webauthn_credentials
from idp.store.database import Connection, transaction

app = typer.Typer(help="Add people, and look after their accounts.", no_args_is_help=True)

Who: TypeAlias = Annotated[
    str, typer.Argument(metavar="USER", help="A user name, or the account's sub; name:… and sub:… say which.")
]

REASONS = {
    "username_short": "a user name has at least 3 characters",
    "username_characters": "a user name has at most 64 letters, digits, dots, dashes and underscores, a letter or "
    "digit first",
    "password_short": f"a password has at least {accounts.PASSWORD_SHORTEST} characters",
    "password_long": f"a password has at most {accounts.PASSWORD_LONGEST} characters",
    "password_known": "this password is on lists of common passwords",
    "password_context": "this password is little more than the name of the user or of this service",
    "email_invalid": "the e-mail address is not of the form name@mail.example",
    "phone_invalid": "the phone number lacks its country code, as in +44 7700 900123",
}


@app.command("add")
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
    emit(describe(user), f"Added {user.username}.\nsub  {user.sub}", as_json=as_json)


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List all accounts in the order of their names."""
    found = run(_list())
    rows = [(user.sub, user.username, "disabled" if user.disabled_at else "") for user in found]
    emit(
        {"users": [describe(user) for user in found]},
        table(rows) if rows else "Nobody has an account. Add one with `idp user add`.",
        as_json=as_json,
    )


@app.command("show")
def show_command(who: Who, as_json: Json = False) -> None:
    """Show an account."""
    _print(run(_get(who)), as_json=as_json)


@app.command("disable")
def disable_command(who: Who, as_json: Json = False) -> None:
    """Shut an account: its sessions end and its tokens are worth nothing."""
    _print(run(_disable(who)), as_json=as_json)


@app.command("enable")
def enable_command(who: Who, as_json: Json = False) -> None:
    """Open a disabled account again."""
    _print(run(_enable(who)), as_json=as_json)


@app.command("remove")
def remove_command(who: Who, as_json: Json = False) -> None:
    """Remove an account with all that hangs on it; whoever gets its name later is somebody else."""
    user = run(_remove(who))
    emit({"sub": user.sub, "removed": True}, f"Removed {user.username} ({user.sub}).", as_json=as_json)


@app.command("credentials")
def credentials_command(who: Who, as_json: Json = False) -> None:
    """List what the user can sign in with."""
    user, found = run(_credentials(who))
    columns = ("method", "name", "last_used_at", "id")
    rows = [tuple(credential[column] or "-" for column in columns) for credential in found]
    emit(
        {"sub": user.sub, "credentials": found},
        table(rows) if rows else f"{user.username} has nothing to sign in with.",
        as_json=as_json,
    )


def describe(user: User) -> dict[str, object]:
    """The account as JSON values, without any secret."""
    return {
        "sub": user.sub,
        "username": user.username,
        "email": user.email,
        "email_verified": user.email_verified,
        "phone": user.phone,
        "phone_verified": user.phone_verified,
        "password": user.password_hash is not None,
        "created_at": _time(user.created_at),
        "updated_at": _time(user.updated_at),
        "disabled_at": _time(user.disabled_at),
    }


async def _add(installation: Settings, username: str, email: str, phone: str, password: str | None) -> User:
    address, number = accounts.parse_email(email), accounts.parse_phone(phone)
    context = (installation.name, urlsplit(installation.issuer).hostname or "", username, email)
    found = [
        accounts.username_fault(username),
        "email_invalid" if email and address is None else None,
        "phone_invalid" if phone and number is None else None,
        None
        if password is None
        else accounts.password_fault(password, context=context, shortest=accounts.PASSWORD_SHORTEST),
    ]
    _refuse_faults([REASONS[cause] for cause in found if cause])
    now = system_clock()
    user = User(
        sub=identifier(system_entropy),
        username=accounts.shown_username(username),
        created_at=now,
        updated_at=now,
        email=address.shown if address else None,
        email_verified=address is not None,
        phone=number,
        phone_verified=number is not None,
        password_hash=None if password is None else await _hash(password),
        password_changed_at=None if password is None else now,
    )
    async with database(installation) as pool, transaction(pool) as conn:
        return await _create(conn, user, address.canonical if address else None)


async def _create(conn: Connection, user: User, email_canonical: str | None) -> User:
    canonical = accounts.canonical_username(user.username)
    try:
        return await users.create(conn, user, username_canonical=canonical, email_canonical=email_canonical)
    except users.UsernameTaken:
        refuse("this user name is in use")
    except users.EmailTaken:
        refuse("this e-mail address belongs to another account")


async def _hash(password: str) -> str:
    hasher = PasswordHasher(workers=1)
    try:
        return await hasher.hash(password)
    finally:
        hasher.close()


async def _list() -> list[User]:
    found: list[User] = []
    async with database(settings()) as pool, transaction(pool) as conn:
        while page := await users.list_users(conn, after=_place(found)):
            found += page
    return found


def _place(found: Sequence[User]) -> str:
    return accounts.canonical_username(found[-1].username) if found else ""


async def _get(who: str) -> User:
    async with database(settings()) as pool, transaction(pool) as conn:
        return await _find(conn, who)


async def _disable(who: str) -> User:
    now = system_clock()
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await _find(conn, who)
        await users.disable(conn, user.sub, now)
        await sessions.end_sessions_of(conn, user.sub, now)
        await authorizations.revoke_of_user(conn, user.sub, now)
        return await users.get_user(conn, user.sub)


async def _enable(who: str) -> User:
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await _find(conn, who)
        await users.enable(conn, user.sub, system_clock())
        return await users.get_user(conn, user.sub)


async def _remove(who: str) -> User:
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await _find(conn, who)
        await users.remove(conn, user.sub)
        return user


async def _credentials(who: str) -> tuple[User, list[dict[str, str | None]]]:
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await _find(conn, who)
        apps = await totp_credentials.list_confirmed(conn, user.sub)
        keys = await webauthn_credentials.list_of(conn, user.sub)
    found = [_credential("password", None, "Password", user.password_changed_at, None)] if user.password_hash else []
    found += [_credential("totp", each.id, each.name, each.created_at, each.last_used_at) for each in apps]
    found += [_credential("webauthn", each.id, each.name, each.created_at, each.last_used_at) for each in keys]
    return user, found


def _credential(
    method: str, id_: str | None, name: str, created_at: datetime | None, last_used_at: datetime | None
) -> dict[str, str | None]:
    times = {"created_at": _time(created_at), "last_used_at": _time(last_used_at)}
    return {"id": id_, "method": method, "name": name, **times}


async def _find(conn: Connection, who: str) -> User:
    """The one account that is meant; refuses if there is none, or if one's name is another's sub."""
    kind, _, rest = who.rpartition(":")
    found: dict[str, User] = {}
    if kind in ("", "name"):
        found |= _by_sub(await users.find_by_username(conn, _name(rest)))
    if kind in ("", "sub") and rest.isascii() and rest.isprintable():
        found |= _by_sub(await users.find_user(conn, rest))
    if not found:
        refuse(f"there is no user {who!a}")
    if len(found) > 1:
        refuse(f"{who!a} is the name of one account and the sub of another: write name:{rest} or sub:{rest}")
    return next(iter(found.values()))


def _by_sub(user: User | None) -> dict[str, User]:
    return {} if user is None else {user.sub: user}


def _name(username: str) -> str:
    """The canonical name; empty, which nobody is called, for what can be no name."""
    return "" if accounts.username_fault(username) else accounts.canonical_username(username)


def _read_line() -> str:
    """One line of standard input without its end; refuses what is no UTF-8."""
    try:
        return sys.stdin.buffer.readline(4096).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        refuse("the password on standard input is not UTF-8")


def _refuse_faults(reasons: Sequence[str]) -> None:
    if reasons:
        refuse("\n  ".join(["this account cannot be added:", *reasons]))


def _print(user: User, *, as_json: bool) -> None:
    shown = describe(user)
    rows = [(name, _text(value)) for name, value in shown.items() if value is not None]
    emit(shown, table(rows), as_json=as_json)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
