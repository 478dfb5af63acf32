"""What pages are made of."""

from dataclasses import dataclass
from typing import Self

from idp.base.text import Phrase, Text, say
from idp.web.pages.words import WORDS


def _initial(name: str) -> str:
    return name[:1].upper()


@dataclass(frozen=True, slots=True)
class Client:
    """The app that asks; ``return_host`` is the host of the redirect URI, the one thing that an app cannot invent.

    ``logo_uri`` is an address of ours: the content security policy lets no other picture in.
    """

    name: str
    return_host: str
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None

    @property
    def initial(self) -> str:
        """What stands in place of a logo."""
        return _initial(self.name)


@dataclass(frozen=True, slots=True)
class Why:
    """Why more is asked for: the ``level``, and who ``asks``: ``app``, whose name is ``who``, or ``organisation``, or
    ``account``.
    """

    asks: str
    level: str
    who: str = ""


@dataclass(frozen=True, slots=True)
class Slip:
    """Who asks, and why: the head of each page of a flow, absent where no app asks."""

    client: Client | None = None
    why: Why | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a page is about."""

    username: str

    @property
    def initial(self) -> str:
        """What stands in place of a portrait."""
        return _initial(self.username)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a form was refused; with ``field`` it is shown beside that field."""

    cause: str
    text: Phrase
    field: str | None = None

    @classmethod
    def of(cls, cause: str, field: str | None = None, **values: object) -> Self:
        """The fault in the fixed words of its cause; raises KeyError for a cause without words or a value it needs."""
        words = WORDS[cause]
        # Here and not where it is drawn: a value that is missing is a mistake of who names the cause.
        _ = words.message % values
        return cls(cause, Text(words.message, values), field)


@dataclass(frozen=True, slots=True)
class Way:
    """A method, or one authenticator of it, to go on with; ``enough`` says whether it would satisfy the request."""

    method: str
    credential: str | None
    name: Phrase
    hint: Phrase
    icon: str
    enough: bool = True

    @property
    def value(self) -> str:
        """What the form sends as ``method``: the method, and after a colon the authenticator if it names one."""
        return self.method if self.credential is None else f"{self.method}:{self.credential}"


@dataclass(frozen=True, slots=True)
class Offer:
    """A method that the account does not have yet and could add at ``url``."""

    id: str
    method: str
    icon: str
    name: Phrase
    hint: Phrase
    url: str

    @classmethod
    def passkey(cls, url: str) -> Self:
        """The offer to add a passkey."""
        hint = say("On this device, a phone or a security key")
        return cls("add-passkey", "webauthn", "passkey", say("Passkey"), hint, url)

    @classmethod
    def totp(cls, url: str) -> Self:
        """The offer to add an authenticator app."""
        hint = say("An app that shows a new code twice a minute")
        return cls("add-totp", "totp", "totp", say("Authenticator app"), hint, url)

    @classmethod
    def phone(cls, url: str) -> Self:
        """The offer to add a telephone number."""
        return cls("add-phone", "sms", "phone", say("Phone number"), say("Codes by text message"), url)


@dataclass(frozen=True, slots=True)
class Account:
    """An account to choose; the form sends ``value`` as ``account``, and ``state`` is a word or two."""

    value: str
    person: Person
    state: Phrase


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """One thing that an app could do, with the real value that it would see."""

    icon: str
    title: Phrase
    detail: Phrase


@dataclass(frozen=True, slots=True)
class Protection:
    """How well an account is protected, in a sentence and the facts behind it, each a name and a value."""

    title: Phrase
    facts: tuple[tuple[Phrase, Phrase], ...]
    icon: str = "shield"


@dataclass(frozen=True, slots=True)
class Place:
    """A place of the account, with what one finds there."""

    url: str
    icon: str
    name: Phrase
    hint: Phrase


@dataclass(frozen=True, slots=True)
class Device:
    """A browser in which the account is signed in; ``id`` is its session's, and ``current`` is the one that asks."""

    id: str
    name: Phrase
    icon: str
    facts: tuple[Phrase, ...]
    current: bool = False


@dataclass(frozen=True, slots=True)
class App:
    """An app that can use the account: where it is and since when, and what it may do.

    ``away`` is whether it may act while its user is away.
    """

    id: str
    name: str
    facts: tuple[Phrase, ...]
    may: tuple[Phrase, ...]
    away: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happened to the account, with when, where and with what."""

    icon: str
    title: Phrase
    facts: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Authenticator:
    """An enrolled authenticator as its owner knows it; the facts are shown side by side."""

    id: str
    name: Phrase
    icon: str
    facts: tuple[Phrase, ...]
