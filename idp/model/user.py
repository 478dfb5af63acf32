"""A person with an account here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class User:
    """An account; ``sub`` is its only lasting name towards applications (OpenID Connect Core §2).

    ``generation`` is raised where what was begun before must not go on: see ``store.users.raise_generation``.
    """

    sub: str
    username: str
    created_at: datetime
    updated_at: datetime
    email: str | None = None
    email_verified: bool = False
    phone: str | None = None
    phone_verified: bool = False
    profile: Mapping[str, Any] = field(default_factory=dict)
    password_hash: str | None = None
    password_changed_at: datetime | None = None
    disabled_at: datetime | None = None
    generation: int = 0
