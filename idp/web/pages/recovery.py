"""Pages of a recovery that waits: to ask that lost second factors are removed, and to finish it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Self

from idp.base.text import Text, say_many
from idp.web.pages.parts import Fault, Person


@dataclass(frozen=True, slots=True)
class LostFactorsPage:
    """What somebody can do who has lost all second factors, and how long it takes."""

    template: ClassVar[str] = "lost_factors.html"
    action: str
    person: Person
    delay: timedelta
    back_url: str

    @property
    def wait(self) -> Text:
        """The delay in words: in days where it is whole days."""
        hours = int(self.delay / timedelta(hours=1))
        if hours % 24 == 0:
            return say_many("%(count)s day", "%(count)s days", hours // 24)
        return say_many("%(count)s hour", "%(count)s hours", hours)

    @classmethod
    def sample(cls) -> Self:
        """The usual delay."""
        return cls("/recover/factor", Person("alice"), timedelta(hours=72), "/login")


@dataclass(frozen=True, slots=True)
class RemoveFactorsPage:
    """The password, which removes the second factors together with ``secret`` that came by mail."""

    template: ClassVar[str] = "remove_factors.html"
    action: str
    person: Person
    secret: str
    fault: Fault | None = None

    @classmethod
    def sample(cls) -> Self:
        """As it is when the link was opened."""
        return cls("/recover/factor/finish", Person("alice"), "DJ7tQmWn0c1VY2b3kX5yZ6a8s9d0f1g2h3j4k5l6m7n")
