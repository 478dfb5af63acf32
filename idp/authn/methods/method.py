"""What a method is: a kind of authenticator, and how one attempt with it is judged."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from idp.authn.attestation import Roots
from idp.authn.throttle import Consequence, Guessing
from idp.base.digest import PasswordHasher
from idp.base.entropy import Entropy
from idp.base.seal import MasterKey
from idp.model.assurance import Evidence
from idp.model.attempt import Source
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store.database import Connection, Transact


class Factor(Enum):
    """What an authenticator rests on (NIST SP 800-63B-4 §1); what one *is* counts only as user verification."""

    KNOWLEDGE = "knowledge"
    POSSESSION = "possession"


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Us, as authenticators know us: the domain, the origins that may ask in its name, and the operator's name.

    ``attestation_roots`` are the authorities whose word on the make of an authenticator counts; without any, none is
    asked for.
    """

    id: str
    origins: tuple[str, ...]
    name: str
    attestation_roots: Roots = ()


@dataclass(frozen=True, slots=True)
class Tools:
    """What the methods work with beside the database.

    ``limited`` is whether guesses and sendings are held to limits; ``off`` are the methods that this installation does
    not offer.
    """

    hasher: PasswordHasher
    master_key: MasterKey
    entropy: Entropy
    relying_party: RelyingParty
    limited: bool = True
    off: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submitted form that is to prove who is there.

    ``subject`` is what misses are counted under: the account's ``sub``, or a stand-in for the name that was typed.
    ``user`` is who they claim to be, or None for an unknown name or none given. ``challenge`` was issued to this
    browser, is fresh, and has been taken: no other attempt will have it. ``flow`` names the interaction, to which a
    code that was sent belongs. ``by_mail`` is whether a link by mail led here in place of a password. ``shown`` is what
    this sign-in, or the session that it raises, has shown of the user before; a reset by mail shows nothing here, since
    a mailbox is no factor. ``transact`` runs a step in a transaction; methods keep theirs short, and hold none while a
    password is hashed.
    """

    transact: Transact
    source: Source
    subject: str
    user: User | None
    form: Mapping[str, str] = field(repr=False)
    challenge: bytes | None
    tools: Tools
    now: datetime
    flow: str = ""
    by_mail: bool = False
    shown: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Proved:
    """The attempt succeeded: whose authenticator it was, and what its use showed."""

    sub: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Refusal:
    """The attempt failed. ``cause`` has a wording for the user; ``detail`` is for the log alone.

    ``sub`` and ``credential`` are whose authenticator was shown, and which, where that is beyond doubt all the same.
    """

    cause: str
    detail: str = ""
    consequence: Consequence = Consequence.NONE
    sub: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """A kind of authenticator.

    ``amr`` names a use of it in the words of RFC 8176. ``authenticators`` lists what a user has of this kind. ``check``
    judges one attempt, and returns a refusal rather than raising it: what was counted must be kept. ``guessing`` is how
    it can be guessed at, None where it cannot; ``wrong`` is the cause given for a wrong guess, and for one that a limit
    holds back. ``rename`` and ``remove`` change one credential of a user's, where there can be several, and answer
    whether it was theirs. A ``backup`` stands in for an authenticator that was lost, and asks for nothing. A ``weak``
    one serves, and is asked for, where the account has no other second factor. ``recipient`` is where a code of this
    method is sent to, None where the user has no such place; methods without it send nothing.
    """

    name: str
    factor: Factor
    amr: Callable[[Evidence], tuple[str, ...]]
    authenticators: Callable[[Connection, User], Awaitable[tuple[Authenticator, ...]]]
    check: Callable[[Attempt], Awaitable[Proved | Refusal]]
    phishing_resistant: bool = False
    guessing: Guessing | None = None
    wrong: str = "code_wrong"
    backup: bool = False
    weak: bool = False
    rename: Callable[[Connection, str, str, str], Awaitable[bool]] | None = None
    remove: Callable[[Connection, str, str], Awaitable[bool]] | None = None
    recipient: Callable[[User], str | None] | None = None
