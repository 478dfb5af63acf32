"""Pages of the account: what protects it, and how to change that."""

from dataclasses import dataclass
from typing import ClassVar, Self

import segno
from markupsafe import Markup

from idp.base.text import Day, Listing, Moment, Phrase, say, say_many
from idp.web.pages.parts import Authenticator, Device, Fault, Person, Place, Protection
from idp.web.pages.samples import MARCH, NOVEMBER

_CREATE = (
    '{"challenge": "AAECAwQFBgcICQoLDA0ODw", "rp": {"id": "localhost", "name": "Example ID"}, '
    '"user": {"id": "YWxpY2U", "name": "alice", "displayName": "alice"}, '
    '"pubKeyCredParams": [{"type": "public-key", "alg": -7}], "timeout": 300000, '
    '"authenticatorSelection": {"residentKey": "required", "userVerification": "required"}}'
)
_FEW = say_many(
    "1 recovery code is left. Make new ones before you need one.",
    "%(count)s recovery codes are left. Make new ones before you need one.",
    2,
)


PLACES = (
    ("/account", say("Overview")),
    ("/account/profile", say("Profile")),
    ("/account/email", say("E-mail")),
    ("/account/authenticators", say("Ways to sign in")),
    ("/account/password", say("Password")),
    ("/account/recovery-codes", say("Recovery codes")),
    ("/account/sessions", say("Devices")),
    ("/account/apps", say("Connected apps")),
    ("/account/activity", say("Activity")),
    ("/account/data", say("Your data")),
)
"""The menu of the account: addresses and names, each page naming its own."""


@dataclass(frozen=True, slots=True)
class AccountPage:
    """The account at a glance, which on a phone is also its menu; ``care`` is what its owner should see to.

    ``waiting`` is an address that is not confirmed yet. At ``upgrade_url`` the browser may add a passkey by itself.
    """

    template: ClassVar[str] = "account/overview.html"
    person: Person
    email: str | None
    protection: Protection
    places: tuple[Place, ...]
    care: Phrase | None = None
    waiting: str | None = None
    upgrade_url: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """A well protected account."""
        two_passkeys = say_many("1 passkey", "%(count)s passkeys", 2)
        facts = (
            (say("Something you know"), say("Password")),
            (say("Something you have"), Listing((two_passkeys, say("Authenticator app")))),
            (say("If you lose it"), say_many("1 recovery code", "%(count)s recovery codes", 2)),
        )
        places = (
            Place("/account/authenticators", "passkey", say("Ways to sign in"), two_passkeys),
            Place(
                "/account/recovery-codes",
                "codes",
                say("Recovery codes"),
                say("%(left)s of %(total)s left", left=2, total=10),
            ),
            Place(
                "/account/sessions",
                "laptop",
                say("Devices"),
                say_many("Only this one", "Signed in on %(count)s devices", 3),
            ),
            Place(
                "/account/password", "password", say("Password"), say("Changed on %(day)s", day=Day(MARCH, year=False))
            ),
            Place(
                "/account/apps",
                "apps",
                say("Connected apps"),
                say_many("1 app can use your account", "%(count)s apps can use your account", 2),
            ),
            Place("/account/profile", "user", say("Profile"), "Alice Example"),
            Place("/account/activity", "clock", say("Activity"), say("What happened in the last 90 days")),
            Place("/account/data", "data", say("Your data"), say("Download it, or delete your account")),
        )
        protection = Protection(say("Two independent steps protect your account"), facts)
        return cls(Person("alice"), "alice@mail.example", protection, places, _FEW)


@dataclass(frozen=True, slots=True)
class AuthenticatorsPage:
    """All ways to sign in, to add, rename and remove them; without ``password_facts`` there is no password.

    ``codes`` says what recovery codes there are, ``care`` what is missing, ``others`` how many other browsers are
    signed in, which a change of these ways is a reason to end (ASVS 7.4.3). A ``phone`` is there and can be added only
    where text messages are ``phone_offered``. ``signals`` is what password managers may be told of the passkeys.
    """

    template: ClassVar[str] = "account/authenticators.html"
    person: Person
    passkeys: tuple[Authenticator, ...]
    totps: tuple[Authenticator, ...]
    notice: Phrase | None = None
    password_facts: tuple[Phrase, ...] = ()
    codes: Phrase | None = None
    care: Phrase | None = None
    others: int = 0
    phone: Authenticator | None = None
    phone_offered: bool = False
    signals: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """Some of each."""
        added = say("added %(day)s", day=Day(MARCH, year=False))
        used = say("last used on %(day)s", day=Day(NOVEMBER, year=False))
        passkeys = (
            Authenticator("p1", "Phone", "phone", (say("Synced between your devices"), added, say("never used"))),
            Authenticator("p2", "Laptop", "laptop", (say("Stays on its device"), added, used)),
            Authenticator("p3", "Blue key", "securitykey", (say("Stays on its device"), added, say("never used"))),
        )
        totps = (Authenticator("t1", say("Authenticator app"), "totp", (added, used)),)
        password = (say("Changed on %(day)s", day=Day(MARCH, year=False)),)
        phone = Authenticator("phone", "+44 7700 900123", "phone", (say("Codes by text message"),))
        codes = say("%(left)s of %(total)s left", left=7, total=10)
        return cls(Person("alice"), passkeys, totps, None, password, codes, others=2, phone=phone, phone_offered=True)


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

    @classmethod
    def sample(cls) -> Self:
        """A number to type."""
        return cls("/account/authenticators/add-phone")


@dataclass(frozen=True, slots=True)
class RenamePage:
    """Another name for an authenticator."""

    template: ClassVar[str] = "account/rename.html"
    action: str
    name: Phrase
    fault: Fault | None = None

    @classmethod
    def sample(cls) -> Self:
        """A passkey's name."""
        return cls("/account/authenticators/p2/rename", "Laptop")


@dataclass(frozen=True, slots=True)
class RemovePage:
    """Whether to remove an authenticator, and what remains; the ``last`` one cannot go."""

    template: ClassVar[str] = "account/remove.html"
    action: str
    method: str
    name: Phrase
    remaining: tuple[Phrase, ...] = ()
    last: bool = False

    @property
    def fault(self) -> Fault | None:
        """Why it cannot be removed, if so."""
        return Fault.of("last_factor") if self.last else None

    @classmethod
    def sample(cls) -> Self:
        """One of several passkeys."""
        remaining = ("Phone", say("Password"))
        return cls("/account/authenticators/p2/remove", "webauthn", "Laptop", remaining)


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
    made: Day | None
    offered: bool = True

    @classmethod
    def sample(cls) -> Self:
        """A set of which some are used."""
        return cls(7, 10, Day(MARCH))


@dataclass(frozen=True, slots=True)
class NewCodesPage:
    """A new set of recovery codes, shown this once, to be printed with whose they are and of when."""

    template: ClassVar[str] = "account/new_codes.html"
    person: Person
    codes: tuple[str, ...]
    made: Day

    @classmethod
    def sample(cls) -> Self:
        """A whole set."""
        codes = tuple(f"m{one}ep-xbc5-udnv-b7tg" for one in "abcdefghij")
        return cls(Person("alice"), codes, Day(NOVEMBER))


@dataclass(frozen=True, slots=True)
class SessionsPage:
    """The browsers in which one is signed in, this one first, and those ``trusted`` to stand in for a second step.

    ``more`` is whether there are others still, used longer ago.
    """

    template: ClassVar[str] = "account/sessions.html"
    devices: tuple[Device, ...]
    trusted: tuple[Device, ...] = ()
    more: bool = False

    @property
    def others(self) -> bool:
        """Whether there are any besides this one."""
        return len(self.devices) > 1

    @classmethod
    def sample(cls) -> Self:
        """Three browsers."""
        signed_in = say(
            "signed in %(time)s with %(ways)s",
            time=Moment(NOVEMBER, year=False),
            ways=Listing((say("your password"), say("a passkey"))),
        )
        seen = say("last active %(time)s", time=Moment(NOVEMBER, year=False))
        here, there = ("192.0.2.7", signed_in, say("active now")), ("2001:db8::7", signed_in, seen)
        firefox = say("%(browser)s on %(system)s", browser="Firefox", system="Linux")
        safari = say("%(browser)s on %(system)s", browser="Safari", system="iPhone")
        trusted = (say("Trusted until %(day)s", day=Day(NOVEMBER, year=False)),)
        return cls(
            (
                Device("s1", firefox, "laptop", here, current=True),
                Device("s2", safari, "phone", there),
                Device("s3", say("Unknown browser"), "laptop", there),
            ),
            (
                Device("t1", firefox, "laptop", trusted, current=True),
                Device("t2", safari, "phone", trusted),
            ),
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
    """Another password, or a first one; ``minimum`` is the length of the shortest.

    With ``passkeys`` that sign in alone it can be removed: at ``remove_url``, once one of them has just been used.
    """

    template: ClassVar[str] = "account/password.html"
    person: Person
    minimum: int
    fault: Fault | None = None
    has_one: bool = True
    passkeys: int = 0
    remove_url: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """A change."""
        return cls(Person("alice"), 8)
