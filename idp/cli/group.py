"""`idp group`: people of whom the same is asked."""

import re
from typing import Annotated, TypeAlias

import typer

from idp.cli.output import Json, database, emit, in_database, refuse, run, settings, table
from idp.cli.trail import note
from idp.cli.who import Who, get_meant
from idp.model.assurance import ACR_VALUES
from idp.model.group import Group
from idp.store import groups
from idp.store.clock import database_time
from idp.store.database import Connection, transaction

app = typer.Typer(help="Ask the same of some people.", no_args_is_help=True)

Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="1 to 64 small letters, digits, dots, dashes and underscores.")
]
MinAcr: TypeAlias = Annotated[
    str, typer.Option("--min-acr", metavar="ACR", help="The weakest sign-in that is enough: mfa, phr or phrh.")
]


@app.command("add")
def add_command(name: Name, min_acr: MinAcr = "", as_json: Json = False) -> None:
    """Make a group."""
    group = run(_add(name, _level(min_acr)))
    emit(document(group), f"Added {group.name}.", as_json=as_json)


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List all groups."""
    found = run(_list())
    rows = [(group.name, group.min_acr or "-", f"{group.members} members") for group in found]
    text = table(rows) if rows else "There are no groups. Add one with `idp group add`."
    emit({"groups": [document(group) for group in found]}, text, as_json=as_json)


@app.command("show")
def show_command(name: Name, as_json: Json = False) -> None:
    """Show a group."""
    _print(run(_get(name)), as_json=as_json)


@app.command("update")
def update_command(name: Name, min_acr: MinAcr, as_json: Json = False) -> None:
    """Let a group ask for another level; an empty one asks for none."""
    _print(run(_update(name, _level(min_acr))), as_json=as_json)


@app.command("remove")
def remove_command(name: Name, as_json: Json = False) -> None:
    """Remove a group; its members stay."""
    run(_remove(name))
    emit({"name": name, "removed": True}, f"Removed {name}.", as_json=as_json)


@app.command("add-user")
def add_user_command(name: Name, who: Who, as_json: Json = False) -> None:
    """Put somebody into a group; from their next authorization request on it asks of them what it asks for."""
    _print(run(_change_member(name, who, belongs=True)), as_json=as_json)


@app.command("remove-user")
def remove_user_command(name: Name, who: Who, as_json: Json = False) -> None:
    """Take somebody out of a group."""
    _print(run(_change_member(name, who, belongs=False)), as_json=as_json)


def document(group: Group) -> dict[str, object]:
    """The group as JSON values."""
    created_at = group.created_at.isoformat(timespec="seconds")
    return {"name": group.name, "min_acr": group.min_acr, "members": group.members, "created_at": created_at}


def _print(group: Group, *, as_json: bool) -> None:
    shown = document(group)
    emit(shown, table([(name, str(value)) for name, value in shown.items() if value is not None]), as_json=as_json)


def _level(text: str) -> str | None:
    """The level that is meant; one that asks for nothing, or an empty one, is none."""
    if text and text not in ACR_VALUES:
        refuse(f"{text!a} is no level: give one of {', '.join(ACR_VALUES)}")
    return None if text in ("", ACR_VALUES[0]) else text


async def _find(conn: Connection, name: str) -> Group:
    known = await groups.find_group(conn, name) if re.fullmatch(r"[a-z0-9._-]{1,64}", name) else None
    return known if known is not None else refuse(f"there is no group {name!a}")


async def _add(name: str, min_acr: str | None) -> Group:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        refuse("the name of a group has 1 to 64 small letters, digits, dots, dashes and underscores")

    async def step(conn: Connection) -> Group:
        now = await database_time(conn)
        if not await groups.create_group(conn, name, min_acr, now=now):
            refuse(f"there is a group {name!a} already")
        await note(conn, "group_added", now, details={"group": name, "min_acr": min_acr})
        return await _find(conn, name)

    return await in_database(settings(), step)


async def _list() -> tuple[Group, ...]:
    async with database(settings()) as pool, transaction(pool) as conn:
        return await groups.list_groups(conn)


async def _get(name: str) -> Group:
    async with database(settings()) as pool, transaction(pool) as conn:
        return await _find(conn, name)


async def _update(name: str, min_acr: str | None) -> Group:
    async def step(conn: Connection) -> Group:
        await _find(conn, name)
        await groups.update_group(conn, name, min_acr)
        await note(conn, "group_updated", await database_time(conn), details={"group": name, "min_acr": min_acr})
        return await _find(conn, name)

    return await in_database(settings(), step)


async def _remove(name: str) -> None:
    async def step(conn: Connection) -> None:
        await _find(conn, name)
        await groups.remove_group(conn, name)
        await note(conn, "group_removed", await database_time(conn), details={"group": name})

    await in_database(settings(), step)


async def _change_member(name: str, who: str, *, belongs: bool) -> Group:
    async def step(conn: Connection) -> Group:
        await _find(conn, name)
        user = await get_meant(conn, who)
        if belongs and await groups.add_member(conn, name, user.sub):
            await note(conn, "group_member_added", await database_time(conn), sub=user.sub, details={"group": name})
        if not belongs and await groups.remove_member(conn, name, user.sub):
            await note(conn, "group_member_removed", await database_time(conn), sub=user.sub, details={"group": name})
        return await _find(conn, name)

    return await in_database(settings(), step)
