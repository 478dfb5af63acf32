"""What `idp client add` and `update` take, and the metadata that it stands for."""

import json
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from idp.cli.output import refuse
from idp.oauth import registration
from idp.oauth.response_modes import RESPONSE_MODES

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
ResponseModes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--response-mode", metavar="MODE", help=f"{', '.join(RESPONSE_MODES)}. May be repeated."),
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


def auth_method_of(auth_method: str | None, public: bool) -> str | None:
    """The way in which the client proves itself, as far as it is said; refuses a contradiction as bad usage."""
    if not public:
        return auth_method
    if auth_method not in (None, "none"):
        raise typer.BadParameter("a public client proves nothing: leave --auth-method out", param_hint="--public")
    return "none"


def metadata(
    redirect_uris: RedirectUris = None,
    post_logout_redirect_uris: PostLogoutRedirectUris = None,
    public: Public = False,
    grants: Grants = None,
    response_modes: ResponseModes = None,
    auth_method: AuthMethod = None,
    scope: Scope = None,
    min_acr: MinAcr = None,
    jwks: Jwks = None,
    algorithm: Algorithm = None,
    logo_uri: LogoUri = None,
    policy_uri: PolicyUri = None,
    tos_uri: TosUri = None,
) -> dict[str, object]:
    """The members of RFC 7591 §2 for the options that were given; an empty text takes an optional one away."""
    members: dict[str, object] = {
        "redirect_uris": redirect_uris,
        "post_logout_redirect_uris": post_logout_redirect_uris,
        "token_endpoint_auth_method": auth_method_of(auth_method, public),
        "grant_types": None if grants is None else [word for grant in grants for word in grant.split()],
        "response_modes": response_modes,
        "scope": scope,
        "jwks": None if jwks is None else _read_jwks(jwks),
        "id_token_signed_response_alg": algorithm,
    }
    optional = {"min_acr": min_acr, "logo_uri": logo_uri, "policy_uri": policy_uri, "tos_uri": tos_uri}
    given = {name: value for name, value in members.items() if value is not None}
    return given | {name: value or None for name, value in optional.items() if value is not None}


def taking_metadata(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of `metadata` in the place of its parameter ``given``, which gets the members."""
    options = signature(metadata).parameters

    @wraps(command)
    def taking(**typed: object) -> None:
        # Typer has read each value as its annotation in `metadata` says.
        members = metadata(**{name: typed.pop(name) for name in options})  # type: ignore[arg-type]
        command(**typed, given=members)

    own = signature(command)
    keywords = [
        each.replace(kind=Parameter.KEYWORD_ONLY)
        for one in own.parameters.values()
        for each in (options.values() if one.name == "given" else [one])
    ]
    # Typer reads from these two what a command takes; a function's type does not declare the first (PEP 362).
    taking.__signature__ = own.replace(parameters=keywords)  # type: ignore[attr-defined]
    taking.__annotations__ = {one.name: one.annotation for one in keywords}
    return taking


def _read_jwks(file: Path) -> object:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        refuse(f"{file} cannot be read as JSON")
