"""Pages of a sign-in: who one is, shown step by step."""

from dataclasses import dataclass
from typing import ClassVar, Self

from idp.base.text import Phrase, say
from idp.web.pages.parts import Account, Fault, Offer, Person, Slip, Way
from idp.web.pages.samples import BANK, PHISHING_RESISTANT, REQUEST, TWO_STEPS

_MISSING = say("One thing is missing")


@dataclass(frozen=True, slots=True)
class SignInPage:
    """User name and password, or a passkey; with ``person``, the password of that person alone.

    ``passkey_options`` is what parseRequestOptionsFromJSON takes (WebAuthn Level 3 §5.1.9); without it no passkey is
    offered. The two forms both go to ``action``: one sends the password, the other ``credential``. ``unknown`` is the
    id of a passkey that was just presented and that nobody knows.
    """

    template: ClassVar[str] = "login/password.html"
    slip: Slip
    action: str
    username: str = ""
    person: Person | None = None
    other_account_url: str | None = None
    fault: Fault | None = None
    notice: Phrase | None = None
    register_url: str | None = None
    passkey_options: str | None = None
    steps: tuple[int, int] | None = None
    unknown: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """A first sign-in."""
        return cls(Slip(BANK), "/login", register_url="/register", passkey_options=REQUEST)


@dataclass(frozen=True, slots=True)
class StepPage:
    """What all pages have on which somebody who is known shows one more thing; ``steps`` is which of how many."""

    slip: Slip
    action: str
    person: Person
    steps: tuple[int, int] | None = None
    fault: Fault | None = None
    other_ways_url: str | None = None
    not_you_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpPage(StepPage):
    """The code of an authenticator app."""

    template: ClassVar[str] = "login/totp.html"
    trust_days: int | None = None

    @classmethod
    def sample(cls) -> Self:
        """The second of two steps."""
        slip = Slip(BANK, TWO_STEPS)
        return cls(slip, "/login", Person("alice"), (2, 2), None, "/login/another-way", "/login/other-account")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAuthnPage(StepPage):
    """A passkey or security key: as the second step, or, with ``used`` (what was shown and when), as a step-up.

    ``options`` is what parseRequestOptionsFromJSON takes (WebAuthn Level 3 §5.1.9); ``unknown`` is the id of a passkey
    that was just presented and that nobody knows.
    """

    template: ClassVar[str] = "login/webauthn.html"
    options: str
    used: Phrase | None = None
    explain_phishing: bool = False
    cancel_url: str | None = None
    unknown: str | None = None
    trust_days: int | None = None

    @classmethod
    def sample(cls) -> Self:
        """A step-up inside a session."""
        return cls(
            Slip(BANK, PHISHING_RESISTANT),
            "/login",
            Person("alice"),
            other_ways_url="/login/another-way",
            not_you_url="/login/other-account",
            options=REQUEST,
            used=say("You signed in with your password."),
            explain_phishing=True,
            cancel_url="/login/cancel",
        )


@dataclass(frozen=True, slots=True)
class RecoveryPage(StepPage):
    """A recovery code."""

    template: ClassVar[str] = "login/recovery.html"

    @classmethod
    def sample(cls) -> Self:
        """The second of two steps."""
        slip = Slip(BANK, TWO_STEPS)
        return cls(slip, "/login", Person("alice"), (2, 2), None, "/login/another-way", "/login/other-account")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCodePage(StepPage):
    """A code by text message or mail: to enter once one was ``sent``, else to ask for at ``send_url``.

    ``method`` is ``sms`` or ``email``, ``where`` so much of the number or address as its owner knows it by.
    """

    template: ClassVar[str] = "login/sent_code.html"
    send_url: str
    method: str
    where: str
    sent: bool = True
    trust_days: int | None = None

    @classmethod
    def sample(cls) -> Self:
        """The second of two steps."""
        return cls(
            Slip(BANK, TWO_STEPS),
            "/login",
            Person("alice"),
            (2, 2),
            other_ways_url="/login/another-way",
            not_you_url="/login/other-account",
            send_url="/login/send-code",
            method="sms",
            where="••• 123",
        )


@dataclass(frozen=True, slots=True)
class AnotherWayPage:
    """All ways that the account has; those that the request refuses are seen too, and cannot be chosen."""

    template: ClassVar[str] = "login/another_way.html"
    slip: Slip
    action: str
    person: Person
    ways: tuple[Way, ...]
    steps: tuple[int, int] | None = None
    not_you_url: str | None = None
    cancel_url: str | None = None
    lost_url: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """Two ways that suffice and one that does not."""
        ways = (
            Way("webauthn", None, say("Passkey"), "Laptop", "passkey"),
            Way("webauthn", "k2", say("Security key"), "Blue key", "securitykey"),
            Way("totp", None, say("Authenticator app"), "Phone", "totp", enough=False),
        )
        slip = Slip(BANK, PHISHING_RESISTANT)
        return cls(
            slip, "/login", Person("alice"), ways, (2, 2), "/login/other-account", "/login/cancel", "/recover/factor"
        )


@dataclass(frozen=True, slots=True)
class EnrolPage:
    """What the account lacks, and the methods that would do once added; by ``later_url`` it may wait."""

    template: ClassVar[str] = "login/enrol.html"
    slip: Slip
    person: Person
    text: Phrase
    offers: tuple[Offer, ...]
    title: Phrase = _MISSING
    not_you_url: str | None = None
    cancel_url: str | None = None
    later_url: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """A request that asks for a passkey of an account that has none."""
        return cls(
            Slip(BANK, PHISHING_RESISTANT),
            Person("alice"),
            Fault.of("step_up_impossible", client="Example Bank").text,
            (Offer.passkey("/account/authenticators/add-passkey"),),
            not_you_url="/login/other-account",
            cancel_url="/login/cancel",
        )


@dataclass(frozen=True, slots=True)
class ChooserPage:
    """The accounts known in this browser, to go on with one of them or another."""

    template: ClassVar[str] = "login/chooser.html"
    slip: Slip
    action: str
    accounts: tuple[Account, ...]
    forget_url: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """Two accounts of one person."""
        accounts = (
            Account("a1", Person("alice"), say("Signed in")),
            Account("a2", Person("alice-work"), say("Signed out")),
        )
        return cls(Slip(BANK), "/login", accounts, "/login/forget")


@dataclass(frozen=True, slots=True)
class ForgetPage:
    """The accounts that this browser knows, to forget one of them."""

    template: ClassVar[str] = "login/forget.html"
    action: str
    accounts: tuple[Account, ...]
    back_url: str

    @classmethod
    def sample(cls) -> Self:
        """One account that is signed out."""
        return cls("/login/forget", (Account("a2", Person("alice-work"), say("Signed out")),), "/login/choose")
