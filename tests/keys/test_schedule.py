"""The life of signing keys as a pure function: what is due when, and that no validator ever meets an unknown key."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.base.jwk import ALGORITHMS
from idp.keys.schedule import (
    SKEW,
    Action,
    Activate,
    BlastRadius,
    Forget,
    Policy,
    Publish,
    Retire,
    Rows,
    TooEarly,
    Withdraw,
    blast_radius,
    plan,
    rotation,
    until,
)
from idp.model.signing_key import SigningKey

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
POLICY = Policy(
    key_life=timedelta(days=90),
    max_age=timedelta(hours=1),
    propagation=timedelta(minutes=5),
    token_life=timedelta(minutes=10),
    hint_life=timedelta(hours=12),
)
LEAD = timedelta(minutes=65)
RETENTION = timedelta(minutes=71)
MEMORY = timedelta(hours=12, minutes=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def key(
    kid: str,
    *,
    published: timedelta,
    activated: timedelta | None = None,
    retired: timedelta | None = None,
    withdrawn: timedelta | None = None,
    alg: str = "RS256",
) -> SigningKey:
    """A key whose moments are given as time ago."""
    return SigningKey(
        kid=kid,
        alg=alg,
        public_jwk={},
        published_at=NOW - published,
        activated_at=None if activated is None else NOW - activated,
        retired_at=None if retired is None else NOW - retired,
        withdrawn_at=None if withdrawn is None else NOW - withdrawn,
    )


def due(*rows: SigningKey, damaged: frozenset[str] = frozenset()) -> tuple[Action, ...]:
    """What is due for RS256 alone: the other algorithms are in good order."""
    others = [
        other
        for alg in ALGORITHMS[1:]
        for other in (
            key(f"{alg} active", published=DAY, activated=DAY, alg=alg),
            key(f"{alg} next", published=DAY, alg=alg),
        )
    ]
    return plan((*rows, *others), NOW, POLICY, damaged=damaged)


YOUNG = key("young", published=DAY, activated=DAY)
OLD = key("old", published=92 * DAY, activated=90 * DAY)
KNOWN = key("known", published=LEAD)
FRESH = key("fresh", published=LEAD - SECOND)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param((YOUNG, KNOWN), (), id="all as it should be"),
        pytest.param((YOUNG,), (Publish("RS256"),), id="no next: one is published"),
        pytest.param((OLD, FRESH), (), id="F10 old, but the next is not known everywhere"),
        pytest.param((OLD, KNOWN), (Retire("old"), Activate("known"), Publish("RS256")), id="old, and the next known"),
        pytest.param((OLD,), (Publish("RS256"),), id="old without a next: published first"),
        pytest.param((), (Publish("RS256", active=True), Publish("RS256")), id="first start"),
        pytest.param((FRESH,), (Activate("fresh"), Publish("RS256")), id="nothing signs: the next does at once"),
        pytest.param(
            (YOUNG, KNOWN, key("over", published=DAY, activated=DAY, retired=RETENTION)),
            (Withdraw("over"),),
            id="F11 retired for as long as a token may live: withdrawn, for hints come later",
        ),
        pytest.param(
            (YOUNG, KNOWN, key("over", published=DAY, activated=DAY, retired=RETENTION - SECOND)),
            (),
            id="F11 retired a second less",
        ),
        pytest.param(
            (YOUNG, KNOWN, key("w", published=DAY, activated=DAY, retired=MEMORY - SECOND, withdrawn=SECOND)),
            (),
            id="withdrawn, a hint may still come",
        ),
        pytest.param(
            (YOUNG, KNOWN, key("w", published=DAY, activated=DAY, retired=MEMORY, withdrawn=SECOND)),
            (Forget("w"),),
            id="withdrawn for as long as a session may last",
        ),
        pytest.param(
            (YOUNG, KNOWN, key("r", published=DAY, activated=DAY, retired=MEMORY)),
            (Forget("r"),),
            id="retired, and nobody was there to withdraw it",
        ),
        pytest.param(
            (key("early", published=LEAD, activated=90 * DAY - SECOND), KNOWN), (), id="a second before its time"
        ),
    ],
)
def test_what_is_due(rows: Rows, expected: tuple[Action, ...]) -> None:
    assert due(*rows) == expected


@pytest.mark.parametrize(
    ("rows", "damaged", "expected"),
    [
        pytest.param(
            (YOUNG, FRESH),
            "young",
            (Retire("young"), Activate("fresh"), Publish("RS256")),
            id="a damaged active key is replaced at once",
        ),
        pytest.param((YOUNG, KNOWN), "known", (Forget("known"), Publish("RS256")), id="a damaged next key"),
        pytest.param(
            (YOUNG, KNOWN),
            "young known",
            (Forget("known"), Retire("young"), Publish("RS256", active=True), Publish("RS256")),
            id="both",
        ),
    ],
)
def test_a_damaged_key_is_replaced(rows: Rows, damaged: str, expected: tuple[Action, ...]) -> None:
    assert due(*rows, damaged=frozenset(damaged.split())) == expected


def test_an_empty_ring_gets_two_keys_for_each_algorithm() -> None:
    actions = plan((), NOW, POLICY)
    assert actions == tuple(action for alg in ALGORITHMS for action in (Publish(alg, active=True), Publish(alg)))


def test_each_algorithm_has_a_line_of_its_own() -> None:
    rows = (OLD, KNOWN, replace(YOUNG, kid="es", alg="ES256"), replace(FRESH, kid="es next", alg="ES256"))
    touched = {action.alg for action in plan(rows, NOW, POLICY) if isinstance(action, Publish)}
    assert touched == {"RS256", "PS256", "EdDSA"}


def test_a_key_of_a_foreign_algorithm_is_left_alone() -> None:
    assert due(YOUNG, KNOWN, key("foreign", published=DAY, alg="ES512")) == ()


def test_rotation_on_demand_takes_the_next_key() -> None:
    assert rotation((YOUNG, KNOWN), "RS256", NOW, POLICY) == (
        Retire("young"),
        Activate("known"),
        Publish("RS256"),
    )


@pytest.mark.parametrize(
    ("rows", "when"),
    [
        pytest.param((YOUNG, FRESH), NOW + SECOND, id="published a second too late"),
        pytest.param((YOUNG,), NOW + LEAD, id="no next key yet"),
        pytest.param((), NOW + LEAD, id="empty ring"),
    ],
)
def test_rotation_too_early_says_from_when(rows: Rows, when: datetime) -> None:
    with pytest.raises(TooEarly) as refused:
        rotation(rows, "RS256", NOW, POLICY)
    assert (refused.value.alg, refused.value.when) == ("RS256", when)


@pytest.mark.parametrize(
    ("rows", "kid", "expected"),
    [
        pytest.param((YOUNG, KNOWN), "young", NOW + 89 * DAY, id="active"),
        pytest.param((YOUNG, KNOWN), "known", NOW + 89 * DAY, id="next"),
        pytest.param((OLD, FRESH), "fresh", NOW + SECOND, id="next that must still be known"),
        pytest.param((YOUNG,), "young", None, id="active without a next"),
        pytest.param((KNOWN,), "known", None, id="next without an active"),
        pytest.param(
            (key("r", published=DAY, activated=DAY, retired=SECOND),), "r", NOW + RETENTION - SECOND, id="retired"
        ),
        pytest.param(
            (key("w", published=DAY, activated=DAY, retired=2 * SECOND, withdrawn=SECOND),),
            "w",
            NOW + MEMORY - 2 * SECOND,
            id="withdrawn",
        ),
    ],
)
def test_until(rows: Rows, kid: str, expected: datetime | None) -> None:
    [row] = [row for row in rows if row.kid == kid]
    assert until(row, rows, POLICY) == expected


RETIRED = key("retired", published=DAY, activated=DAY, retired=timedelta(minutes=4))
LONG_RETIRED = key("long", published=DAY, activated=DAY, retired=timedelta(minutes=10))
WITHDRAWN = key("gone", published=DAY, activated=DAY, retired=timedelta(hours=3), withdrawn=timedelta(hours=1))
UNNEEDED = key("idle", published=DAY, activated=DAY, retired=timedelta(hours=12), withdrawn=timedelta(hours=2))
CACHED = NOW + timedelta(hours=1)
TOKENS, HINTS = NOW + timedelta(minutes=10), NOW + timedelta(hours=12)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(
            (YOUNG, KNOWN),
            BlastRadius("young", "RS256", "active", TOKENS, HINTS, CACHED, "known", None),
            id="active, the next known everywhere",
        ),
        pytest.param(
            (YOUNG, FRESH),
            BlastRadius("young", "RS256", "active", TOKENS, HINTS, CACHED, "fresh", NOW + SECOND),
            id="active, the next not known everywhere",
        ),
        pytest.param(
            (YOUNG,),
            BlastRadius("young", "RS256", "active", TOKENS, HINTS, CACHED, None, NOW + LEAD),
            id="active, no next",
        ),
        pytest.param(
            (KNOWN, YOUNG),
            BlastRadius("known", "RS256", "next", None, None, CACHED, None, None),
            id="next breaks nothing",
        ),
        pytest.param(
            (RETIRED, YOUNG, KNOWN),
            BlastRadius(
                "retired",
                "RS256",
                "retired",
                TOKENS - timedelta(minutes=4),
                HINTS - timedelta(minutes=4),
                CACHED,
                None,
                None,
            ),
            id="retired, tokens outstanding",
        ),
        pytest.param(
            (LONG_RETIRED, YOUNG, KNOWN),
            BlastRadius("long", "RS256", "retired", None, HINTS - timedelta(minutes=10), CACHED, None, None),
            id="retired, all tokens expired",
        ),
        pytest.param(
            (WITHDRAWN, YOUNG, KNOWN),
            BlastRadius("gone", "RS256", "withdrawn", None, HINTS - timedelta(hours=3), NOW, None, None),
            id="withdrawn: hints alone, and no copy has it any more",
        ),
        pytest.param(
            (UNNEEDED, YOUNG, KNOWN),
            BlastRadius("idle", "RS256", "withdrawn", None, None, NOW - timedelta(hours=1), None, None),
            id="withdrawn, no session left",
        ),
    ],
)
def test_blast_radius_of_the_first_key(rows: Rows, expected: BlastRadius) -> None:
    assert blast_radius(rows, rows[0].kid, NOW, POLICY) == expected


def test_no_blast_without_a_key() -> None:
    with pytest.raises(LookupError, match="no signing key has the kid nobody"):
        blast_radius((YOUNG,), "nobody", NOW, POLICY)


def apply(rows: Rows, actions: tuple[Action, ...], now: datetime, names: "count[int]") -> Rows:
    """What the store does, upon values."""
    ring = {row.kid: row for row in rows}
    for action in actions:
        match action:
            case Publish(alg, active):
                kid = f"{alg} {next(names)}"
                ring[kid] = SigningKey(kid, alg, {}, now, activated_at=now if active else None)
            case Activate(kid):
                ring[kid] = replace(ring[kid], activated_at=now)
            case Retire(kid):
                ring[kid] = replace(ring[kid], retired_at=now)
            case Withdraw(kid):
                ring[kid] = replace(ring[kid], withdrawn_at=now)
            case Forget(kid):
                del ring[kid]
    return tuple(ring.values())


def active(rows: Rows) -> str:
    [kid] = [row.kid for row in rows if row.alg == "RS256" and row.state == "active"]
    return kid


durations = st.integers(1, 5000).map(lambda seconds: timedelta(seconds=seconds))


@settings(max_examples=60, deadline=None)
@given(
    max_age=durations,
    propagation=durations,
    token_life=durations,
    excess=durations,
    hint_life=durations,
    ticks=st.lists(st.integers(1, 900), min_size=50, max_size=400),
    first_fetch=st.integers(0, 5000),
    demanded_every=st.integers(1, 60),
)
def test_a_validator_that_never_refetches_early_knows_every_key(
    max_age: timedelta,
    propagation: timedelta,
    token_life: timedelta,
    excess: timedelta,
    hint_life: timedelta,
    ticks: list[int],
    first_fetch: int,
    demanded_every: int,
) -> None:
    """F11: it keeps each copy for the whole max-age; tokens are used until their last second, and hints far longer."""
    policy = Policy(max_age + propagation + excess, max_age, propagation, token_life, hint_life)
    names = count()
    now = NOW
    rows = apply((), plan((), now, policy), now, names)
    history: list[tuple[datetime, Rows]] = [(now, rows)]
    for index, seconds in enumerate(ticks):
        now += timedelta(seconds=seconds)
        rows = apply(rows, plan(rows, now, policy), now, names)
        if index % demanded_every == 0:
            with contextlib.suppress(TooEarly):
                rows = apply(rows, rotation(rows, "RS256", now, policy), now, names)
        for alg in ALGORITHMS:
            states = sorted(row.state for row in rows if row.alg == alg and row.retired_at is None)
            assert states == ["active", "next"]
        history.append((now, rows))

    def published(at: datetime) -> set[str]:
        return {row.kid for row in [ring for moment, ring in history if moment <= at][-1] if row.is_published}

    last_signature = {active(ring): moment for moment, ring in history}
    for moment, ring in history:
        # For a hint it is there for as long as one can come, and not for ever.
        kids = {row.kid for row in ring}
        assert {kid for kid, at in last_signature.items() if at <= moment <= at + hint_life} <= kids
        assert all(row.retired_at is None or moment < row.retired_at + policy.memory for row in ring)

    fetched = NOW + timedelta(seconds=first_fetch % max_age.total_seconds())
    copy = published(fetched)
    uses = sorted(
        (moment + age, active(ring)) for moment, ring in history for age in (timedelta(0), token_life - SECOND)
    )
    for used, kid in uses:
        if used < fetched:
            continue
        while used >= fetched + max_age:
            fetched += max_age
            copy = published(fetched)
        assert kid in copy


def test_three_rotations_happen_by_themselves() -> None:
    names = count()
    now = NOW
    rows: Rows = apply((), plan((), now, POLICY), now, names)
    signers = [active(rows)]
    for _ in range(271 * 24):
        now += timedelta(hours=1)
        rows = apply(rows, plan(rows, now, POLICY), now, names)
        signers += [] if active(rows) == signers[-1] else [active(rows)]
        assert len([row for row in rows if row.alg == "RS256"]) <= 3
    assert len(signers) == 4


def test_retention_covers_the_longest_token_a_cached_copy_and_skewed_clocks() -> None:
    """G12."""
    assert POLICY.retention == POLICY.token_life + POLICY.max_age + SKEW == RETENTION
    assert POLICY.lead == POLICY.max_age + POLICY.propagation == LEAD
    assert POLICY.memory == POLICY.hint_life + SKEW == MEMORY
    assert replace(POLICY, hint_life=timedelta(minutes=5)).memory == RETENTION
