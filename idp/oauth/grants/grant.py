"""What a grant is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from idp.base.entropy import Entropy
from idp.model.client import Client
from idp.oauth.errors import OAuthError
from idp.oauth.issue import Issue, Lifetimes
from idp.store.database import Connection


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request from an authenticated client, with all that judging it takes."""

    conn: Connection
    client: Client
    form: Mapping[str, str]
    lifetimes: Lifetimes
    entropy: Entropy
    now: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant type (RFC 6749 §1.3), and how it is redeemed.

    ``redeem`` returns its refusals: what they recorded (a revoked family) has to be committed, which an exception
    inside the transaction would undo.
    """

    name: str
    redeem: Callable[[TokenRequest], Awaitable[Issue | OAuthError]]
