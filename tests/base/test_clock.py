"""A time that is carried forward: the arithmetic, with doubles for both clocks."""

from datetime import UTC, datetime, timedelta

import pytest

from idp.base.clock import LONGEST_ROUND_TRIP, CarriedClock, Reading, steady_clock, system_clock
from tests.doubles import START, FrozenClock


class Stopwatch:
    """A steady clock that only moves when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def steady() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def wall() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def carried(steady: Stopwatch, wall: FrozenClock) -> CarriedClock:
    return CarriedClock(steady=steady, wall=wall)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_before_the_first_reading_there_is_no_time(carried: CarriedClock) -> None:
    with pytest.raises(LookupError):
        carried()


def test_the_time_was_said_in_the_middle_of_the_round_trip(carried: CarriedClock, steady: Stopwatch) -> None:
    steady.seconds = 1000.4
    assert carried.follow(Reading(START, asked=1000.0, answered=1000.4))
    assert carried() - START == seconds(0.2)


def test_it_goes_on_by_the_steady_clock(carried: CarriedClock, steady: Stopwatch) -> None:
    carried.follow(Reading(START, 1000.0, 1000.0))
    steady.seconds += 86400 * 3
    assert carried() == START + timedelta(days=3)


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=1)])
def test_a_jump_of_the_machine_changes_nothing_but_the_lead(
    carried: CarriedClock, wall: FrozenClock, jump: timedelta
) -> None:
    carried.follow(Reading(START, 1000.0, 1000.0))
    assert carried.lead() == timedelta(0)
    wall.advance(jump)
    assert carried() == START
    assert carried.lead() == jump


def test_a_new_reading_takes_the_place_of_the_old_one(carried: CarriedClock, steady: Stopwatch) -> None:
    carried.follow(Reading(START, 1000.0, 1000.0))
    steady.seconds = 1060.0
    later = START + seconds(60.003)
    assert carried.follow(Reading(later, 1060.0, 1060.0))
    assert carried() == later


def test_a_long_round_trip_is_not_believed(carried: CarriedClock, steady: Stopwatch) -> None:
    carried.follow(Reading(START, 1000.0, 1000.0))
    steady.seconds = 1010.0
    answered = 1010.0 + LONGEST_ROUND_TRIP
    assert not carried.follow(Reading(START, 1010.0, answered + 0.001))
    assert carried() == START + seconds(10)
    assert carried.follow(Reading(START, 1010.0, answered))


def test_the_machine_has_both_clocks() -> None:
    assert system_clock().tzinfo is UTC
    assert abs(system_clock() - datetime.now(UTC)) < seconds(5)
    first = steady_clock()
    assert steady_clock() >= first > 0
