"""`idp client`: the applications that may send their users here."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias

import typer

from idp.base.clock import system_clock
from idp.base.digest import same, sha256
from idp.base.entropy import identifier, system_entropy, token
from idp.cli.output import Json, database, emit, refuse, run, settings, table
from idp.model.client import Client
from idp.oauth import registration
from idp.store import clients
from idp.store.database import Connection, Pool, transaction

app = typer.Typer(help="Register applications, and look after them.", no_args_is_help=True)

ClientId: TypeAlias = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The client's identifier.")]
Name: TypeAlias = Annotated[str | None, typer.Option("--name", help="What users see: 1 to 100 characters.")]
RedirectUris: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--redirect-uri", metavar="URI", help="Where answers go, compared exactly. May be repeated."),
]
PostLogoutRedirectUris: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--post-logout-redirect-uri", metavar="URI", help="Where sign-out ends. May be repeated."),
]
Public: TypeAlias = Annotated[
    bool, typer.Option("--public", help="It cannot keep a secret: a browser's or a device's own application.")
]
Grants: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--grant", metavar="GRANT", help=f"{', '.join(registration.GRANT_TYPES)}. May be repeated."),
]
AuthMethod: TypeAlias = Annotated[
    str | None,
    typer.Option("--auth-method", metavar="METHOD", help=f"One of {', '.join(registration.AUTH_METHODS)}."),
]
Scope: TypeAlias = Annotated[
    str | None, typer.Option("--scope", help="All that it may ask for, as words parted by spaces.")
]
MinAcr: TypeAlias = Annotated[
    str | None, typer.Option("--min-acr", metavar="ACR", help="The weakest sign-in it takes: 1fa, mfa, phr or phrh.")
]
Jwks: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--jwks", metavar="FILE", exists=True, dir_okay=False, help="Its public keys, a JWK Set: for private_key_jwt."
    ),
]
Algorithm: TypeAlias = Annotated[
    str | None,
    typer.Option("--id-token-signed-response-alg", metavar="ALG", help="RS256, PS256, ES256 or EdDSA."),
]
LogoUri: TypeAlias = Annotated[str | None, typer.Option("--logo-uri", metavar="URI", help="Its picture.")]
PolicyUri: TypeAlias = Annotated[str | None, typer.Option("--policy-uri", metavar="URI", help="Its privacy policy.")]
TosUri: TypeAlias = Annotated[str | None, typer.Option("--tos-uri", metavar="URI", help="Its terms of service.")]


@app.command("add")
def add_command(
    name: Annotated[str, typer.Option("--name", help="What users see: 1 to 100 characters.")],
    redirect_uris: RedirectUris = None,
    post_logout_redirect_uris: PostLogoutRedirectUris = None,
    public: Public = False,
    grants: Grants = None,
    auth_method: AuthMethod = None,
    scope: Scope = None,
    min_acr: MinAcr = None,
    jwks: Jwks = None,
    algorithm: Algorithm = None,
    logo_uri: LogoUri = None,
    policy_uri: PolicyUri = None,
    tos_uri: TosUri = None,
    as_json: Json = False,
) -> None:
    """Register an application; its secret is shown this once."""
    metadata = _metadata(
        client_name=name,
        redirect_uris=redirect_uris,
        post_logout_redirect_uris=post_logout_redirect_uris,
        token_endpoint_auth_method=_method(auth_method, public),
        grant_types=grants,
        scope=scope,
        min_acr=min_acr,
        jwks=jwks,
        id_token_signed_response_alg=algorithm,
        logo_uri=logo_uri,
        policy_uri=policy_uri,
        tos_uri=tos_uri,
    )
    _show(*run(_add(metadata)), as_json=as_json)


@app.command("update")
def update_command(
    client_id: ClientId,
    name: Name = None,
    redirect_uris: RedirectUris = None,
    post_logout_redirect_uris: PostLogoutRedirectUris = None,
    public: Public = False,
    grants: Grants = None,
    auth_method: AuthMethod = None,
    scope: Scope = None,
    min_acr: MinAcr = None,
    jwks: Jwks = None,
    algorithm: Algorithm = None,
    logo_uri: LogoUri = None,
    policy_uri: PolicyUri = None,
    tos_uri: TosUri = None,
    as_json: Json = False,
) -> None:
    """Change what is given and keep the rest; an empty value takes an optional one away.

    Repeated options replace the whole list. A client that needs a secret from now on gets one, shown this once.
    """
    metadata = _metadata(
        client_name=name,
        redirect_uris=redirect_uris,
        post_logout_redirect_uris=post_logout_redirect_uris,
        token_endpoint_auth_method=_method(auth_method, public),
        grant_types=grants,
        scope=scope,
        min_acr=min_acr,
        jwks=jwks,
        id_token_signed_response_alg=algorithm,
        logo_uri=logo_uri,
        policy_uri=policy_uri,
        tos_uri=tos_uri,
    )
    _show(*run(_update(client_id, metadata)), as_json=as_json)


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


async def ensure_demo_client(pool: Pool, data_dir: Path, port: int = 8001) -> tuple[str, str]:
    """The identifier and secret of the demo application on that port; it is registered if it is not yet.

    The secret lies in ``demo-client.json`` in the data directory, for this user's eyes alone; if that file and the
    database do not fit, a new secret takes its place.
    """
    file = data_dir / "demo-client.json"
    client_id, secret = _read_demo(file)
    metadata = {
        "client_name": "Example Bank",
        "redirect_uris": [f"http://localhost:{port}/callback"],
        "post_logout_redirect_uris": [f"http://localhost:{port}/"],
    }
    async with transaction(pool) as conn:
        client = await clients.find_client(conn, client_id)
        if client is None:
            client, secret = _new_client(metadata)
            await clients.create(conn, client)
        elif not same(sha256(secret), client.secret_hash or b""):
            secret = await _renew_secret(conn, client)
        else:
            await clients.update(conn, registration.amend(client, metadata))
        _write_demo(file, client.client_id, secret)
    return client.client_id, secret


def _read_demo(file: Path) -> tuple[str, str]:
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        kept = json.loads(file.read_text())
        return str(kept["client_id"]), str(kept["client_secret"])
    return "", ""


def _write_demo(file: Path, client_id: str, secret: str) -> None:
    # Written beside and renamed: a reader never finds half of it, and nobody else may read it for a moment.
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump({"client_id": client_id, "client_secret": secret}, opened)
    fresh.rename(file)


def _new_client(metadata: Mapping[str, object]) -> tuple[Client, str]:
    """A new client and its secret, which is empty if it needs none."""
    client = registration.register(metadata, client_id=identifier(system_entropy), now=system_clock())
    return _with_secret(client)


def _with_secret(client: Client) -> tuple[Client, str]:
    """The client with as much of a secret as its way to prove itself needs; the second is empty if none is new."""
    if not registration.needs_secret(client):
        return replace(client, secret_hash=None), ""
    if client.secret_hash is not None:
        return client, ""
    secret = token(system_entropy)
    return replace(client, secret_hash=sha256(secret)), secret


async def _renew_secret(conn: Connection, client: Client) -> str:
    secret = token(system_entropy)
    await clients.rotate_secret(conn, client.client_id, sha256(secret))
    return secret


async def _add(metadata: Mapping[str, object]) -> tuple[Client, str]:
    try:
        client, secret = _new_client(metadata)
    except registration.InvalidMetadata as refusal:
        _refuse_metadata(refusal)
    async with database(settings()) as pool, transaction(pool) as conn:
        await clients.create(conn, client)
    return client, secret


async def _update(client_id: str, metadata: Mapping[str, object]) -> tuple[Client, str]:
    async with database(settings()) as pool, transaction(pool) as conn:
        before = await _locked(conn, client_id)
        try:
            client = registration.amend(before, metadata)
        except registration.InvalidMetadata as refusal:
            _refuse_metadata(refusal)
        client, secret = _with_secret(client)
        await clients.update(conn, client)
        return client, secret


async def _list() -> tuple[Client, ...]:
    async with database(settings()) as pool, transaction(pool) as conn:
        return await clients.list_clients(conn)


async def _get(client_id: str) -> Client:
    async with database(settings()) as pool, transaction(pool) as conn:
        return await _locked(conn, client_id)


async def _set_disabled(client_id: str, *, disabled: bool) -> Client:
    async with database(settings()) as pool, transaction(pool) as conn:
        client = await _locked(conn, client_id)
        await clients.set_disabled(conn, client.client_id, system_clock() if disabled else None)
        return await clients.get_client(conn, client.client_id)


async def _rotate_secret(client_id: str) -> tuple[Client, str]:
    async with database(settings()) as pool, transaction(pool) as conn:
        client = await _locked(conn, client_id)
        if not registration.needs_secret(client):
            refuse(f"this client has no secret: it uses {client.token_endpoint_auth_method}")
        return client, await _renew_secret(conn, client)


async def _remove(client_id: str) -> Client:
    async with database(settings()) as pool, transaction(pool) as conn:
        client = await _locked(conn, client_id)
        await clients.remove(conn, client.client_id)
        return client


async def _locked(conn: Connection, client_id: str) -> Client:
    """The client, held until the end of the transaction; refuses if there is none."""
    try:
        return await clients.lock_client(conn, client_id)
    except LookupError:
        refuse(f"there is no client {client_id!a}")


def _method(auth_method: str | None, public: bool) -> str | None:
    if not public:
        return auth_method
    if auth_method not in (None, "none"):
        raise typer.BadParameter("a public client proves nothing: leave --auth-method out", param_hint="--public")
    return "none"


def _metadata(*, jwks: Path | None, grant_types: list[str] | None, **given: Any) -> dict[str, object]:
    """The members of RFC 7591 §2 for the options that were given; an empty text takes an optional one away."""
    members = {name: value for name, value in given.items() if value is not None}
    for name in {"min_acr", "logo_uri", "policy_uri", "tos_uri"} & members.keys():
        members[name] = members[name] or None
    if grant_types is not None:
        members["grant_types"] = [word for grant in grant_types for word in grant.split()]
    if jwks is not None:
        members["jwks"] = _read_jwks(jwks)
    return members


def _read_jwks(file: Path) -> object:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        refuse(f"{file} cannot be read as JSON")


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
