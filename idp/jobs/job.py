"""What a job is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from idp.base.seal import MasterKey
from idp.store.database import Connection
from idp.store.expiry import BATCH


@dataclass(frozen=True, slots=True)
class Duties:
    """What jobs need of this installation.

    ``audit`` is how long the trail is kept, and ``master`` the key of its seals. ``remind`` writes to so many people at
    most whose recovery of lost factors is ripe, and answers how many these were.
    """

    audit: timedelta
    master: MasterKey = field(repr=False)
    remind: Callable[[Connection, datetime, int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Round:
    """One batch of one run: its moment, and how many rows it may take."""

    duties: Duties
    now: datetime
    limit: int


Batch: TypeAlias = Callable[[Connection, Round], Awaitable[int]]
"""Does some of a job in one transaction, and answers how many rows it took; as many as it may: there is more."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is done by itself, over and over.

    A run ends after ``batches``, though more be left, so that no job keeps the others waiting: that is taken up again
    soon.
    """

    name: str
    every: timedelta
    batch: Batch
    size: int = BATCH
    batches: int = 50
