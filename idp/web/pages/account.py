"""Pages of the account: what protects it, and how to change that."""

from dataclasses import dataclass
from typing import ClassVar, Self

import segno
from markupsafe import Markup

from idp.web.pages.parts import Authenticator, Device, Fault, Person, Place, Protection, Slip

_CREATE = (
    '{"challenge": "AAECAwQFBgcICQoLDA0ODw", "rp": {"id": "localhost", "name": "Example ID"}, '
    '"user": {"id": "YWxpY2U", "name": "alice", "displayName": "alice"}, '
    '"pubKeyCredParams": [{"type": "public-key", "alg": -7}], "timeout": 300000, '
    '"authenticatorSelection": {"residentKey": "required", "userVerification": "required"}}'
)
_FEW = "2 recovery codes are left. Make new ones before you need one."


PLACES = (
    ("/account", "Overview"),
    ("/account/profile", "Profile"),
    ("/account/email", "E-mail"),
    ("/account/authenticators", "Ways to sign in"),
    ("/account/password", "Password"),
    ("/account/recovery-codes", "Recovery codes"),
    ("/account/sessions", "Devices"),
    ("/account/apps", "Connected apps"),
    ("/account/activity", "Activity"),
    ("/account/data", "Your data"),
)
"""The menu of the account: addresses and names, each page naming its own."""


@dataclass(frozen=True, slots=True)
class AccountPage:
    """The account at a glance, which on a phone is also its menu; ``care`` is what its owner should see to.

    ``waiting`` is an address that is not confirmed yet.
    """

    template: ClassVar[str] = "account/overview.html"
    person: Person
    email: str | None
    protection: Protection
    places: tuple[Place, ...]
    care: str | None = None
    waiting: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """A well protected account."""
        facts = (
            ("Something you know", "Password"),
            ("Something you have", "2 passkeys, 1 app"),
            ("If you lose it", "2 recovery codes"),
        )
        places = (
            Place("/account/authenticators", "passkey", "Ways to sign in", "Password, 2 passkeys, authenticator app"),
            Place("/account/recovery-codes", "codes", "Recovery codes", "2 of 10 left"),
            Place("/account/sessions", "laptop", "Devices", "Signed in on 3 devices"),
            Place("/account/password", "password", "Password", "Changed on 3 March"),
            Place("/account/apps", "apps", "Connected apps", "2 apps can use your account"),
            Place("/account/profile", "user", "Profile", "Alice Example"),
            Place("/account/activity", "clock", "Activity", "What happened in the last 90 days"),
            Place("/account/data", "data", "Your data", "Download it, or delete your account"),
        )
        protection = Protection("Two independent steps protect your account", facts)
        return cls(Person("alice"), "alice@mail.example", protection, places, _FEW)


@dataclass(frozen=True, slots=True)
class AuthenticatorsPage:
    """All ways to sign in, to add, rename and remove them; without ``password_facts`` there is no password.

    ``codes`` says what recovery codes there are, ``care`` what is missing, ``others`` how many other browsers are
    signed in, which a change of these ways is a reason to end (ASVS 7.4.3). A ``phone`` is there and can be added only
    where text messages are ``phone_offered``.
    """

    template: ClassVar[str] = "account/authenticators.html"
    person: Person
    passkeys: tuple[Authenticator, ...]
    totps: tuple[Authenticator, ...]
    notice: str | None = None
    password_facts: tuple[str, ...] = ()
    codes: str | None = None
    care: str | None = None
    others: int = 0
    phone: Authenticator | None = None
    phone_offered: bool = False

    @classmethod
    def sample(cls) -> Self:
        """Some of each, one just added."""
        passkeys = (
            Authenticator("p1", "Phone", "phone", ("Synced between your devices", "added today", "never used")),
            Authenticator("p2", "Laptop", "laptop", ("Stays on this device", "added 3 March", "last used yesterday")),
            Authenticator("p3", "Blue key", "securitykey", ("Security key", "added 3 March", "never used")),
        )
        totps = (Authenticator("t1", "Authenticator app", "totp", ("Added 3 March", "last used on 12 November")),)
        notice, password = "Passkey “Phone” is added.", ("Changed on 3 March",)
        phone = Authenticator("phone", "+44 7700 900123", "phone", ("Codes by text message",))
        codes = "7 of 10 left"
        return cls(Person("alice"), passkeys, totps, notice, password, codes, others=2, phone=phone, phone_offered=True)


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
class AddPhonePage:
    """A number for codes by text message: to type, with a word about stronger ways; then ``number``, to confirm."""

    template: ClassVar[str] = "account/add_phone.html"
    action: str
    number: str | None = None
    typed: str = ""
    fault: Fault | None = None
    other_number_url: str = "/account/authenticators/add-phone?another=1"
    passkey_url: str = "/account/authenticators/add-passkey"
    totp_url: str = "/account/authenticators/add-totp"
    cancel_url: str = "/account/authenticators"
    slip: Slip | None = None

    @classmethod
    def sample(cls) -> Self:
        """A number to type."""
        return cls("/account/authenticators/add-phone")


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
    """An act that asks for a fresh proof first, of so many ``minutes``; the form leads to the step-up."""

    template: ClassVar[str] = "account/confirm.html"
    action: str
    person: Person | None = None
    minutes: int = 20

    @classmethod
    def sample(cls) -> Self:
        """A change of authenticators."""
        return cls("/account/confirm", Person("alice"))


@dataclass(frozen=True, slots=True)
class RecoveryCodesPage:
    """How many recovery codes are left of a set, and when it was made; ``offered`` is whether there may be one."""

    template: ClassVar[str] = "account/recovery_codes.html"
    left: int
    total: int
    made: str | None
    offered: bool = True

    @classmethod
    def sample(cls) -> Self:
        """A set of which some are used."""
        return cls(7, 10, "3 March 2026")


@dataclass(frozen=True, slots=True)
class NewCodesPage:
    """A new set of recovery codes, shown this once, to be printed with whose they are and of when."""

    template: ClassVar[str] = "account/new_codes.html"
    person: Person
    codes: tuple[str, ...]
    made: str

    @classmethod
    def sample(cls) -> Self:
        """A whole set."""
        codes = tuple(f"m{one}ep-xbc5-udnv-b7tg" for one in "abcdefghij")
        return cls(Person("alice"), codes, "24 November 2026")


@dataclass(frozen=True, slots=True)
class SessionsPage:
    """The browsers in which one is signed in, this one first."""

    template: ClassVar[str] = "account/sessions.html"
    devices: tuple[Device, ...]

    @property
    def others(self) -> bool:
        """Whether there are any besides this one."""
        return len(self.devices) > 1

    @classmethod
    def sample(cls) -> Self:
        """Three browsers."""
        here = ("192.0.2.7", "signed in 24 November, 09:41 UTC with your password and a passkey", "active now")
        there = ("2001:db8::7", "signed in 23 November, 18:20 UTC with a passkey", "last active 24 November, 08:02 UTC")
        elsewhere = ("198.51.100.9", "signed in 24 November, 08:00 UTC with your password", "last active 08:05 UTC")
        return cls(
            (
                Device("s1", "Firefox on Linux", "laptop", here, current=True),
                Device("s2", "Safari on iPhone", "phone", there),
                Device("s3", "Unknown browser", "laptop", elsewhere),
            )
        )


@dataclass(frozen=True, slots=True)
class EmailPage:
    """The address of the account: ``confirmed`` is written to, ``waiting`` was given and is not confirmed yet."""

    template: ClassVar[str] = "account/email.html"
    person: Person
    confirmed: str | None
    waiting: str | None
    typed: str = ""
    fault: Fault | None = None

    @classmethod
    def sample(cls) -> Self:
        """A change under way."""
        return cls(Person("alice"), "alice@mail.example", "alice@new.example")


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """Another password, or a first one; ``minimum`` is the length of the shortest."""

    template: ClassVar[str] = "account/password.html"
    person: Person
    minimum: int
    fault: Fault | None = None
    has_one: bool = True

    @classmethod
    def sample(cls) -> Self:
        """A change."""
        return cls(Person("alice"), 8)
