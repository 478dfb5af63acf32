"""The life of signing keys: what is due, as a pure function of the ring, the time and the policy.

A key is published as *next* long before it signs, so that a validator which keeps the JWKS for its whole
max-age knows it by then; it is *retired*, published still, until no token signed by it can be valid any more; and then
*withdrawn*, published no more, for as long as an application may send an ID token of a living session back as a hint.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from idp.base.jwk import ALGORITHMS, Algorithm
from idp.model.signing_key import SigningKey, State

SKEW = timedelta(seconds=60)

Rows: TypeAlias = tuple[SigningKey, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """How long things live: a signing key, a cached JWKS, its spread to every node, the longest-lived token, a hint.

    An ID token is good as a hint for as long as the session can last in which it was issued (``hint_life``).
    """

    key_life: timedelta
    max_age: timedelta
    propagation: timedelta
    token_life: timedelta
    hint_life: timedelta

    @property
    def lead(self) -> timedelta:
        """How long a key is published before it may sign."""
        return self.max_age + self.propagation

    @property
    def retention(self) -> timedelta:
        """How long a key stays published after its last signature."""
        return self.token_life + self.max_age + SKEW

    @property
    def memory(self) -> timedelta:
        """How long a key is kept after its last signature, published or not."""
        return max(self.retention, self.hint_life + SKEW)


@dataclass(frozen=True, slots=True)
class Publish:
    """Make a key for the algorithm and publish it: as the next one, or active at once where there is no other."""

    alg: Algorithm
    active: bool = False


@dataclass(frozen=True, slots=True)
class Activate:
    """Let the next key sign."""

    kid: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Let the active key sign no more and throw its private half away."""

    kid: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take the key out of the JWKS, and believe nothing under it but hints."""

    kid: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove the key for good: nothing is believed under it any more."""

    kid: str


Action: TypeAlias = Publish | Activate | Retire | Withdraw | Forget


class TooEarly(Exception):
    """The next key cannot take over yet; ``when`` is the moment from which it can."""

    def __init__(self, alg: str, when: datetime) -> None:
        super().__init__(f"the next {alg} key may sign from {when.isoformat()}")
        self.alg = alg
        self.when = when


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """What the removal of a key breaks.

    ``tokens_until``: until when tokens signed by it would have been good, None if none can be left.
    ``hints_until``: until when its ID tokens would have been good as hints, None if none can be left.
    ``cached_until``: until when a validator that keeps its copy of the JWKS may go on believing its tokens.
    ``successor``: the published key that takes over, None if a new one is made or nothing need be taken over.
    ``gap_until``: until when a validator that keeps its copy may not know the successor, None if all know it.
    """

    kid: str
    alg: str
    state: State
    tokens_until: datetime | None
    hints_until: datetime | None
    cached_until: datetime
    successor: str | None
    gap_until: datetime | None


def plan(rows: Rows, now: datetime, policy: Policy, *, damaged: frozenset[str] = frozenset()) -> tuple[Action, ...]:
    """Everything that is due now, in the order in which it is to be done; empty if all is as it should be.

    For each algorithm there is one active key and one published next to it. ``damaged`` are the keys whose
    private half does not open: they are replaced at once, since they cannot sign.
    """
    lines = (_line(alg, rows, now, policy, damaged) for alg in ALGORITHMS)
    return (*(action for line in lines for action in line), *_farewells(rows, now, policy))


def rotation(rows: Rows, alg: Algorithm, now: datetime, policy: Policy) -> tuple[Action, ...]:
    """What lets the next key of the algorithm take over now; raises ``TooEarly`` if it is not known widely enough."""
    active, waiting = _find(rows, alg, "active"), _find(rows, alg, "next")
    if waiting is None:
        raise TooEarly(alg, now + policy.lead)
    if now < ready_at(waiting, policy):
        raise TooEarly(alg, ready_at(waiting, policy))
    return (*_retirement(active), Activate(waiting.kid), Publish(alg))


def ready_at(key: SigningKey, policy: Policy) -> datetime:
    """From when every validator that honours the JWKS's max-age knows the key."""
    return key.published_at + policy.lead


def until(key: SigningKey, rows: Rows, policy: Policy) -> datetime | None:
    """When the key leaves its present state if nobody interferes; None if that is not known yet."""
    if key.retired_at is not None:
        return key.retired_at + (policy.retention if key.is_published else policy.memory)
    active, waiting = _find(rows, key.alg, "active"), _find(rows, key.alg, "next")
    return None if active is None or waiting is None else _changeover(active, waiting, policy)


def blast_radius(rows: Rows, kid: str, now: datetime, policy: Policy) -> BlastRadius:
    """What it would break to remove the key now; raises ``LookupError`` if the ring has no such key."""
    key = next((key for key in rows if key.kid == kid), None)
    if key is None:
        raise LookupError(f"no signing key has the kid {kid}")
    successor, gap = None, None
    if key.state == "active":
        successor = _find(rows, key.alg, "next")
        gap = now + policy.lead if successor is None else ready_at(successor, policy)
    last_signature = now if key.state == "active" else key.retired_at
    return BlastRadius(
        kid=kid,
        alg=key.alg,
        state=key.state,
        tokens_until=_if_after(last_signature and last_signature + policy.token_life, now),
        hints_until=_if_after(last_signature and last_signature + policy.hint_life, now),
        cached_until=(key.withdrawn_at or now) + policy.max_age,
        successor=successor.kid if successor else None,
        gap_until=_if_after(gap, now),
    )


def _line(alg: Algorithm, rows: Rows, now: datetime, policy: Policy, damaged: frozenset[str]) -> Iterator[Action]:
    """What is due for one algorithm."""
    active, waiting = _find(rows, alg, "active"), _find(rows, alg, "next")
    if waiting is not None and waiting.kid in damaged:
        yield Forget(waiting.kid)
        waiting = None
    if active is None or active.kid in damaged:
        yield from _retirement(active)
        yield Activate(waiting.kid) if waiting else Publish(alg, active=True)
        yield Publish(alg)
    elif waiting is None:
        yield Publish(alg)
    elif now >= _changeover(active, waiting, policy):
        yield from (Retire(active.kid), Activate(waiting.kid), Publish(alg))


def _farewells(rows: Rows, now: datetime, policy: Policy) -> Iterator[Action]:
    """What is due for the keys that sign no more."""
    for key in rows:
        if key.retired_at is None:
            continue
        if now >= key.retired_at + policy.memory:
            yield Forget(key.kid)
        elif key.is_published and now >= key.retired_at + policy.retention:
            yield Withdraw(key.kid)


def _retirement(active: SigningKey | None) -> Iterable[Retire]:
    return () if active is None else (Retire(active.kid),)


def _changeover(active: SigningKey, waiting: SigningKey, policy: Policy) -> datetime:
    return max(active.since + policy.key_life, ready_at(waiting, policy))


def _find(rows: Rows, alg: str, state: State) -> SigningKey | None:
    return next((key for key in rows if key.alg == alg and key.state == state), None)


def _if_after(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment > now else None
