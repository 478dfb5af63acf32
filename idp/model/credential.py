"""Enrolled authenticators."""

from dataclasses import dataclass, field
from datetime import datetime

from idp.base.text import Phrase
from idp.model.assurance import Evidence


@dataclass(frozen=True, slots=True)
class TotpCredential:
    """An authenticator app with a seed of ours (RFC 6238); ``last_step`` is the newest step accepted."""

    id: str
    sub: str
    name: str
    sealed_seed: bytes
    created_at: datetime
    last_step: int | None = None
    confirmed_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TotpEnrolment:
    """An authenticator app whose key was shown in one session, and which waits there for its first code.

    ``id`` will be the credential's; ``generation`` is the account's when the key was shown.
    """

    session_id: str
    id: str
    sub: str
    generation: int
    sealed_seed: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WebAuthnCredential:
    """A security key, platform authenticator or passkey (WebAuthn Level 3 §4, credential record).

    A ``voluntary`` one was made by the browser by itself after a sign-in by password: it can be used, and is never
    asked for, since its owner may not know that it is there.
    """

    id: str
    sub: str
    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: str
    transports: tuple[str, ...]
    backup_eligible: bool
    backed_up: bool
    uv_initialized: bool
    discoverable: bool
    attested: bool
    created_at: datetime
    last_used_at: datetime | None = None
    voluntary: bool = False


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """A user's one set of recovery codes: how many there were and are left, and the salt with which all are hashed."""

    total: int
    left: int
    created_at: datetime
    salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """One way in which a user can prove who they are, as the login flow needs to know it.

    The three flags are what a use of it will show at best; ``evidence`` turns the way into that best case. A ``locked``
    one still counts for what the account asks, and cannot be used; a ``voluntary`` one can be, and does not count. A
    ``discoverable`` one finds the account by itself.
    """

    method: str
    name: Phrase
    credential_id: str | None = None
    user_verified: bool = False
    device_bound: bool = False
    attested: bool = False
    last_used_at: datetime | None = None
    locked: bool = False
    voluntary: bool = False
    discoverable: bool = False

    @property
    def begins_alone(self) -> bool:
        """Whether it signs in with nothing before it and nothing beside it, not even a name."""
        return self.method == "webauthn" and self.user_verified and self.discoverable

    def evidence(self, at: datetime) -> Evidence:
        """What a use of this authenticator at that time would show."""
        return Evidence(self.method, at, self.credential_id, self.user_verified, self.device_bound, self.attested)
