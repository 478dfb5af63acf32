"""A request to have the lost second factors of an account removed, which has to wait before it can be granted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

State: TypeAlias = Literal["waiting", "cancelled", "done"]


@dataclass(frozen=True, slots=True)
class FactorRecovery:
    """One request of an account; it can be granted from ``not_before`` until ``not_after``, and cancelled till then.

    ``email_canonical`` is the address that had been told of it: with any other it is worth nothing. The secrets of its
    links follow from ``id`` and the master key, and only their digests are kept. ``generation`` is the account's when
    it was asked for.
    """

    id: str
    sub: str
    email_canonical: str
    state: State
    created_at: datetime
    not_before: datetime
    not_after: datetime
    generation: int = 0
