"""A link that was sent by mail: whoever opens it has the mailbox, and nothing more is shown by that."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

LinkKind: TypeAlias = Literal["verify_email", "reset_password"]


@dataclass(frozen=True, slots=True)
class MailLink:
    """One link of an account, for one purpose, sent to one address; it works once and until it expires.

    ``digest`` is what is kept of its secret. The address is as it is written to, and as addresses are compared.
    ``generation`` is the account's when it was asked for.
    """

    digest: bytes = field(repr=False)
    kind: LinkKind
    sub: str
    email: str
    email_canonical: str
    created_at: datetime
    expires_at: datetime
    generation: int = 0
