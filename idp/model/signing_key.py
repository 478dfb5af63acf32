"""A signing key and its life: next (published) → active (signs) → retired (still verifies) → withdrawn → gone.

A withdrawn key is published no more and verifies nothing but ID tokens that come back as hints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

State: TypeAlias = Literal["next", "active", "retired", "withdrawn"]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key of the ring as the database holds it; a key that is gone has no row.

    ``kid`` is the RFC 7638 thumbprint of the public half. ``sealed_private`` is None once the key is retired:
    what signs no more is not kept.
    """

    kid: str
    alg: str
    public_jwk: Mapping[str, Any]
    published_at: datetime
    sealed_private: bytes | None = field(default=None, repr=False)
    activated_at: datetime | None = None
    retired_at: datetime | None = None
    withdrawn_at: datetime | None = None

    @property
    def is_published(self) -> bool:
        """Whether the key is in the JWKS: everything else than a hint is verified by these alone."""
        return self.withdrawn_at is None

    @property
    def state(self) -> State:
        """Where in its life the key stands."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if self.retired_at is not None:
            return "retired"
        return "next" if self.activated_at is None else "active"

    @property
    def since(self) -> datetime:
        """When it came into its present state."""
        return self.withdrawn_at or self.retired_at or self.activated_at or self.published_at
