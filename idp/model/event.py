"""What the audit trail keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One security-relevant act (ASVS 16.2.1): what happened, when, to whose account, by whom and from where.

    ``actor`` is ``user``, ``client``, ``operator``, ``system`` or ``anonymous``; ``sub`` is whose account it touches.
    ``details`` never hold a secret. ``id`` is its place in the trail, None until it is written.
    """

    event: str
    actor: str
    at: datetime
    sub: str | None = None
    client_id: str | None = None
    session_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """An event as the owner of the account may see it, with the browser and the application that had part in it."""

    event: Event
    user_agent: str | None = None
    app: str | None = None
