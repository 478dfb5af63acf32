"""Which evidence of a session still counts for a request; pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from idp.model.assurance import Evidence

STEP_UP_LIFE = timedelta(minutes=20)
"""How long a second factor counts as fresh where authenticators are changed (NIST SP 800-63B-4 §4.1.2)."""


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


def recent(evidence: tuple[Evidence, ...], *, now: datetime) -> tuple[Evidence, ...]:
    """The evidence without second factors that were used longer ago than ``STEP_UP_LIFE``."""
    return tuple(one for one in evidence if one.method == "password" or one.at >= now - STEP_UP_LIFE)
