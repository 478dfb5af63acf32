"""What is kept of a job: how it went last, and when it is due."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class JobRun:
    """The last run of a job and its next one.

    ``rows`` is how many it went through. ``fault`` is why it failed, None where it did not. A run without an end is
    under way, or the process that did it has died.
    """

    name: str
    next_at: datetime
    last_started_at: datetime | None = None
    last_ended_at: datetime | None = None
    rows: int | None = None
    fault: str | None = None
