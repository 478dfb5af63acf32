"""`idp client`: the applications that may send their users here."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated, NoReturn, TypeAlias

import typer

from idp.base.digest import sha256
from idp.base.entropy import identifier, system_entropy, token
from idp.base.outside import Outside
from idp.cli.client_options import Name, taking_metadata
from idp.cli.logo import fetch_logo
from idp.cli.output import Json, database, emit, in_database, refuse, run, settings, table
from idp.cli.trail import note
from idp.model.client import Client
from idp.oauth import registration
from idp.settings import Settings
from idp.store import clients
from idp.store.clock import database_time
from idp.store.database import Connection, transaction

app = typer.Typer(help="Register applications, and look after them.", no_args_is_help=True)

ClientId: TypeAlias = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The client's identifier.")]


@app.command("add")
@taking_metadata
def add_command(
    name: Annotated[str, typer.Option("--name", help="What users see: 1 to 100 characters.")],
    given: dict[str, object],
    as_json: Json = False,
) -> None:
    """Register an application; its secret is shown this once."""
    _show(*run(_add({"client_name": name, **given})), as_json=as_json)


@app.command("update")
@taking_metadata
def update_command(client_id: ClientId, *, name: Name = None, given: dict[str, object], as_json: Json = False) -> None:
    """Change what is given and keep the rest; an empty value takes an optional one away.

    Repeated options replace the whole list. A client that needs a secret from now on gets one, shown this once.
    """
    if name is not None:
        given["client_name"] = name
    _show(*run(_update(client_id, given)), as_json=as_json)


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List all applications, the oldest first."""
    found = run(_list())
    rows = [(client.client_id, client.client_name, _state(client)) for client in found]
    emit(
        {"clients": [registration.describe(client) for client in found]},
        table(rows) if rows else "No application is registered. Add one with `idp client add`.",
        as_json=as_json,
    )


@app.command("show")
def show_command(client_id: ClientId, as_json: Json = False) -> None:
    """Show what is registered for an application; its secret is not known here."""
    _print(registration.describe(run(_get(client_id))), as_json=as_json)


@app.command("disable")
def disable_command(client_id: ClientId, as_json: Json = False) -> None:
    """Refuse every request of an application from now on, until it is enabled again."""
    _print(registration.describe(run(_set_disabled(client_id, disabled=True))), as_json=as_json)


@app.command("enable")
def enable_command(client_id: ClientId, as_json: Json = False) -> None:
    """Let a disabled application work again."""
    _print(registration.describe(run(_set_disabled(client_id, disabled=False))), as_json=as_json)


@app.command("rotate-secret")
def rotate_secret_command(client_id: ClientId, as_json: Json = False) -> None:
    """Give an application a new secret, shown this once; the old one is worth nothing at once."""
    _show(*run(_rotate_secret(client_id)), as_json=as_json)


@app.command("remove")
def remove_command(client_id: ClientId, as_json: Json = False) -> None:
    """Remove an application with all its users' consents and all its tokens."""
    client = run(_remove(client_id))
    emit(
        {"client_id": client.client_id, "removed": True},
        f"Removed {client.client_name} ({client.client_id}).",
        as_json=as_json,
    )


def new_client(metadata: Mapping[str, object], now: datetime) -> tuple[Client, str]:
    """A new client and its secret, which is empty if it needs none."""
    client = registration.register(metadata, client_id=identifier(system_entropy), now=now)
    return _with_secret(client)


def _with_secret(client: Client) -> tuple[Client, str]:
    """The client with as much of a secret as its way to prove itself needs; the second is empty if none is new."""
    if not registration.needs_secret(client):
        return replace(client, secret_hash=None), ""
    if client.secret_hash is not None:
        return client, ""
    secret = token(system_entropy)
    return replace(client, secret_hash=sha256(secret)), secret


async def renew_secret(conn: Connection, client: Client) -> str:
    """A new secret of the client, and its place in the audit trail; the old one is worth nothing from then on."""
    secret = token(system_entropy)
    await clients.rotate_secret(conn, client.client_id, sha256(secret))
    await _note(conn, "client_secret_rotated", client)
    return secret


async def _add(metadata: Mapping[str, object]) -> tuple[Client, str]:
    installation = settings()
    async with database(installation) as pool:
        async with transaction(pool) as conn:
            try:
                client, secret = new_client(metadata, await database_time(conn))
            except registration.InvalidMetadata as refusal:
                _refuse_metadata(refusal)
            await clients.create(conn, client)
            await note_added(conn, client)
        await fetch_logo(pool, client, _outside(installation))
    return client, secret


async def _update(client_id: str, metadata: Mapping[str, object]) -> tuple[Client, str]:
    installation = settings()
    async with database(installation) as pool:
        async with transaction(pool) as conn:
            before = await _locked(conn, client_id)
            try:
                client = registration.amend(before, metadata)
            except registration.InvalidMetadata as refusal:
                _refuse_metadata(refusal)
            client, secret = _with_secret(client)
            await clients.update(conn, client)
            await note_updated(conn, before, client)
        if "logo_uri" in metadata:
            # Asked for anew whenever it is named, for the picture there may be another one by now.
            await fetch_logo(pool, client, _outside(installation))
        return client, secret


def _outside(installation: Settings) -> Outside:
    return Outside(allow_loopback=installation.allow_loopback_fetch == "on")


async def _list() -> tuple[Client, ...]:
    async with database(settings()) as pool, transaction(pool) as conn:
        return await clients.list_clients(conn)


async def _get(client_id: str) -> Client:
    async with database(settings()) as pool, transaction(pool) as conn:
        return await _locked(conn, client_id)


async def _set_disabled(client_id: str, *, disabled: bool) -> Client:
    async def step(conn: Connection) -> Client:
        client = await _locked(conn, client_id)
        await clients.set_disabled(conn, client.client_id, await database_time(conn) if disabled else None)
        await _note(conn, "client_disabled" if disabled else "client_enabled", client)
        return await clients.get_client(conn, client.client_id)

    return await in_database(settings(), step)


async def _rotate_secret(client_id: str) -> tuple[Client, str]:
    async def step(conn: Connection) -> tuple[Client, str]:
        client = await _locked(conn, client_id)
        if not registration.needs_secret(client):
            refuse(f"this client has no secret: it uses {client.token_endpoint_auth_method}")
        return client, await renew_secret(conn, client)

    return await in_database(settings(), step)


async def _remove(client_id: str) -> Client:
    async def step(conn: Connection) -> Client:
        client = await _locked(conn, client_id)
        await clients.remove(conn, client.client_id)
        await _note(conn, "client_removed", client, client_name=client.client_name)
        return client

    return await in_database(settings(), step)


async def note_added(conn: Connection, client: Client) -> None:
    """Append to the audit trail that the client was registered, and where it may send users."""
    await _note(conn, "client_added", client, client_name=client.client_name, redirect_uris=list(client.redirect_uris))


async def note_updated(conn: Connection, before: Client, after: Client) -> None:
    """Append to the audit trail which of the client's fields were changed; nothing if none was."""
    was, is_now = asdict(before), asdict(after)
    fields = [name for name in was if was[name] != is_now[name]]
    uris = list(after.redirect_uris) if "redirect_uris" in fields else None
    if fields:
        await _note(conn, "client_updated", after, fields=fields, redirect_uris=uris)


async def _note(conn: Connection, event: str, client: Client, **details: str | list[str] | None) -> None:
    await note(conn, event, await database_time(conn), client_id=client.client_id, details=details)


async def _locked(conn: Connection, client_id: str) -> Client:
    """The client, held until the end of the transaction; refuses if there is none."""
    try:
        return await clients.lock_client(conn, client_id)
    except LookupError:
        refuse(f"there is no client {client_id!a}")


def _refuse_metadata(refusal: registration.InvalidMetadata) -> NoReturn:
    refuse("\n  ".join(["this client cannot be registered:", *map(str, refusal.faults)]))


def _show(client: Client, secret: str, *, as_json: bool) -> None:
    shown = registration.describe(client)
    document = {"client_id": shown.pop("client_id"), "client_secret": secret or None, **shown}
    _print(document, as_json=as_json)
    if secret and not as_json:
        print("\nKeep the secret now: it is not shown again.")


def _print(document: Mapping[str, object], *, as_json: bool) -> None:
    rows = [(name, _text(value)) for name, value in document.items() if value not in (None, [], "")]
    emit(document, table(rows), as_json=as_json)


def _text(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _state(client: Client) -> str:
    return "disabled" if client.disabled_at else client.token_endpoint_auth_method
