"""What `idp client add` and `update` take, and the metadata that it stands for."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from idp.cli.output import refuse
from idp.oauth import registration

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


def auth_method_of(auth_method: str | None, public: bool) -> str | None:
    """The way in which the client proves itself, as far as it is said; refuses a contradiction as bad usage."""
    if not public:
        return auth_method
    if auth_method not in (None, "none"):
        raise typer.BadParameter("a public client proves nothing: leave --auth-method out", param_hint="--public")
    return "none"


def metadata(*, jwks: Path | None, grant_types: list[str] | None, **given: Any) -> dict[str, object]:
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
