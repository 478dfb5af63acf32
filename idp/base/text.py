"""What is said to people, put into their language only where it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn, TypeAlias


class _Unspoken:
    """Has no words of its own until a language gives it some: to print it by mistake is an error, seen at once."""

    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no words before a language is chosen")

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError(f"{self!r} has no words before a language is chosen")


@dataclass(frozen=True, slots=True)
class Text(_Unspoken):
    """A sentence or a few words, in English as the catalogues know it, with values for its ``%(names)s``.

    With ``plural`` it is said of ``count`` things, which the message names ``%(count)s``. A value may itself be
    anything that a language puts into words.
    """

    message: str
    values: Mapping[str, object] = field(default_factory=dict, hash=False)
    plural: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Day(_Unspoken):
    """A day, of which the year may go without saying."""

    at: datetime
    year: bool = True


@dataclass(frozen=True, slots=True)
class Moment(_Unspoken):
    """A day and a time of day, in UTC."""

    at: datetime
    year: bool = True


@dataclass(frozen=True, slots=True)
class Hour(_Unspoken):
    """A time of day, in UTC."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Listing(_Unspoken):
    """Some things, all of which count: a, b and c."""

    items: tuple["Phrase", ...]


Spoken: TypeAlias = Text | Day | Moment | Hour | Listing
"""What a language has words for."""

Phrase: TypeAlias = str | Spoken
"""What is shown to people: words of ours, or what somebody typed, which stays as it is."""


def say(message: str, **values: object) -> Text:
    """This message, which has to stand here as a literal for the catalogues to know it."""
    return Text(message, values)


def say_many(one: str, many: str, count: int, **values: object) -> Text:
    """The first message for one thing, the second for any other count; both may name ``%(count)s``."""
    return Text(one, values, many, count)
