"""Codes that are sent to people, and how many were."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class SentCode:
    """A code of one flow, sent to one recipient; ``digest`` is all that is kept of it.

    ``flow`` names the interaction or session that it belongs to. ``prefix`` is what the recipient has in common with
    its neighbours. One that was not ``sent`` stands in for a code that was held back: nobody knows it. ``generation``
    is the account's when it was made.
    """

    flow: str
    method: str
    sub: str
    recipient: str = field(repr=False)
    prefix: str
    digest: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime
    sent: bool = True
    generation: int = 0


class Tried(Enum):
    """What came of one try at a code."""

    RIGHT = auto()
    WRONG = auto()
    DEAD = auto()
    """There were too many wrong ones: this was the last of them, or it came after that."""
    LATE = auto()
    USED = auto()
    NONE = auto()
    """Nothing was sent in this flow."""


@dataclass(frozen=True, slots=True)
class Sendings:
    """How many codes were sent of late.

    To this recipient in ten minutes; for this account, to this prefix and to all in an hour. ``over`` are those of the
    same method to the prefix in six hours that were used or have expired, ``used`` those of them that were used.
    """

    to_recipient: int
    of_account: int
    to_prefix: int
    to_all: int
    over: int
    used: int
