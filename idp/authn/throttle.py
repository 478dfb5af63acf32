"""How often one may guess: per account, factor and source, in windows, with growing waits, and up to an end (G5, G6).

A guess is counted as a miss *before* it is judged, in a transaction of its own, so that no number of parallel guesses
is judged beyond a limit; a success gives back its own count, and all that the same source missed before it.

Passwords can be guessed at by outsiders, so no limit on them shuts the owner out: a browser in which the account has
signed in before has a budget of its own, and strangers share others. A second factor is reached by a right password
alone, and so it may be switched off for good. Where a link by mail leads to it, guessing ends at half of that: who
reads the mail and does not know the password switches nothing off.

What is written to somebody because a stranger has asked is counted by the same rules: three mails in ten minutes, and
then waits that double up to four hours, about a dozen a day. It keeps no owner out: what was sent is in the mailbox, a
browser that the account knows has a budget of its own, and a sign-in, a reset or a confirmation begins the count anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from idp.authn.accounts import canonical_username, parse_email
from idp.base.seal import MasterKey, keyed_digest
from idp.model.attempt import Bucket, Source, Tally
from idp.model.user import User
from idp.store.attempts import lock_tallies, record_tallies, remove_tallies
from idp.store.database import Connection, Transact

FREE = 10
WINDOW = timedelta(minutes=15)
STRANGERS_PER_ACCOUNT = 100
STRANGERS_WINDOW = timedelta(days=1)
PER_NETWORK = 300
MOST_MISSES = 100
"""Misses after which a factor is off (NIST SP 800-63B-4 §3.2.2), for one live secret; two apps halve it (G6)."""
REGISTRATIONS = 200
REGISTRATIONS_WINDOW = timedelta(hours=1)
MAILS = 3
MAILS_WINDOW = timedelta(minutes=10)
MAILS_FROM_ALL = 9
MAILS_A_DAY = 24
"""To one address or account because of strangers, from all networks together: twice what one of them can cause."""
RECOVERY, MAIL_CODE, VERIFICATION = "recover", "send_email", "verify_email"
"""What mails are counted under that a stranger can cause: links for a new password, codes, links that confirm."""
RECOVERIES_PER_NETWORK = 10
CLAIM_PHONE = "claim_phone"
"""The proof of a number that is merely claimed: what its codes and the misses at them are kept under."""
COUNTED_FOR = timedelta(days=2)
"""How long a tally of passwords means anything after its last miss: longer than any window or wait."""


class Guessing(Enum):
    """How a method can be guessed at: a password by anybody, another secret only after a right first step."""

    OPEN = auto()
    BEHIND_A_STEP = auto()


class Consequence(Enum):
    """What the limits make of an attempt that failed."""

    NONE = auto()
    SLOWED = auto()
    """This miss reached a limit: the next attempts are not judged for a while."""
    LOCKED = auto()
    """This miss was the last one: until somebody with the right to it resets it, the factor is off; or resets are."""
    NOT_JUDGED = auto()
    """A limit had been reached before."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Waits that double from the ``shortest`` to the ``longest``; after ``fades`` without a miss they begin anew.

    ``fades`` is longer than the longest wait; None where only a success lets them begin anew.
    """

    shortest: timedelta
    longest: timedelta
    fades: timedelta | None = None


GUESS_WAITS = Waits(timedelta(seconds=30), timedelta(hours=1))
MAIL_WAITS = Waits(timedelta(minutes=10), timedelta(hours=4), fades=timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Limit:
    """So many misses in a window; ``waits`` grow from the last of these on, in a row; ``most``: the end of all."""

    free: int
    window: timedelta
    waits: Waits | None = None
    most: int | None = None


WRITES = Limit(MAILS, MAILS_WINDOW, waits=MAIL_WAITS)
"""How often we write to somebody because of one source, or of all strangers together."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt's place under its limits, the first bucket being that of its source."""

    limits: Mapping[Bucket, Limit]
    granted: bool
    consequence: Consequence


def limits_of(
    guessing: Guessing, factor: str, subject: str, source: Source, *, secrets: int, by_mail: bool = False
) -> dict[Bucket, Limit]:
    """The buckets that an attempt falls into with their limits.

    ``secrets`` is how many would be right; ``by_mail`` is whether a link by mail led there in place of a password.
    """
    own = Bucket(factor, subject, source.name)
    shared = Bucket(factor, subject, "")
    patient = Limit(FREE, WINDOW, waits=GUESS_WAITS)
    if guessing is Guessing.BEHIND_A_STEP:
        return {own: patient, shared: replace(patient, most=most_misses(secrets, by_mail=by_mail))}
    if source.device is not None:
        return {own: patient}
    return {
        own: patient,
        shared: Limit(STRANGERS_PER_ACCOUNT, STRANGERS_WINDOW),
        Bucket(factor, "", f"network {source.network}"): Limit(PER_NETWORK, WINDOW),
    }


def subject_of_name(canonical: str | None, master: MasterKey) -> str:
    """What a stranger's misses are counted under: the name as it was typed, whether anybody has it or not.

    If misses at an account's name held back its address as well, and faster than a hash takes, then time would tell
    that the two belong together (A-48). A keyed digest: people type passwords where a name belongs.
    """
    return f"name {keyed_digest(master, canonical or '', context='attempts').hex()}"


def subjects_of(user: User, master: MasterKey) -> tuple[str, ...]:
    """Everything that misses at this account are counted under: the account itself, its name and its address."""
    address = parse_email(user.email or "")
    names = [canonical_username(user.username), *([address.canonical] if address else [])]
    return (user.sub, *(subject_of_name(name, master) for name in names))


def registration_limits(source: Source) -> dict[Bucket, Limit]:
    """The bucket of new accounts: so many an hour from one network."""
    return {Bucket("register", "", f"network {source.network}"): Limit(REGISTRATIONS, REGISTRATIONS_WINDOW)}


def claim_limits(sub: str) -> dict[Bucket, Limit]:
    """The bucket of codes that are to prove a number: an account that has guessed at too many proves none (G6)."""
    return {Bucket(CLAIM_PHONE, sub, ""): Limit(FREE, WINDOW, waits=GUESS_WAITS, most=MOST_MISSES)}


def verification_limits(canonical: str, source: Source, master: MasterKey) -> dict[Bucket, Limit]:
    """The buckets of the mails that ask an address whose it is: of one network, and of all in a while and in a day.

    Anybody can claim an address, in a browser that they have signed in with: one network alone does not keep its owner
    from proving it, and a known browser is nothing here.
    """
    subject = subject_of_name(canonical, master)
    return {
        Bucket(VERIFICATION, subject, f"network {source.network}"): WRITES,
        Bucket(VERIFICATION, subject, ""): Limit(MAILS_FROM_ALL, MAILS_WINDOW),
        Bucket(VERIFICATION, subject, "day"): Limit(MAILS_A_DAY, timedelta(days=1)),
    }


def mail_code_limits(sub: str, source: Source) -> dict[Bucket, Limit]:
    """The buckets of codes by mail, beside those of all codes: whoever knows the password can have them sent."""
    own = {Bucket(MAIL_CODE, sub, source.name): WRITES}
    return own if source.device else {**own, Bucket(MAIL_CODE, sub, ""): Limit(MAILS_A_DAY, timedelta(days=1))}


def recovery_limits(subject: str, source: Source) -> dict[Bucket, Limit]:
    """The buckets of requests for a new password: of one account, or of one name that nobody has, and of a network.

    All strangers share one, since each of their mails brings the owner a link that works.
    """
    if source.device:
        return {Bucket(RECOVERY, subject, source.name): WRITES}
    return {
        Bucket(RECOVERY, subject, ""): WRITES,
        Bucket(RECOVERY, "", f"network {source.network}"): Limit(RECOVERIES_PER_NETWORK, MAILS_WINDOW),
    }


def most_misses(secrets: int, *, by_mail: bool = False) -> int:
    """How many misses end the guessing at a factor of which so many secrets would be right."""
    return MOST_MISSES // (max(secrets, 1) * (2 if by_mail else 1))


def opens_at(tally: Tally, limit: Limit) -> datetime | None:
    """From when an attempt is judged again, None for never."""
    if limit.most is not None and tally.misses >= limit.most:
        return None
    opens = tally.window_from
    if tally.window_misses >= limit.free:
        opens = tally.window_from + limit.window
    if limit.waits and tally.misses >= limit.free:
        doublings = min(tally.misses - limit.free, 16)
        opens = max(opens, tally.last_missed_at + min(limit.waits.shortest * 2**doublings, limit.waits.longest))
    return opens


def missed(tally: Tally, limit: Limit, now: datetime) -> Tally:
    """The tally with one more miss; what has faded is none of it any more."""
    fades = limit.waits.fades if limit.waits else None
    if fades is not None and now >= tally.last_missed_at + fades:
        return Tally(1, 1, now, now)
    if now >= tally.window_from + limit.window:
        return Tally(tally.misses + 1, 1, now, now)
    return Tally(tally.misses + 1, tally.window_misses + 1, tally.window_from, now)


def forgiven(tally: Tally, misses: int) -> Tally:
    """The tally without so many misses."""
    return replace(tally, misses=max(tally.misses - misses, 0), window_misses=max(tally.window_misses - misses, 0))


def judge(limits: Mapping[Bucket, Limit], tallies: Mapping[Bucket, Tally], now: datetime) -> Claim:
    """Whether one more attempt may be judged, and what a miss would lead to."""
    before = [opens_at(tallies[bucket], limit) for bucket, limit in limits.items()]
    if any(opens is None or opens > now for opens in before):
        return Claim(limits, granted=False, consequence=Consequence.NOT_JUDGED)
    after = [opens_at(missed(tallies[bucket], limit, now), limit) for bucket, limit in limits.items()]
    if None in after:
        return Claim(limits, granted=True, consequence=Consequence.LOCKED)
    slowed = any(opens is not None and opens > now for opens in after)
    return Claim(limits, granted=True, consequence=Consequence.SLOWED if slowed else Consequence.NONE)


async def claim(transact: Transact, limits: Mapping[Bucket, Limit], now: datetime) -> Claim:
    """Take a place for one attempt, counted as a miss until it is given back; raises Unavailable."""
    return await transact(lambda conn: take(conn, limits, now))


async def take(conn: Connection, limits: Mapping[Bucket, Limit], now: datetime) -> Claim:
    """Take a place as ``claim`` does, in the transaction of what it is for: it is given back where that is undone."""
    tallies = await lock_tallies(conn, limits, now)
    claimed = judge(limits, tallies, now)
    if claimed.granted:
        counted = {bucket: missed(tallies[bucket], limit, now) for bucket, limit in limits.items()}
        await record_tallies(conn, counted)
    return claimed


async def mail_arrived(conn: Connection, sub: str) -> None:
    """Begin the counts of links and codes by mail for this account anew: whoever was to have them has got in."""
    for factor in (RECOVERY, MAIL_CODE):
        await remove_tallies(conn, sub, factor=factor)


async def forgive(transact: Transact, claimed: Claim, now: datetime) -> None:
    """After a success: give back what its source has missed, this attempt with it, in every bucket.

    In a bucket that many accounts share, only what it has missed of late: misses saved up at one's own account over
    days would otherwise pay for as many at others'.
    """

    async def step(conn: Connection) -> None:
        tallies = await lock_tallies(conn, claimed.limits, now)
        own = tallies[next(iter(claimed.limits))]
        await record_tallies(
            conn,
            {
                bucket: forgiven(one, own.misses if bucket.subject else own.window_misses)
                for bucket, one in tallies.items()
            },
        )

    await transact(step)


async def withdraw(transact: Transact, claimed: Claim, now: datetime) -> None:
    """Give back the place of an attempt that could not be judged."""

    async def step(conn: Connection) -> None:
        tallies = await lock_tallies(conn, claimed.limits, now)
        await record_tallies(conn, {bucket: forgiven(one, 1) for bucket, one in tallies.items()})

    await transact(step)
