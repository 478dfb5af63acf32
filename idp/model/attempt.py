"""Failed attempts, as they are counted."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Source:
    """Where attempts come from: a network (a prefix of addresses), and the browser if its owner signed in there before.

    ``device`` is the digest of the browser's own secret, in hexadecimal, when it is known for the account in question.
    """

    network: str
    device: str | None = None

    @property
    def name(self) -> str:
        """The known browser, or else the network."""
        return f"device {self.device}" if self.device else f"network {self.network}"


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """What misses are counted under: a factor, of one account or of all (``""``), from one source or all (``""``)."""

    factor: str
    subject: str
    source: str


@dataclass(frozen=True, slots=True)
class Tally:
    """The misses in a bucket: since the last success from the same source, and in the window under way."""

    misses: int
    window_misses: int
    window_from: datetime
    last_missed_at: datetime
