"""Groups of people, of whom an organisation asks the same."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Group:
    """A group, the level that it asks of its members if any, and how many they are."""

    name: str
    min_acr: str | None
    created_at: datetime
    members: int = 0


@dataclass(frozen=True, slots=True)
class Membership:
    """The levels that a user's groups ask for, and when these have to be enrolled: None before that counts."""

    levels: tuple[str, ...] = ()
    enrolment_due_at: datetime | None = None
