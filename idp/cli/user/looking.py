"""`idp user list`, `show` and `credentials`: they change nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from idp.authn import accounts
from idp.authn.methods import sms
from idp.cli.output import Json, database, emit, run, settings, table
from idp.cli.user.shown import describe, locked_of, print_user, timestamp
from idp.cli.who import Who, get_meant
from idp.model.user import User
from idp.store import factor_recoveries, groups, totp_credentials, users, webauthn_credentials
from idp.store.clock import database_time
from idp.store.database import transaction


def list_command(as_json: Json = False) -> None:
    """List all accounts in the order of their names."""
    found = run(_list())
    rows = [(user.sub, user.username, "disabled" if user.disabled_at else "") for user in found]
    emit(
        {"users": [describe(user) for user in found]},
        table(rows) if rows else "Nobody has an account. Add one with `idp user add`.",
        as_json=as_json,
    )


def show_command(who: Who, as_json: Json = False) -> None:
    """Show an account."""
    user, locked, more = run(_look(who))
    print_user(user, locked, more, as_json=as_json)


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
        waiting = await factor_recoveries.find_waiting(conn, user.sub, now=await database_time(conn))
        names = [group.name for group in await groups.groups_of(conn, user.sub)]
        more = {"groups": names, "factor_recovery": timestamp(waiting.not_before if waiting else None)}
        return user, await locked_of(conn, user), more


async def _credentials(who: str) -> tuple[User, list[dict[str, object]]]:
    async with database(settings()) as pool, transaction(pool) as conn:
        user = await get_meant(conn, who)
        apps = await totp_credentials.list_confirmed(conn, user.sub)
        keys = await webauthn_credentials.list_of(conn, user.sub)
        locked = await locked_of(conn, user)
    found = [_credential("password", None, "Password", user.password_changed_at, None)] if user.password_hash else []
    found += [_credential("sms", sms.CREDENTIAL, number, None, None)] if (number := sms.recipient(user)) else []
    found += [_credential("totp", each.id, each.name, each.created_at, each.last_used_at) for each in apps]
    found += [_credential("webauthn", each.id, each.name, each.created_at, each.last_used_at) for each in keys]
    return user, [{**each, "locked": each["method"] in locked} for each in found]


def _credential(
    method: str, id_: str | None, name: str, created_at: datetime | None, last_used_at: datetime | None
) -> dict[str, str | None]:
    times = {"created_at": timestamp(created_at), "last_used_at": timestamp(last_used_at)}
    return {"id": id_, "method": method, "name": name, **times}
