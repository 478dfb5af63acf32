"""`idp user`: the people with an account here."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Annotated
from urllib.parse import urlsplit

import typer

from idp.authn import accounts
from idp.authn.methods import authenticators, sms
from idp.authn.throttle import subjects_of
from idp.base.clock import system_clock
from idp.base.digest import PasswordHasher
from idp.base.entropy import identifier, system_entropy
from idp.cli.master import master_key
from idp.cli.output import Json, database, emit, refuse, run, settings, table
from idp.cli.trail import note
from idp.cli.who import Who, get_meant
from idp.model.user import User
from idp.settings import Settings
from idp.store import (
    attempts,
    authorizations,
    factor_recoveries,
    groups,
    known_devices,
    sessions,
    totp_credentials,
    users,
    webauthn_credentials,
)
from idp.store.database import Connection, transaction

app = typer.Typer(help="Add people, and look after their accounts.", no_args_is_help=True)

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
    emit(document(user), f"Added {user.username}.\nsub  {user.sub}", as_json=as_json)


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
    user, locked, more = run(_look(who))
    _print(user, locked, more, as_json=as_json)


@app.command("disable")
def disable_command(who: Who, as_json: Json = False) -> None:
    """Shut an account: its sessions end, its tokens are worth nothing, and it trusts no browser."""
    _print(*run(_disable(who)), as_json=as_json)


@app.command("enable")
def enable_command(who: Who, as_json: Json = False) -> None:
    """Open a disabled account again."""
    _print(*run(_enable(who)), as_json=as_json)


@app.command("unlock")
def unlock_command(who: Who, as_json: Json = False) -> None:
    """Forget all failed attempts against an account: what they had switched off works again."""
    user, unlocked, tallies = run(_unlock(who))
    document = {"sub": user.sub, "unlocked": list(unlocked), "tallies": tallies}
    emit(document, _unlock_text(user, unlocked, tallies), as_json=as_json)


@app.command("recover")
def recover_command(
    who: Who,
    factors: Annotated[
        bool, typer.Option("--factors", help="Begin the removal of second factors that were lost, after a delay.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the removal of second factors.")] = False,
    as_json: Json = False,
) -> None:
    """Send a link for a new password to the account's confirmed address; its second factor is asked for as ever."""
    if factors and cancel:
        refuse("--factors begins what --cancel stops: give one of them")
    if factors or cancel:
        _recover_factors(who, cancel=cancel, as_json=as_json)
        return
    # Imported where it is used: no other command about people needs the pages.
    from idp.cli.recovery import start_recovery

    installation = settings()
    user = run(start_recovery(installation, who))
    unsent = "" if installation.mail_url else "\nIt waits in the outbox: no mail server is set (IDP_MAIL_URL)."
    emit(
        {"sub": user.sub, "email": user.email},
        f"A link for a new password goes to {user.email}.{unsent}",
        as_json=as_json,
    )


def _recover_factors(who: str, *, cancel: bool, as_json: bool) -> None:
    # Imported where it is used: no other command about people needs the pages.
    from idp.cli.factor_recovery import start_factor_recovery, stop_factor_recovery

    installation = settings()
    if cancel:
        user = run(stop_factor_recovery(installation, who))
        emit({"sub": user.sub, "factor_recovery": None}, f"{user.username} keeps all second factors.", as_json=as_json)
        return
    user, asked = run(start_factor_recovery(installation, who))
    unsent = "" if installation.mail_url else "\nIt waits in the outbox: no mail server is set (IDP_MAIL_URL)."
    emit(
        {"sub": user.sub, "email": user.email, "factor_recovery": _time(asked.not_before)},
        f"{user.email} is told now, and gets a link at {_time(asked.not_before)}, which removes the second factors "
        f"together with the password.{unsent}",
        as_json=as_json,
    )


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
    rows = [
        (*(str(credential[column] or "-") for column in columns), "switched off" if credential["locked"] else "")
        for credential in found
    ]
    emit(
        {"sub": user.sub, "credentials": found},
        table(rows) if rows else f"{user.username} has nothing to sign in with.",
        as_json=as_json,
    )


def document(user: User, locked: Sequence[str] = ()) -> dict[str, object]:
    """The account as `describe` has it, and the methods that too many failed attempts have switched off."""
    return {**describe(user), "locked": list(locked)}


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
        created = await _create(conn, user, address.canonical if address else None)
        given = [name for name in ("email", "phone", "password_hash") if getattr(user, name) is not None]
        details = {"username": created.username, "fields": [name.removesuffix("_hash") for name in given]}
        await note(conn, "user_added", now, sub=created.sub, details=details)
        return created


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


async def _look(who: str) -> tuple[User, tuple[str, ...], Mapping[str, object]]:
    """The account, what is switched off of it, its groups, and from when its second factors can be removed if asked."""
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await get_meant(conn, who)
        waiting = await factor_recoveries.find_waiting(conn, user.sub, now=system_clock())
        names = [group.name for group in await groups.groups_of(conn, user.sub)]
        more = {"groups": names, "factor_recovery": _time(waiting.not_before if waiting else None)}
        return user, await _locked(conn, user), more


async def _disable(who: str) -> tuple[User, tuple[str, ...]]:
    now = system_clock()
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await get_meant(conn, who)
        await users.disable(conn, user.sub, now)
        ended = await sessions.end_sessions_of(conn, user.sub, now)
        await authorizations.revoke_of_user(conn, user.sub, now)
        await note(conn, "user_disabled", now, sub=user.sub, details={"sessions": ended})
        if distrusted := await known_devices.end_trust(conn, user.sub):
            # Whoever is let in again shows all that the account asks for, wherever they were trusted before.
            await note(conn, "device_trust_ended", now, sub=user.sub, details={"count": distrusted})
        return await users.get_user(conn, user.sub), await _locked(conn, user)


async def _enable(who: str) -> tuple[User, tuple[str, ...]]:
    now = system_clock()
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await get_meant(conn, who)
        await users.enable(conn, user.sub, now)
        await note(conn, "user_enabled", now, sub=user.sub)
        return await users.get_user(conn, user.sub), await _locked(conn, user)


async def _unlock(who: str) -> tuple[User, tuple[str, ...], int]:
    installation = settings()
    async with database(installation) as pool:
        master = await master_key(pool, installation)
        async with transaction(pool) as conn:
            user = await get_meant(conn, who)
            unlocked = await _locked(conn, user)
            tallies = sum([await attempts.remove_tallies(conn, subject) for subject in subjects_of(user, master)])
            found = {"methods": list(unlocked), "tallies": tallies}
            await note(conn, "user_unlocked", system_clock(), sub=user.sub, details=found)
            return user, unlocked, tallies


def _unlock_text(user: User, unlocked: Sequence[str], tallies: int) -> str:
    if unlocked:
        return f"Forgot all failed attempts against {user.username}. Works again: {', '.join(unlocked)}."
    if tallies:
        return f"Forgot all failed attempts against {user.username}; nothing had been switched off."
    return f"There were no failed attempts against {user.username}."


async def _locked(conn: Connection, user: User) -> tuple[str, ...]:
    """The methods of the user that are switched off."""
    return tuple({one.method: None for one in await authenticators(conn, user) if one.locked})


async def _remove(who: str) -> User:
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await get_meant(conn, who)
        await users.remove(conn, user.sub)
        await note(conn, "user_removed", system_clock(), sub=user.sub, details={"username": user.username})
        return user


async def _credentials(who: str) -> tuple[User, list[dict[str, object]]]:
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await get_meant(conn, who)
        apps = await totp_credentials.list_confirmed(conn, user.sub)
        keys = await webauthn_credentials.list_of(conn, user.sub)
        locked = await _locked(conn, user)
    found = [_credential("password", None, "Password", user.password_changed_at, None)] if user.password_hash else []
    found += [_credential("sms", sms.CREDENTIAL, number, None, None)] if (number := sms.recipient(user)) else []
    found += [_credential("totp", each.id, each.name, each.created_at, each.last_used_at) for each in apps]
    found += [_credential("webauthn", each.id, each.name, each.created_at, each.last_used_at) for each in keys]
    return user, [{**each, "locked": each["method"] in locked} for each in found]


def _credential(
    method: str, id_: str | None, name: str, created_at: datetime | None, last_used_at: datetime | None
) -> dict[str, str | None]:
    times = {"created_at": _time(created_at), "last_used_at": _time(last_used_at)}
    return {"id": id_, "method": method, "name": name, **times}


def _read_line() -> str:
    """One line of standard input without its end; refuses what is no UTF-8."""
    try:
        return sys.stdin.buffer.readline(4096).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        refuse("the password on standard input is not UTF-8")


def _refuse_faults(reasons: Sequence[str]) -> None:
    if reasons:
        refuse("\n  ".join(["this account cannot be added:", *reasons]))


def _print(
    user: User, locked: Sequence[str], more: Mapping[str, object] = MappingProxyType({}), *, as_json: bool
) -> None:
    shown = {**document(user, locked), **more}
    rows = [(name, _text(value)) for name, value in shown.items() if value not in (None, [])]
    emit(shown, table(rows), as_json=as_json)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
