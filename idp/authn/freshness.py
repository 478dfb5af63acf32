"""Which evidence of a session still counts for a request; pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from idp.model.assurance import Evidence

STEP_UP_LIFE = timedelta(minutes=20)
"""How long a proof counts as fresh where authenticators are changed (NIST SP 800-63B-4 §4.1.2)."""
SENSITIVE_LIFE = timedelta(minutes=5)
"""How long it does where something is done that nobody can undo (ASVS 7.5.3)."""


def merge(earlier: Iterable[Evidence], later: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """All evidence, each authenticator with its newest use alone."""
    newest = {(one.method, one.credential_id): one for one in sorted((*earlier, *later), key=lambda one: one.at)}
    return tuple(newest.values())


def usable(
    evidence: tuple[Evidence, ...], *, asked_at: datetime, login: bool, max_age: int | None
) -> tuple[Evidence, ...]:
    """What a session has shown that a request made at that time accepts.

    ``prompt=login`` accepts nothing older than the request itself; ``max_age`` nothing once the last active sign-in
    is older than it says (OpenID Connect Core §3.1.2.1).
    """
    since_asked = tuple(one for one in evidence if one.at >= asked_at)
    if login:
        return since_asked
    if max_age is None or not evidence:
        return evidence
    last = max(one.at for one in evidence)
    return since_asked if last < asked_at - timedelta(seconds=max_age) else evidence


def by_this_password(evidence: tuple[Evidence, ...], changed_at: datetime | None) -> tuple[Evidence, ...]:
    """The evidence without uses of a password that has been changed since (A-72)."""
    return tuple(one for one in evidence if one.method != "password" or changed_at is None or one.at >= changed_at)


def recent(
    evidence: tuple[Evidence, ...], *, account: str, now: datetime, life: timedelta = STEP_UP_LIFE
) -> tuple[Evidence, ...]:
    """The evidence without what was used longer ago than ``life``.

    A password stays where the account asks for more than one factor (``account`` is the acr that it asks for), since
    the second one is then asked for anew; where it stands alone it is asked for itself (ASVS 7.5.1).
    """
    since = now - life
    return tuple(one for one in evidence if one.at >= since or (one.method == "password" and account != "1fa"))
