"""How sure we are of a user: what was used, and what that amounts to."""

from dataclasses import dataclass
from datetime import datetime

ACR_VALUES = ("1fa", "mfa", "phr", "phrh")
"""Authentication context class references in rising order; each one meets those before it."""


def rank(acr: str) -> int:
    """The place of an acr value in the order, from 0; raises ValueError for one that is not ours."""
    return ACR_VALUES.index(acr)


def meets(acr: str | None, wanted: str) -> bool:
    """Whether an acr value is the wanted one or a higher one."""
    return acr is not None and rank(acr) >= rank(wanted)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One authenticator really used, and what its use showed."""

    method: str
    at: datetime
    credential_id: str | None = None
    user_verified: bool = False
    device_bound: bool = False
    attested: bool = False


@dataclass(frozen=True, slots=True)
class Assurance:
    """What a sign-in amounts to: the claims acr, amr (RFC 8176) and auth_time (OpenID Connect Core §2)."""

    acr: str
    amr: tuple[str, ...]
    auth_time: datetime
