"""A browser in which a user is signed in."""

from dataclasses import dataclass
from datetime import datetime

from idp.model.assurance import Evidence


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser; ``id`` is the ``sid`` claim, while its cookie holds another, rotating secret.

    ``enrolment_deferred_at`` is when its user said "later" to what the organisation asks them to add.
    """

    id: str
    sub: str
    evidence: tuple[Evidence, ...]
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    address: str | None = None
    user_agent: str | None = None
    enrolment_deferred_at: datetime | None = None
