"""What a sign-in must amount to, why, and which of the user's authenticators lead there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations

from idp.authn.assurance import assess
from idp.authn.methods import Factor, find_method, is_weak
from idp.model.assurance import Evidence, meets, rank
from idp.model.credential import Authenticator

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for "not used yet", and for any time where only the level counts."""

BY_MAIL = "email"
"""The method whose codes go to the very mailbox that a reset goes to."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a level is asked for: ``application_request``, ``application_policy``, ``group``, ``installation`` or
    ``account``.
    """

    kind: str
    acr: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """The level to reach, and all reasons for more than one factor, the most demanding first."""

    acr: str
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the organisation asks for and the account cannot reach: why, and whether adding it ``may_wait``.

    ``due_at`` is when it may no longer; None while the account's first sign-in short of it is still to come.
    """

    reasons: tuple[Reason, ...]
    due_at: datetime | None
    may_wait: bool

    @property
    def acr(self) -> str:
        """The level to be able to reach."""
        return self.reasons[0].acr


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where a sign-in stands: whether it is enough, and if not, what leads on.

    ``ways`` are good next steps, best first; ``weak`` are the user's authenticators that no way to the requirement
    goes through; ``reachable`` is whether the user can get there with what they have.
    """

    met: bool
    ways: tuple[Authenticator, ...] = ()
    weak: tuple[Authenticator, ...] = ()
    reachable: bool = True


def of_organisation(installation: str | None, levels: Iterable[str]) -> tuple[Reason, ...]:
    """What the installation and the ``levels`` of the user's groups ask of every sign-in, the most demanding first."""
    asked = [Reason("installation", installation)] if installation is not None else []
    strongest = max(levels, key=rank, default=None)
    asked += [Reason("group", strongest)] if strongest is not None else []
    return tuple(sorted((reason for reason in asked if rank(reason.acr) > 0), key=lambda reason: -rank(reason.acr)))


def lacking(
    organisation: tuple[Reason, ...],
    authenticators: Iterable[Authenticator],
    *,
    due_at: datetime | None,
    grace: timedelta,
    now: datetime,
) -> Enrolment | None:
    """What the organisation asks for beyond all that the account has; None where it can be reached.

    What can be reached is asked for and never waits; a factor that is locked is there all the same.
    """
    best = assess(one.evidence(NEVER) for one in authenticators if not (is_backup(one) or one.voluntary))
    beyond = tuple(reason for reason in organisation if best is None or not meets(best.acr, reason.acr))
    if not beyond:
        return None
    return Enrolment(beyond, due_at, may_wait=grace > timedelta(0) and (due_at is None or now < due_at))


def upheld(organisation: tuple[Reason, ...], enrolment: Enrolment | None) -> tuple[Reason, ...]:
    """What of it holds now: all but what may still wait to be enrolled."""
    waits = enrolment.reasons if enrolment is not None and enrolment.may_wait else ()
    return tuple(reason for reason in organisation if reason not in waits)


def is_waivable(requirement: Requirement) -> bool:
    """Whether a trusted device may stand in for the second step: none but the owner's side asks, and for no more."""
    return bool(requirement.reasons) and all(map(_is_waivable, requirement.reasons))


def on_trusted_device(requirement: Requirement) -> Requirement:
    """The requirement after the password in a browser that its owner trusts: two steps on the owner's side are waived.

    What an application asks for holds, and so does whatever is not to be phished.
    """
    reasons = tuple(reason for reason in requirement.reasons if not _is_waivable(reason))
    return Requirement(reasons[0].acr if reasons else "1fa", reasons)


def _is_waivable(reason: Reason) -> bool:
    return reason.kind in {"account", "group", "installation"} and reason.acr == "mfa"


def required(
    *,
    requested: str | None,
    client_min: str | None,
    authenticators: Iterable[Authenticator],
    organisation: tuple[Reason, ...] = (),
) -> Requirement:
    """The level that the request, the client, the organisation and the account together require.

    A user who has a second factor is asked for it always: an account is not to be had for less than its owner set up.
    What only stands in for a lost one asks for nothing, nor does one that is voluntary; one that is locked asks all the
    same.
    """
    account = assess(one.evidence(NEVER) for one in authenticators if not (is_backup(one) or one.voluntary))
    wanted = (
        ("application_request", requested),
        ("application_policy", client_min),
        ("account", "mfa" if account and meets(account.acr, "mfa") else None),
    )
    reasons = [Reason(kind, acr) for kind, acr in wanted if acr is not None and rank(acr) > 0]
    reasons.extend(organisation)
    reasons.sort(key=lambda reason: -rank(reason.acr))
    return Requirement(reasons[0].acr if reasons else "1fa", tuple(reasons))


def counting(evidence: Iterable[Evidence], authenticators: Iterable[Authenticator]) -> tuple[Evidence, ...]:
    """The evidence that counts for an account with these authenticators, whenever it was shown.

    What a weak method has shown counts as long as that method is in force: not once the account has a stronger one, not
    even from before (ASVS 6.3.6).
    """
    names = {one.method for one in authenticators}
    return tuple(one for one in evidence if one.method in names or not is_weak(one.method))


def outlook(
    requirement: Requirement,
    evidence: tuple[Evidence, ...],
    authenticators: tuple[Authenticator, ...],
    now: datetime,
) -> Outlook:
    """Judge what was proved against the requirement, and point out what is missing and nothing else.

    A way is enough if it reaches the requirement alone, or together with one more where neither does alone: no level
    needs more than two steps. Where nothing was proved yet, only a password or a user-verifying WebAuthn credential
    begins: a code to guess at must never stand in front of the password (security goal G5).
    """
    evidence = counting(evidence, authenticators)
    if _reaches(requirement, evidence, (), now):
        return Outlook(met=True)
    authenticators = tuple(one for one in authenticators if not one.locked)
    alone = {one for one in authenticators if _reaches(requirement, evidence, (one,), now)}
    others = [one for one in authenticators if one not in alone]
    pairs = [pair for pair in combinations(others, 2) if _reaches(requirement, evidence, pair, now)]
    leading = alone.union(*pairs)
    ways = [one for one in authenticators if one in leading and (evidence or _may_begin(one))]
    ways.sort(key=lambda one: _preference(one, begins=not evidence))
    used = {(one.method, one.credential_id) for one in evidence}
    weak = [one for one in authenticators if one not in leading and (one.method, one.credential_id) not in used]
    return Outlook(met=False, ways=tuple(ways), weak=tuple(weak), reachable=bool(ways))


def reset_steps(authenticators: Iterable[Authenticator]) -> tuple[Authenticator, ...]:
    """Of what one is asked for before a password is reset by mail, best first; none where the account asks for none.

    What is locked is among them: it has to be asked for all the same (ASVS 6.4.3).
    """
    owned = tuple(authenticators)
    if required(requested=None, client_min=None, authenticators=owned).acr == "1fa":
        return ()
    steps = [one for one in owned if shows_more_than_mail(one.method)]
    return tuple(sorted(steps, key=lambda one: _preference(one, begins=False)))


def shows_more_than_mail(name: str) -> bool:
    """Whether a proof by this method is worth something beside a mailbox: something that one has, and no mail itself.

    A mailbox is no factor (ASVS 6.3.6), and the password is what is about to be replaced.
    """
    method = find_method(name)
    return method is not None and method.factor is Factor.POSSESSION and name != BY_MAIL


def has_passkey_alone(authenticators: Iterable[Authenticator]) -> bool:
    """Whether the account signs in by a passkey and has no password, so that there is none to reset."""
    owned = tuple(authenticators)
    return any(one.user_verified for one in owned) and not any(one.method == "password" for one in owned)


def _reaches(
    requirement: Requirement,
    evidence: tuple[Evidence, ...],
    further: tuple[Authenticator, ...],
    now: datetime,
) -> bool:
    assurance = assess((*evidence, *(one.evidence(now) for one in further)))
    return assurance is not None and meets(assurance.acr, requirement.acr)


def _may_begin(one: Authenticator) -> bool:
    return one.method == "password" or one.user_verified


def is_backup(one: Authenticator) -> bool:
    """Whether it only stands in for one that was lost."""
    return is_backup_method(one.method)


def is_backup_method(name: str) -> bool:
    """Whether what this method proves only stands in for what was lost."""
    method = find_method(name)
    return method is not None and method.backup


def _preference(one: Authenticator, *, begins: bool) -> tuple[bool, bool, float, bool, bool]:
    """Sorts the password first where it begins, backups last, then what was used last, then what is stronger."""
    last_used = one.last_used_at or NEVER
    return (
        not (begins and one.method == "password"),
        is_backup(one),
        -last_used.timestamp(),
        not one.user_verified,
        one.method != "webauthn",
    )
