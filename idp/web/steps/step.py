"""What a step is: the page on which a method is used, and the words for it everywhere else."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from starlette.requests import Request

from idp.base.text import Phrase
from idp.model.user import User
from idp.store.database import Connection
from idp.web.flow import Visit
from idp.web.pages import Fault, Page


@dataclass(frozen=True, slots=True)
class Stage:
    """A visit at a step: what was wrong with the ``form`` submitted last, and what was ``used`` to get so far.

    ``path`` is where the forms of the step go: to the sign-in, or to another flow that asks for a proof.
    ``trust_days`` is for how many days the browser may be trusted after it, None if it may not.
    """

    visit: Visit
    fault: Fault | None
    form: Mapping[str, str] = field(repr=False)
    used: Phrase | None = None
    path: str = "/login"
    trust_days: int | None = None

    @property
    def here(self) -> str:
        """The query that names the interaction."""
        return f"interaction={self.visit.interaction.id}"

    def action(self, method: str) -> str:
        """Where a proof by this method goes."""
        return f"{self.path}?{self.here}&method={method}"

    def send_url(self, method: str) -> str:
        """Where a code of this method is asked for."""
        return f"{self.path}/send-code?{self.here}&method={method}"

    @property
    def other_ways_url(self) -> str:
        """The page of all ways."""
        return f"{self.path}/another-way?{self.here}"

    @property
    def not_you_url(self) -> str | None:
        """Where somebody else starts over; nobody does where a link has said whose account it is."""
        return f"/login/other-account?{self.here}" if self.path == "/login" else None


Draw: TypeAlias = Callable[[Request, Connection, Stage], Awaitable[Page]]
"""Draws the page of a step."""
Tell: TypeAlias = Callable[[Request, Connection, User], Awaitable[None]]
"""Lets the owner of an authenticator know that it was used."""


@dataclass(frozen=True, slots=True)
class Step:
    """A method as people meet it.

    ``title`` names it among choices; ``used`` completes "You signed in with …"; ``counted`` is so many of it.
    ``tell`` is there where each use is worth a notice.
    """

    method: str
    icon: str
    title: Phrase
    used: Phrase
    counted: Callable[[int], Phrase]
    draw: Draw
    tell: Tell | None = None
