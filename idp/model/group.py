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
    """A user's groups, and when what these ask for has to be enrolled: None while that has not begun to count."""

    groups: tuple[Group, ...] = ()
    enrolment_due_at: datetime | None = None
