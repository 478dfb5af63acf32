"""Scopes: which ones there are, what each opens, and what a client gets of those it asks for."""

from collections.abc import Iterable

SCOPE_CLAIMS: dict[str, tuple[str, ...]] = {
    "openid": ("sub",),
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
    "offline_access": (),
}
"""The scopes of OpenID Connect Core §5.4 and §11, each with the claims that it opens."""


def allowed(asked: tuple[str, ...], registered: Iterable[str]) -> tuple[str, ...]:
    """The asked scopes that the client is registered for, in its order; others are dropped (RFC 6749 §3.3)."""
    return tuple(word for word in asked if word in registered)


def of_claims(names: Iterable[str]) -> tuple[str, ...]:
    """The scopes that would open these claims, so that consent covers claims asked for one by one."""
    wanted = set(names)
    return tuple(scope for scope, claims in SCOPE_CLAIMS.items() if scope != "openid" and wanted & set(claims))
