"""Pages of a flow beside the sign-in itself: one question each, from registration to sign-out."""

from dataclasses import dataclass
from typing import ClassVar, Self

from idp.base.text import Moment, Phrase, say
from idp.web.pages.parts import Client, Fault, Person, ScopeLine, Slip
from idp.web.pages.samples import BANK, NOVEMBER

_ACCOUNT = (say("Go to your account"), "/account")
_ASK_AGAIN = say("Go back to the app and start again. If it happens again, send its support team these details.")


@dataclass(frozen=True, slots=True)
class RegisterPage:
    """A new account; ``minimum`` is the length of the shortest password.

    ``invitation`` is the secret of one, which the form carries on; the address that it went to is the account's.
    """

    template: ClassVar[str] = "register.html"
    slip: Slip
    action: str
    username: str = ""
    email: str = ""
    phone: str = ""
    faults: tuple[Fault, ...] = ()
    sign_in_url: str = "/login"
    minimum: int = 15
    invitation: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """A refused password."""
        return cls(Slip(BANK), "/register", "alice", faults=(Fault.of("password_known", "password"),))


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
    """What a link that came by mail is for: it counts once ``button`` sends ``secret`` to ``action``.

    ``warning`` is what else that does, and ``onward`` another way, a label and an address.
    """

    template: ClassVar[str] = "link.html"
    title: Phrase
    person: Person
    text: Phrase
    action: str
    secret: str
    button: Phrase
    warning: Phrase | None = None
    onward: tuple[Phrase, str] | None = None

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
        return cls(Slip(BANK), "/login/consent", Person("alice"), scopes, "/login/other-account")


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """Why nothing could be done, with the facts that help to mend it; the reference is the request's in the log.

    ``onward`` is where to go from there, a label and an address.
    """

    template: ClassVar[str] = "error.html"
    cause: str
    title: Phrase
    text: tuple[Phrase, ...]
    facts: tuple[tuple[Phrase, Phrase], ...]
    reference: str
    advice: Phrase = _ASK_AGAIN
    onward: tuple[Phrase, str] = _ACCOUNT

    @classmethod
    def sample(cls) -> Self:
        """An app with a wrong redirect URI."""
        return cls(
            "redirect_uri_mismatch",
            say("This sign-in link does not work"),
            (
                say("The app asked us to send you back to an address that it has not registered."),
                say("To keep you safe, we stopped."),
            ),
            (
                (say("Cause"), "redirect_uri_mismatch"),
                (say("App"), "example-bank"),
                (say("Time"), Moment(NOVEMBER)),
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

    ``fields`` keep what the request said (OpenID Connect RP-Initiated Logout §2); ``is_doubtful`` is whether it does
    not even prove whose sign-in it is about.
    """

    template: ClassVar[str] = "sign_out.html"
    action: str
    person: Person | None
    client: Client | None = None
    fields: tuple[tuple[str, str], ...] = ()
    is_doubtful: bool = False

    @classmethod
    def sample(cls) -> Self:
        """A request of an app that proves nothing."""
        return cls("/oauth/logout", Person("alice"), BANK, (("state", "af0ifjsldkj"),), is_doubtful=True)


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
