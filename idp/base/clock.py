"""The one place that asks the machine what time it is."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Answers the present moment as an aware datetime in UTC."""

Steady: TypeAlias = Callable[[], float]
"""Answers the seconds since some moment in the past; nobody can set it, and it never goes back."""

LONGEST_ROUND_TRIP = 1.0
"""Seconds: whoever took longer to say the time may have said it anywhere in between, and is not believed."""

# Where there is one, the clock that also counts while the machine sleeps.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def system_clock() -> datetime:
    """The machine's own time, aware and in UTC."""
    return datetime.now(UTC)


def steady_clock() -> float:
    """The seconds since this machine was started, which no setting of its time changes."""
    return time.clock_gettime(_STEADY)


@dataclass(frozen=True, slots=True)
class Reading:
    """What another clock said, and when on the steady clock (seconds) it was asked and had answered."""

    said: datetime
    asked: float
    answered: float

    @property
    def round_trip(self) -> float:
        """How long the answer took, in seconds."""
        return self.answered - self.asked

    @property
    def middle(self) -> float:
        """When the time was said, as far as can be known: half of the round trip is the most that this is wrong by."""
        return (self.asked + self.answered) / 2


class CarriedClock:
    """The time of another clock, carried forward by this machine's steady clock from one reading to the next.

    A jump of the machine's own time changes nothing of it. ``wall`` is that time, which is only compared.
    """

    def __init__(self, *, steady: Steady = steady_clock, wall: Clock = system_clock) -> None:
        self.steady = steady
        self._wall = wall
        self._reading: Reading | None = None

    def __call__(self) -> datetime:
        """The time of the other clock now; raises ``LookupError`` before the first reading."""
        if self._reading is None:
            raise LookupError("the other clock has not been read yet")
        return self._reading.said + timedelta(seconds=self.steady() - self._reading.middle)

    def follow(self, reading: Reading) -> bool:
        """Go by this reading from now on; False where its round trip was too long, and then nothing changes."""
        if reading.round_trip > LONGEST_ROUND_TRIP:
            return False
        self._reading = reading
        return True

    def lead(self) -> timedelta:
        """How far the machine's own time is ahead of the other clock; less than zero where it is behind."""
        return self._wall() - self()
