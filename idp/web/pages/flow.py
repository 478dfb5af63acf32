"""Pages of a flow: one question each, from sign-in to sign-out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Self

from idp.base.text import Moment, Phrase, say
from idp.web.pages.parts import Account, Client, Fault, Offer, Person, ScopeLine, Slip, Way, Why

_BANK = Client(
    "Example Bank",
    "bank.example",
    policy_uri="https://bank.example/privacy",
    tos_uri="https://bank.example/terms",
)
_PHISHING_RESISTANT = Why("app", "phr", "Example Bank")
_TWO_STEPS = Why("app", "mfa", "Example Bank")
_MISSING = say("One thing is missing")
_ASK_AGAIN = say("Go back to the app and start again. If it happens again, send its support team these details.")
_REQUEST = (
    '{"challenge": "AAECAwQFBgcICQoLDA0ODw", "rpId": "localhost", "timeout": 300000, "userVerification": "required"}'
)


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
        return cls(Slip(_BANK), "/login", register_url="/register", passkey_options=_REQUEST)


@dataclass(frozen=True, slots=True)
class TotpPage:
    """The code of an authenticator app."""

    template: ClassVar[str] = "login/totp.html"
    slip: Slip
    action: str
    person: Person
    steps: tuple[int, int] | None = None
    fault: Fault | None = None
    other_ways_url: str | None = None
    not_you_url: str | None = None
    trust_days: int | None = None

    @classmethod
    def sample(cls) -> Self:
        """The second of two steps."""
        slip = Slip(_BANK, _TWO_STEPS)
        return cls(slip, "/login", Person("alice"), (2, 2), None, "/login/another-way", "/login/other-account")


@dataclass(frozen=True, slots=True)
class WebAuthnPage:
    """A passkey or security key: as the second step, or, with ``used`` (what was shown and when), as a step-up.

    ``options`` is what parseRequestOptionsFromJSON takes (WebAuthn Level 3 §5.1.9); ``unknown`` is the id of a passkey
    that was just presented and that nobody knows.
    """

    template: ClassVar[str] = "login/webauthn.html"
    slip: Slip
    action: str
    person: Person
    options: str
    steps: tuple[int, int] | None = None
    fault: Fault | None = None
    other_ways_url: str | None = None
    not_you_url: str | None = None
    used: Phrase | None = None
    explain_phishing: bool = False
    cancel_url: str | None = None
    unknown: str | None = None
    trust_days: int | None = None

    @classmethod
    def sample(cls) -> Self:
        """A step-up inside a session."""
        return cls(
            Slip(_BANK, _PHISHING_RESISTANT),
            "/login",
            Person("alice"),
            _REQUEST,
            other_ways_url="/login/another-way",
            not_you_url="/login/other-account",
            used=say("You signed in with your password."),
            explain_phishing=True,
            cancel_url="/login/cancel",
        )


@dataclass(frozen=True, slots=True)
class RecoveryPage:
    """A recovery code."""

    template: ClassVar[str] = "login/recovery.html"
    slip: Slip
    action: str
    person: Person
    steps: tuple[int, int] | None = None
    fault: Fault | None = None
    other_ways_url: str | None = None
    not_you_url: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """The second of two steps."""
        slip = Slip(_BANK, _TWO_STEPS)
        return cls(slip, "/login", Person("alice"), (2, 2), None, "/login/another-way", "/login/other-account")


@dataclass(frozen=True, slots=True)
class SentCodePage:
    """A code by text message or mail: to enter once one was ``sent``, else to ask for at ``send_url``.

    ``method`` is ``sms`` or ``email``, ``where`` so much of the number or address as its owner knows it by.
    """

    template: ClassVar[str] = "login/sent_code.html"
    slip: Slip
    action: str
    send_url: str
    person: Person
    method: str
    where: str
    sent: bool = True
    steps: tuple[int, int] | None = None
    fault: Fault | None = None
    other_ways_url: str | None = None
    not_you_url: str | None = None
    trust_days: int | None = None

    @classmethod
    def sample(cls) -> Self:
        """The second of two steps."""
        return cls(
            Slip(_BANK, _TWO_STEPS),
            "/login",
            "/login/send-code",
            Person("alice"),
            "sms",
            "••• 123",
            steps=(2, 2),
            other_ways_url="/login/another-way",
            not_you_url="/login/other-account",
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
        slip = Slip(_BANK, _PHISHING_RESISTANT)
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
            Slip(_BANK, _PHISHING_RESISTANT),
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
        return cls(Slip(_BANK), "/login", accounts, "/login/forget")


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


@dataclass(frozen=True, slots=True)
class RegisterPage:
    """A new account; ``minimum`` is the length of the shortest password."""

    template: ClassVar[str] = "register.html"
    slip: Slip
    action: str
    username: str = ""
    email: str = ""
    phone: str = ""
    faults: tuple[Fault, ...] = ()
    sign_in_url: str = "/login"
    minimum: int = 15

    @classmethod
    def sample(cls) -> Self:
        """A refused password."""
        return cls(Slip(_BANK), "/register", "alice", faults=(Fault.of("password_known", "password"),))


@dataclass(frozen=True, slots=True)
class RecoverPage:
    """To ask for a new password; what is answered does not depend on what is typed."""

    template: ClassVar[str] = "recover.html"

    @classmethod
    def sample(cls) -> Self:
        """The empty form."""
        return cls()


@dataclass(frozen=True, slots=True)
class LinkPage:
    """What a link that came by mail is for: it counts once ``button`` sends ``secret`` to ``action``."""

    template: ClassVar[str] = "link.html"
    title: Phrase
    person: Person
    text: Phrase
    action: str
    secret: str
    button: Phrase

    @classmethod
    def sample(cls) -> Self:
        """An address to confirm."""
        text = say(
            "%(address)s was given for this account. Confirm it only if the account is yours.",
            address="alice@mail.example",
        )
        title, button = say("Confirm your e-mail address"), say("Confirm address")
        return cls(title, Person("alice"), text, "/confirm-email", "SplxlOBeZQQYbYS6WxSbIA", button)


@dataclass(frozen=True, slots=True)
class NewPasswordPage:
    """A new password in place of one that was forgotten; ``minimum`` is the length of the shortest."""

    template: ClassVar[str] = "new_password.html"
    person: Person
    action: str
    minimum: int
    fault: Fault | None = None

    @classmethod
    def sample(cls) -> Self:
        """For an account with a second factor."""
        return cls(Person("alice"), "/recover/new-password", 8)


@dataclass(frozen=True, slots=True)
class DonePage:
    """The end of a small flow: what was done, what else may help, and where to go on, a label and an address."""

    template: ClassVar[str] = "done.html"
    title: Phrase
    text: Phrase
    advice: Phrase | None
    onward: tuple[Phrase, str]
    icon: str = "done"

    @classmethod
    def sample(cls) -> Self:
        """A mail under way."""
        address = "alice@mail.example"
        text = say("A link is on its way to %(address)s. Open it within 24 hours.", address=address)
        advice = say("Nothing there after a few minutes? Look among the unwanted mail.")
        return cls(say("Look into your mailbox"), text, advice, (say("Your account"), "/account"), "mail")


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """What an app would be able to do, for the person to allow or to deny; the slip has a client."""

    template: ClassVar[str] = "consent.html"
    slip: Slip
    action: str
    person: Person
    scopes: tuple[ScopeLine, ...]
    other_account_url: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """The usual three scopes."""
        scopes = (
            ScopeLine("user", say("See your name"), "Alice Example"),
            ScopeLine("mail", say("See your e-mail address"), "alice@mail.example"),
            ScopeLine("clock", say("Stay connected"), say("Also while you are not using it")),
        )
        return cls(Slip(_BANK), "/login/consent", Person("alice"), scopes, "/login/other-account")


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """Why nothing could be done, with the facts that help to mend it; the reference is the request's in the log."""

    template: ClassVar[str] = "error.html"
    cause: str
    title: Phrase
    text: tuple[Phrase, ...]
    facts: tuple[tuple[Phrase, Phrase], ...]
    reference: str
    advice: Phrase = _ASK_AGAIN

    @classmethod
    def sample(cls) -> Self:
        """An app with a wrong redirect URI."""
        return cls(
            "redirect_uri_mismatch",
            say("This sign-in link does not work"),
            (say("The app did not say where to send you back to."), say("To keep you safe, we stopped.")),
            (
                (say("Cause"), "redirect_uri_mismatch"),
                (say("App"), "example-bank"),
                (say("Time"), Moment(datetime(2026, 11, 24, 9, 41, tzinfo=UTC))),
            ),
            "7f3k-92qd-x8mw",
        )


@dataclass(frozen=True, slots=True)
class SignedOutPage:
    """The session has ended, here and in the apps named; ``back`` is a label and an address."""

    template: ClassVar[str] = "signed_out.html"
    apps: tuple[str, ...] = ()
    back: tuple[Phrase, str] | None = None

    @classmethod
    def sample(cls) -> Self:
        """A sign-out that reached two apps."""
        return cls(
            ("Example Bank", "Example Notes"), (say("Back to %(app)s", app="Example Bank"), "https://bank.example/")
        )


@dataclass(frozen=True, slots=True)
class SignOutPage:
    """Whether to sign out, asked because an app's request does not prove that the person wants it.

    ``fields`` keep what the request said (OpenID Connect RP-Initiated Logout §2).
    """

    template: ClassVar[str] = "sign_out.html"
    action: str
    person: Person | None
    client: Client | None = None
    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def sample(cls) -> Self:
        """A request of an app."""
        return cls("/oauth/logout", Person("alice"), _BANK, (("state", "af0ifjsldkj"),))


@dataclass(frozen=True, slots=True)
class FormPostPage:
    """An answer on its way to the app (OAuth 2.0 Form Post Response Mode §2); without script, by a button."""

    template: ClassVar[str] = "form_post.html"
    action: str
    fields: tuple[tuple[str, str], ...]

    @classmethod
    def sample(cls) -> Self:
        """A code."""
        return cls("https://bank.example/cb", (("code", "SplxlOBeZQQYbYS6WxSbIA"), ("state", "af0ifjsldkj")))
