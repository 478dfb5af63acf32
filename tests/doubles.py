"""The two doubles that every test may use: a clock that stands still, and randomness that repeats itself."""

import random
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class FrozenClock:
    """A clock that only moves when told to."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: float | timedelta) -> datetime:
        """Move on by so many seconds, or by a duration, and return the new time."""
        self.now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        return self.now


class SeededEntropy:
    """Bytes that look random and are the same in every run; no two calls return the same."""

    def __init__(self, seed: int = 7) -> None:
        self._source = random.Random(seed)  # noqa: S311 - the point is that it repeats

    def __call__(self, size: int) -> bytes:
        return self._source.randbytes(size)
