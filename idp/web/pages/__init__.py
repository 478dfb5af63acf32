"""The pages people see: what each one says, as a small frozen value, and the templates that draw them."""

import hashlib
from pathlib import Path
from typing import ClassVar, Protocol, Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from idp.web.pages.account import (
    PLACES,
    AccountPage,
    AddPasskeyPage,
    AddPhonePage,
    AddTotpPage,
    AuthenticatorsPage,
    ConfirmPage,
    EmailPage,
    NewCodesPage,
    PasswordPage,
    RecoveryCodesPage,
    RemovePage,
    RenamePage,
    SessionsPage,
)
from idp.web.pages.account_data import (
    ActivityPage,
    AppsPage,
    DataPage,
    DeletePage,
    ProfilePage,
    WithdrawPage,
)
from idp.web.pages.flow import (
    AnotherWayPage,
    ChooserPage,
    ConsentPage,
    DonePage,
    EnrolPage,
    ErrorPage,
    ForgetPage,
    FormPostPage,
    LinkPage,
    NewPasswordPage,
    RecoverPage,
    RecoveryPage,
    RegisterPage,
    SentCodePage,
    SignedOutPage,
    SignInPage,
    SignOutPage,
    TotpPage,
    WebAuthnPage,
)
from idp.web.pages.parts import (
    Account,
    Act,
    App,
    Authenticator,
    Client,
    Device,
    Fault,
    Offer,
    Person,
    Place,
    Protection,
    ScopeLine,
    Slip,
    Way,
    Why,
)
from idp.web.pages.words import CEREMONY_WORDS, CREATION_WORDS, WORDS

__all__ = [
    "PAGES",
    "WORDS",
    "Account",
    "AccountPage",
    "Act",
    "ActivityPage",
    "AddPasskeyPage",
    "AddPhonePage",
    "AddTotpPage",
    "AnotherWayPage",
    "App",
    "AppsPage",
    "Authenticator",
    "AuthenticatorsPage",
    "ChooserPage",
    "Client",
    "ConfirmPage",
    "ConsentPage",
    "DataPage",
    "DeletePage",
    "Device",
    "DonePage",
    "EmailPage",
    "EnrolPage",
    "ErrorPage",
    "Fault",
    "ForgetPage",
    "FormPostPage",
    "LinkPage",
    "NewCodesPage",
    "NewPasswordPage",
    "Offer",
    "Page",
    "Pages",
    "PasswordPage",
    "Person",
    "Place",
    "ProfilePage",
    "Protection",
    "RecoverPage",
    "RecoveryCodesPage",
    "RecoveryPage",
    "RegisterPage",
    "RemovePage",
    "RenamePage",
    "ScopeLine",
    "SentCodePage",
    "SessionsPage",
    "SignInPage",
    "SignOutPage",
    "SignedOutPage",
    "Slip",
    "TotpPage",
    "Way",
    "WebAuthnPage",
    "Why",
    "WithdrawPage",
]

STATIC = Path(__file__).parents[1] / "static"


class Page(Protocol):
    """What a page says; ``template`` draws it, and the values of ``sample`` are like those of real life."""

    template: ClassVar[str]

    @classmethod
    def sample(cls) -> Self:
        """One page as people may meet it, for tests and pictures."""
        ...


class Pages:
    """Draws pages in the operator's name from the templates in a directory."""

    def __init__(self, operator: str, directory: Path) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(directory),
            # What is no HTML is not escaped: a text may hold an ampersand.
            autoescape=select_autoescape(disabled_extensions=("txt",), default=True),
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            operator=operator,
            places=PLACES,
            static={path.name: _versioned(path) for path in STATIC.iterdir()}.__getitem__,
            ceremony_words=CEREMONY_WORDS,
            creation_words=CREATION_WORDS,
        )

    def render(self, page: Page) -> str:
        """The page as HTML; raises UndefinedError where a template asks for what the page does not say."""
        return self._environment.get_template(page.template).render(page=page)

    def render_text(self, template: str, **facts: object) -> str:
        """The text that a ``.txt`` template makes of these facts, unescaped; raises UndefinedError likewise."""
        return self._environment.get_template(template).render(facts)


def _versioned(path: Path) -> str:
    """The address of a static file, which changes with its content, so that browsers may keep it for ever."""
    return f"/static/{path.name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


PAGES: tuple[type[Page], ...] = (
    SignInPage,
    TotpPage,
    WebAuthnPage,
    RecoveryPage,
    SentCodePage,
    AnotherWayPage,
    EnrolPage,
    ChooserPage,
    ForgetPage,
    RegisterPage,
    ConsentPage,
    ErrorPage,
    SignedOutPage,
    SignOutPage,
    FormPostPage,
    AccountPage,
    AuthenticatorsPage,
    AddTotpPage,
    AddPasskeyPage,
    AddPhonePage,
    RenamePage,
    RemovePage,
    ConfirmPage,
    RecoveryCodesPage,
    NewCodesPage,
    SessionsPage,
    PasswordPage,
    EmailPage,
    RecoverPage,
    LinkPage,
    NewPasswordPage,
    DonePage,
    ProfilePage,
    AppsPage,
    WithdrawPage,
    ActivityPage,
    DataPage,
    DeletePage,
)
"""All pages."""
