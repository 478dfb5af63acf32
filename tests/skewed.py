"""The product in a process whose machine has a wrong clock: ``TEST_SKEW`` is how many seconds it is ahead.

As an application for uvicorn it is the server, as a program (``python -m tests.skewed``) it is the command ``idp``.
The steady clock goes on as ever, as it does on a machine whose time is set.
"""

import os
import time
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Self

import idp.base.clock
from idp.cli import main
from idp.cli.serve import application as served

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_SKEW = timedelta(seconds=float(os.environ["TEST_SKEW"]))
_true_time = time.time


class _Skewed(datetime):
    """The datetimes of a machine with a wrong clock."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + _SKEW


def skew() -> None:
    """Make the clock of this process wrong, for the one place that asks for it and for whoever goes past that."""
    vars(idp.base.clock)["datetime"] = _Skewed
    time.time = lambda: _true_time() + _SKEW.total_seconds()


def application() -> "ASGIApp":
    """The server."""
    skew()
    return served()


if __name__ == "__main__":
    skew()
    main()
