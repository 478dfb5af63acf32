"""A request that waits for its user."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from idp.model.assurance import Evidence


@dataclass(frozen=True, slots=True)
class Interaction:
    """A request waiting for its user, bound to the browser that began it.

    ``parameters`` are those of the authorization request; None when the user came by themselves, and then
    ``return_to`` is the page of ours that they wanted and ``fresh`` whether it asks for a step-up.
    ``mail_link`` is the digest of the link by mail that began it: such a one resets a password and never signs in.
    ``sub`` and ``evidence`` are what this login has proved so far; nothing of it counts before the session exists.
    """

    id: str
    parameters: Mapping[str, str] | None
    return_to: str
    fresh: bool
    created_at: datetime
    expires_at: datetime
    sub: str | None = None
    evidence: tuple[Evidence, ...] = ()
    chosen: bool = False
    approved: tuple[str, ...] | None = None
    challenge: bytes | None = None
    challenge_at: datetime | None = None
    mail_link: bytes | None = None
