"""One user's approval of one client, and what hangs on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from idp.model.assurance import Assurance


@dataclass(frozen=True, slots=True)
class Authorization:
    """The parent under which a code and all tokens that came of it die together.

    ``client_scope`` is what the client is registered for at the moment in which a live authorization was read.
    """

    id: str
    sub: str
    client_id: str
    session_id: str | None
    scope: tuple[str, ...]
    claims: Mapping[str, Any]
    assurance: Assurance
    created_at: datetime
    revoked_at: datetime | None = None
    client_scope: tuple[str, ...] = ()

    @property
    def offline(self) -> bool:
        """Whether it outlives the session (OpenID Connect Core §11)."""
        return "offline_access" in self.scope


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """A client that a user has allowed something, or that can act for them now.

    ``scope`` is all of it; ``since`` is the first of it that still holds, ``last_used_at`` the last time that tokens
    were had for it, as far as that is kept.
    """

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    scope: tuple[str, ...]
    since: datetime
    last_used_at: datetime | None = None

    @property
    def offline(self) -> bool:
        """Whether it may act while the user is away (OpenID Connect Core §11)."""
        return "offline_access" in self.scope


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """What a code was issued for; the code itself is stored as its digest alone."""

    authorization_id: str
    client_id: str
    redirect_uri: str
    code_challenge: str
    nonce: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token's record; the token itself is stored as its digest alone."""

    authorization_id: str
    client_id: str
    expires_at: datetime
    consumed_at: datetime | None = None
