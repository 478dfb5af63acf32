"""A browser whose owner is not asked there for a second step."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TrustedDevice:
    """A browser that an account trusts ``until`` then; ``id`` is no secret. ``here``: it is the one that asks."""

    id: str
    until: datetime
    user_agent: str | None = None
    here: bool = False
