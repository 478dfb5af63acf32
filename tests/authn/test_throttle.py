"""The limits on guessing, by tables of values; and that parallel guesses cannot outrun them."""

import asyncio
from datetime import datetime, timedelta
from functools import partial

import pytest

from idp.authn import throttle
from idp.authn.methods.totp import MOST_PER_USER
from idp.authn.throttle import (
    FREE,
    GUESS_WAITS,
    MAIL_WAITS,
    MAILS,
    MAILS_A_DAY,
    MOST_MISSES,
    WINDOW,
    WRITES,
    Claim,
    Consequence,
    Guessing,
    Limit,
    Waits,
    limits_of,
    mail_code_limits,
    missed,
    most_misses,
    opens_at,
    recovery_limits,
    verification_limits,
)
from idp.base.seal import MasterKey
from idp.model.attempt import Bucket, Source, Tally
from idp.store.attempts import find_misses, lock_tallies
from idp.store.database import Pool, transact, transaction
from tests.authn.people import NOW

SOFT = Limit(FREE, WINDOW, waits=GUESS_WAITS)
STRANGER, DEVICE = Source("192.0.2.0/24"), Source("192.0.2.0/24", "ab" * 32)


def after(misses: int, *, limit: Limit = SOFT, apart: timedelta = timedelta(seconds=1)) -> Tally:
    """The tally of so many misses, so far apart, the first of them now."""
    tally, now = Tally(0, 0, NOW, NOW), NOW
    for _ in range(misses):
        tally = missed(tally, limit, now)
        now += apart
    return tally


def test_G6_the_chance_to_guess_a_code_over_the_life_of_the_counter() -> None:
    """A code has 6 digits, and two steps of each app are live: 100 misses for one app, fewer for more (G6)."""
    for apps in range(1, MOST_PER_USER + 1):
        live = 2 * apps
        assert most_misses(apps) * live / 10**6 <= 2e-4
        assert most_misses(apps) >= FREE
        assert 2 * most_misses(apps, by_mail=True) <= most_misses(apps), "the other half is for sign-ins"


def test_G5_the_figures() -> None:
    assert (10, timedelta(minutes=15), 100) == (FREE, WINDOW, MOST_MISSES)
    assert Waits(timedelta(seconds=30), timedelta(hours=1)) == GUESS_WAITS


@pytest.mark.parametrize(
    ("misses", "apart", "opens"),
    [
        (0, 1, 0),
        (9, 1, 0),
        # The tenth within 15 minutes closes until these are over, counted from the first.
        (10, 1, 900),
        # Ten over a longer time do not fill a window, yet each in a row makes the wait longer from now on.
        (10, 200, 1800 + 30),
        (11, 200, 2000 + 60),
        (12, 200, 2200 + 120),
        (16, 200, 3000 + 1920),
        (17, 200, 3200 + 3600),
        (60, 200, 11800 + 3600),
    ],
)
def test_G5_when_the_next_attempt_is_judged(misses: int, apart: int, opens: int) -> None:
    tally = after(misses, apart=timedelta(seconds=apart))
    opened = opens_at(tally, SOFT)
    assert opened is not None
    assert (
        max(opened, NOW) == NOW + timedelta(seconds=opens)
        if opens
        else opened <= NOW + timedelta(seconds=misses * apart)
    )


def test_G5_a_hundred_misses_are_the_end() -> None:
    last = Limit(FREE, WINDOW, waits=GUESS_WAITS, most=100)
    assert opens_at(after(99, limit=last, apart=timedelta(hours=2)), last) is not None
    assert opens_at(after(100, limit=last, apart=timedelta(hours=2)), last) is None


def as_soon_as_may_be(limits: tuple[Limit, ...], life: timedelta) -> list[int]:
    """When, in minutes from now, somebody is written to who has mails sent as soon as these limits let it be done."""
    tallies, now, sent = [Tally(0, 0, NOW, NOW) for _ in limits], NOW, []
    while now < NOW + life:
        opens = [opens_at(tally, limit) for tally, limit in zip(tallies, limits, strict=True)]
        assert None not in opens, "every wait ends"
        now = max(now, *(one for one in opens if one is not None))
        tallies = [missed(tally, limit, now) for tally, limit in zip(tallies, limits, strict=True)]
        sent.append((now - NOW) // timedelta(minutes=1))
    return sent[:-1]


def test_A_63_a_stranger_has_about_a_dozen_mails_a_day_sent_to_somebody() -> None:
    """Three at once, then waits that double up to four hours; and less on every day after it."""
    first = as_soon_as_may_be((WRITES,), timedelta(days=1))
    assert first == [0, 0, 0, 10, 30, 70, 150, 310, 550, 790, 1030, 1270]
    assert len(as_soon_as_may_be((WRITES,), timedelta(days=30))) == len(first) + 29 * 6
    assert len(as_soon_as_may_be((WRITES, Limit(MAILS_A_DAY, timedelta(days=1))), timedelta(days=1))) == len(first)


@pytest.mark.parametrize(
    ("mails", "idle", "opens"),
    [
        (2, 0, 0),
        (3, 0, 10),
        (8, 0, 240),
        (50, 0, 240),
        # A day without a mail, and it is as if there had been none.
        (50, 24 * 60 - 1, 0),
        (51, 24 * 60, 0),
    ],
)
def test_how_long_a_mail_is_waited_for(mails: int, idle: int, opens: int) -> None:
    """``idle`` is how many minutes nobody has asked since the last one."""
    minute = timedelta(minutes=1)
    tally = Tally(mails, 1 if mails > MAILS else mails, NOW, NOW)
    now = NOW + idle * minute
    opened = opens_at(tally, WRITES)
    assert opened is not None
    assert max(opened, now) == NOW + max(opens, idle) * minute
    assert missed(tally, WRITES, now).misses == (1 if idle == 24 * 60 else mails + 1)
    assert MAIL_WAITS.fades is not None
    assert MAIL_WAITS.longest < MAIL_WAITS.fades


def test_whose_mails_meet_which_limits() -> None:
    """The owner's own browser waits for no stranger; one network alone does not keep an address from being proved."""
    known = recovery_limits("alice", DEVICE)
    assert list(known.values()) == [WRITES]
    assert not set(known) & set(recovery_limits("alice", STRANGER))
    assert not set(mail_code_limits("alice", DEVICE)) & set(mail_code_limits("alice", STRANGER))
    assert Bucket("recover", "alice", "") in recovery_limits("alice", STRANGER)
    one, other = (
        verification_limits("alice@mail.test", source, MasterKey(b"m" * 32))
        for source in (DEVICE, Source("198.51.100.0/24"))
    )
    assert len(set(one) & set(other)) == 2
    dozen = len(as_soon_as_may_be((WRITES,), timedelta(days=1)))
    assert all(one[bucket].waits is None and one[bucket].free > MAILS for bucket in set(one) & set(other))
    assert dozen * 2 <= MAILS_A_DAY, "one network has half of what there is for all of them in a day"


def test_whose_guesses_meet_which_limits() -> None:
    """An outsider's misses are counted per account and network; those of a known browser by themselves (A-63)."""
    stranger = limits_of(Guessing.OPEN, "password", "alice", STRANGER, secrets=1)
    assert list(stranger) == [
        Bucket("password", "alice", "network 192.0.2.0/24"),
        Bucket("password", "alice", ""),
        Bucket("password", "", "network 192.0.2.0/24"),
    ]
    known = limits_of(Guessing.OPEN, "password", "alice", DEVICE, secrets=1)
    assert not set(known) & set(stranger)
    assert all(limit.most is None for limit in (*stranger.values(), *known.values())), "no outsider locks a password"
    for source in (STRANGER, DEVICE):
        second = limits_of(Guessing.BEHIND_A_STEP, "totp", "alice", source, secrets=2)
        assert second[Bucket("totp", "alice", "")].most == 50, "whatever the source, one counter for the factor"


async def claimed(pool: Pool, source: Source, now: timedelta = timedelta(), factor: str = "totp") -> Claim:
    guessing = Guessing.OPEN if factor == "password" else Guessing.BEHIND_A_STEP
    limits = limits_of(guessing, factor, "alice", source, secrets=1)
    return await throttle.claim(partial(transact, pool), limits, NOW + now)


@pytest.mark.parametrize("factor", ["totp", "password"])
async def test_A_38_parallel_guesses_are_judged_up_to_the_soft_limit(pool: Pool, factor: str) -> None:
    claims = await asyncio.gather(*(claimed(pool, STRANGER, factor=factor) for _ in range(200)))
    assert sum(one.granted for one in claims) == FREE
    assert [one.consequence for one in claims].count(Consequence.SLOWED) == 1
    assert (await claimed(pool, STRANGER, WINDOW, factor=factor)).granted


async def test_A_37_a_second_factor_is_counted_over_all_sources_and_then_off(pool: Pool) -> None:
    sources = [Source(f"198.51.{number}.0/24") for number in range(MOST_MISSES)]
    for number, source in enumerate(sources):
        one = await claimed(pool, source, number * 2 * GUESS_WAITS.longest)
        assert one.granted
    assert one.consequence is Consequence.LOCKED
    assert not (await claimed(pool, DEVICE, timedelta(days=400))).granted


async def test_a_success_forgives_what_its_own_source_missed_and_nobody_elses(pool: Pool) -> None:
    """The owner's success does not wash away what somebody with the password has guessed elsewhere (G6)."""
    for _ in range(4):
        await claimed(pool, STRANGER)
    for _ in range(3):
        await claimed(pool, DEVICE)
    await throttle.forgive(partial(transact, pool), await claimed(pool, DEVICE), NOW)
    async with transaction(pool) as conn:
        assert await find_misses(conn, "alice") == {"totp": 4}


async def test_misses_saved_up_at_ones_own_account_pay_for_none_at_others(pool: Pool) -> None:
    """Mallory's own password, missed for days and right in the end, gives the network back what was missed of late."""

    async def tried(name: str, at: datetime) -> Claim:
        limits = limits_of(Guessing.OPEN, "password", name, STRANGER, secrets=1)
        return await throttle.claim(partial(transact, pool), limits, at)

    for number in range(12):
        assert (await tried("mallory", NOW + number * timedelta(hours=2))).granted
    now = NOW + timedelta(days=1, hours=2)
    for number in range(20):
        assert (await tried(f"victim {number}", now)).granted
    await throttle.forgive(partial(transact, pool), await tried("mallory", now), now)
    network = Bucket("password", "", STRANGER.name)
    async with transaction(pool) as conn:
        assert (await lock_tallies(conn, [network], now))[network].window_misses == 20


async def test_what_was_not_judged_does_not_count(pool: Pool) -> None:
    for _ in range(FREE + 5):
        await throttle.withdraw(partial(transact, pool), await claimed(pool, STRANGER), NOW)
    assert (await claimed(pool, STRANGER)).granted
