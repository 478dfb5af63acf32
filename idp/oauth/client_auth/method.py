"""What a client authentication method is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from idp.model.client import Client
from idp.store.database import Connection


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request shows of its client: who it says it is, and the secret or assertion that is to prove it."""

    client_id: str
    proof: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What judging needs beside the client: the database, the audiences an assertion may name, and the time."""

    conn: Connection
    issuer: str
    token_endpoint: str
    now: datetime


@dataclass(frozen=True, slots=True)
class ClientAuthMethod:
    """A client authentication method of the registry (RFC 7591 §2), and its two halves.

    ``present`` finds its own credentials in a request, or None; it raises an OAuthError for malformed ones.
    ``check`` judges them for the client.
    """

    name: str
    present: Callable[[str | None, Mapping[str, str]], Presented | None]
    check: Callable[[Client, Presented, Surroundings], Awaitable[bool]]
