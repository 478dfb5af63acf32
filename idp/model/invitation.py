"""An invitation to make an account: whoever opens its link has the mailbox that it went to."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """One link to one address; it makes one account, until it expires or a newer one for the address is sent.

    ``digest`` is what is kept of its secret. The address is as it is written to, and as addresses are compared.
    """

    digest: bytes = field(repr=False)
    email: str
    email_canonical: str
    created_at: datetime
    expires_at: datetime
