"""What every handler may use: made once at the start, and frozen."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from starlette.requests import Request

from idp.authn.breaches import BreachList
from idp.authn.methods import Tools
from idp.base.clock import Clock
from idp.base.entropy import Entropy
from idp.keys.keyring import KeyRing
from idp.oauth.issue import Lifetimes
from idp.oauth.request import prompt_values
from idp.store.database import Pool, Step, T, transact
from idp.web.later import Later
from idp.web.pages import Pages
from idp.web.readiness import Readiness


class Allowance:
    """So many a minute, and no more: for what anybody can cause and somebody has to store."""

    def __init__(self, a_minute: int) -> None:
        self._most = a_minute
        self._minute, self._taken = -1, 0

    def take(self, now: datetime) -> bool:
        """Whether one more is within the allowance of this minute."""
        minute = int(now.timestamp()) // 60
        if minute != self._minute:
            self._minute, self._taken = minute, 0
        self._taken += 1
        return self._taken <= self._most


@dataclass(frozen=True, slots=True)
class Provider:
    """This installation at work."""

    issuer: str
    operator: str
    pool: Pool = field(repr=False)
    keys: KeyRing = field(repr=False)
    pages: Pages = field(repr=False)
    tools: Tools = field(repr=False)
    clock: Clock
    entropy: Entropy
    lifetimes: Lifetimes
    later: Later = field(repr=False)
    readiness: Readiness = field(repr=False)
    sign_up: Literal["open", "invite", "off"] = "open"
    min_acr: str | None = None
    enrolment_grace: timedelta = timedelta(0)
    trust_life: timedelta = timedelta(0)
    refusals: Allowance = field(default_factory=lambda: Allowance(600))
    breaches: BreachList | None = None
    breach_failures: Allowance = field(default_factory=lambda: Allowance(1))
    sign_in_notices: bool = True
    factor_recovery_delay: timedelta = timedelta(0)

    @property
    def is_secure(self) -> bool:
        """Whether the issuer is on https, so that cookies may be bound to it."""
        return self.issuer.startswith("https://")

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompt values that a request may have here: to create an account only where anybody may."""
        return prompt_values(sign_up=self.sign_up == "open")

    @property
    def token_endpoint(self) -> str:
        """The address that a client assertion may name as its audience."""
        return f"{self.issuer}/oauth/token"


def provider_of(request: Request) -> Provider:
    """The provider that serves this request."""
    found: Provider = request.app.state.provider
    return found


async def transacted(request: Request, step: Step[T]) -> T:
    """What the step answers, in a transaction of this installation's database: see ``transact``."""
    return await transact(provider_of(request).pool, step)


def moment(request: Request) -> datetime:
    """The time of this request: asked of the clock once, the same for all that it does."""
    if not hasattr(request.state, "now"):
        request.state.now = provider_of(request).clock()
    now: datetime = request.state.now
    return now
