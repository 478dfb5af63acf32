"""Pages of the account: what protects it, and how to change that."""

from dataclasses import dataclass
from typing import ClassVar, Self

import segno
from markupsafe import Markup

from idp.web.pages.parts import Authenticator, Fault, Person, Place, Protection, Slip

_CREATE = (
    '{"challenge": "AAECAwQFBgcICQoLDA0ODw", "rp": {"id": "localhost", "name": "Example ID"}, '
    '"user": {"id": "YWxpY2U", "name": "alice", "displayName": "alice"}, '
    '"pubKeyCredParams": [{"type": "public-key", "alg": -7}], "timeout": 300000, '
    '"authenticatorSelection": {"residentKey": "required", "userVerification": "required"}}'
)


@dataclass(frozen=True, slots=True)
class AccountPage:
    """The account at a glance, which on a phone is also its menu."""

    template: ClassVar[str] = "account/overview.html"
    person: Person
    email: str | None
    protection: Protection
    places: tuple[Place, ...]

    @classmethod
    def sample(cls) -> Self:
        """A well protected account."""
        facts = (("Something you know", "Password"), ("Something you have", "2 passkeys, 1 app"))
        ways = Place("/account/authenticators", "passkey", "Ways to sign in", "Password, 2 passkeys, authenticator app")
        protection = Protection("Two independent steps protect your account", facts)
        return cls(Person("alice"), "alice@mail.example", protection, (ways,))


@dataclass(frozen=True, slots=True)
class AuthenticatorsPage:
    """All ways to sign in, to add, rename and remove them; without ``password_facts`` there is no password."""

    template: ClassVar[str] = "account/authenticators.html"
    person: Person
    passkeys: tuple[Authenticator, ...]
    totps: tuple[Authenticator, ...]
    notice: str | None = None
    password_facts: tuple[str, ...] = ()

    @classmethod
    def sample(cls) -> Self:
        """Some of each, one just added."""
        passkeys = (
            Authenticator("p1", "Phone", "phone", ("Synced between your devices", "added today", "never used")),
            Authenticator("p2", "Laptop", "laptop", ("Stays on this device", "added 3 March", "last used yesterday")),
            Authenticator("p3", "Blue key", "securitykey", ("Security key", "added 3 March", "never used")),
        )
        totps = (Authenticator("t1", "Authenticator app", "totp", ("Added 3 March", "last used on 12 November")),)
        return cls(Person("alice"), passkeys, totps, "Passkey “Phone” is added.", ("Changed on 3 March",))


@dataclass(frozen=True, slots=True)
class AddTotpPage:
    """The key of a new authenticator app, as a picture, as a link and to type; it counts once a code was entered.

    ``secret`` is base32 without spaces.
    """

    template: ClassVar[str] = "account/add_totp.html"
    action: str
    qr_svg: Markup
    otpauth_uri: str
    secret: str
    fault: Fault | None = None
    name: str = ""
    cancel_url: str = "/account/authenticators"
    slip: Slip | None = None

    @classmethod
    def sample(cls) -> Self:
        """A key of 160 bits."""
        secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
        uri = f"otpauth://totp/Example%20ID:alice?secret={secret}&issuer=Example%20ID"
        picture = segno.make(uri, error="m", micro=False).svg_inline(border=4, omitsize=True)
        # The picture is segno's own drawing: nothing that a user typed is in it as text.
        return cls("/account/authenticators/add-totp", Markup(picture), uri, secret)  # noqa: S704


@dataclass(frozen=True, slots=True)
class AddPasskeyPage:
    """A new passkey or security key; ``options`` is what parseCreationOptionsFromJSON takes."""

    template: ClassVar[str] = "account/add_passkey.html"
    action: str
    options: str
    fault: Fault | None = None
    name: str = ""
    cancel_url: str = "/account/authenticators"
    slip: Slip | None = None

    @classmethod
    def sample(cls) -> Self:
        """A first passkey."""
        return cls("/account/authenticators/add-passkey", _CREATE)


@dataclass(frozen=True, slots=True)
class RenamePage:
    """Another name for an authenticator; ``kind`` is a word within a sentence."""

    template: ClassVar[str] = "account/rename.html"
    action: str
    name: str
    kind: str
    fault: Fault | None = None

    @classmethod
    def sample(cls) -> Self:
        """A passkey's name."""
        return cls("/account/authenticators/p2/rename", "Laptop", "passkey")


@dataclass(frozen=True, slots=True)
class RemovePage:
    """Whether to remove an authenticator, and what remains; the ``last`` one cannot go."""

    template: ClassVar[str] = "account/remove.html"
    action: str
    kind: str
    name: str
    remaining: tuple[str, ...] = ()
    last: bool = False

    @property
    def fault(self) -> Fault | None:
        """Why it cannot be removed, if so."""
        return Fault.of("last_factor") if self.last else None

    @classmethod
    def sample(cls) -> Self:
        """One of several passkeys."""
        remaining = ("Passkey “Phone”", "Password and authenticator app")
        return cls("/account/authenticators/p2/remove", "passkey", "Laptop", remaining)


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """A change that asks for a fresh proof first; the form leads to the step-up."""

    template: ClassVar[str] = "account/confirm.html"
    action: str
    person: Person | None = None

    @classmethod
    def sample(cls) -> Self:
        """A change of authenticators."""
        return cls("/account/confirm", Person("alice"))
