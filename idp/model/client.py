"""A relying application as the operator registered it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client; its members are the client metadata of RFC 7591 §2.

    ``logo_digest`` names our own copy of the picture at ``logo_uri``, if there is one.
    """

    client_id: str
    client_name: str
    token_endpoint_auth_method: str
    created_at: datetime
    secret_hash: bytes | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    response_modes: tuple[str, ...] = ("query", "form_post")
    scope: tuple[str, ...] = ("openid", "profile", "email", "phone", "offline_access")
    jwks: Mapping[str, Any] | None = None
    id_token_signed_response_alg: str = "RS256"
    min_acr: str | None = None
    logo_uri: str | None = None
    logo_digest: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    disabled_at: datetime | None = None

    @property
    def is_public(self) -> bool:
        """Whether it has no credentials of its own (RFC 6749 §2.1)."""
        return self.token_endpoint_auth_method == "none"
