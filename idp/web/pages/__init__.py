"""The pages people see: what each one says, as a small frozen value, and the templates that draw them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType
from typing import ClassVar, Protocol, Self

from jinja2 import (
    BaseLoader,
    BytecodeCache,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    pass_eval_context,
    select_autoescape,
)
from jinja2.bccache import Bucket
from jinja2.filters import do_join
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape

from idp.base.digest import fingerprint
from idp.base.text import Phrase
from idp.web.language import ENGLISH, LANGUAGES, Language
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
from idp.web.pages.brand import PLAIN, Brand
from idp.web.pages.flow import (
    ConsentPage,
    DonePage,
    ErrorPage,
    FormPostPage,
    LinkPage,
    NewPasswordPage,
    RecoverPage,
    RegisterPage,
    SignedOutPage,
    SignOutPage,
)
from idp.web.pages.login import (
    AnotherWayPage,
    ChooserPage,
    EnrolPage,
    ForgetPage,
    RecoveryPage,
    SentCodePage,
    SignInPage,
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
from idp.web.pages.recovery import LostFactorsPage, RemoveFactorsPage
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
    "LostFactorsPage",
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
    "RemoveFactorsPage",
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
ORIGINAL = "original"
"""The prefix under which a template of an operator finds ours, to extend it."""


class Page(Protocol):
    """What a page says; ``template`` draws it, and the values of ``sample`` are like those of real life."""

    template: ClassVar[str]

    @classmethod
    def sample(cls) -> Self:
        """One page as people may meet it, for tests and pictures."""
        ...


class Pages:
    """Draws pages in the operator's name from the templates in a directory, in the language of who reads them.

    A template in ``overrides`` takes the place of ours of the same name, which it finds as ``original/<name>``.
    """

    def __init__(self, operator: str, directory: Path, *, brand: Brand = PLAIN, overrides: Path | None = None) -> None:
        self._operator, self.brand = operator, brand
        self._loader = _loader(directory, overrides)
        self._environments: dict[str, Environment] = {}

    def render(self, page: Page, language: Language = ENGLISH, *, here: str = "/login?") -> str:
        """The page as HTML; ``here`` is its own address, which the links to other languages keep.

        Raises UndefinedError where a template asks for what the page does not say.
        """
        return self._environment(language).get_template(page.template).render(page=page, here=here)

    def render_text(self, template: str, language: Language, /, **facts: object) -> str:
        """The text that a ``.txt`` template makes of these facts, unescaped; raises UndefinedError likewise."""
        return self._environment(language).get_template(template).render(facts)

    def _environment(self, language: Language) -> Environment:
        # One for each language, whose functions a template is bound to; what it is compiled to is the same for all.
        if language.tag not in self._environments:
            self._environments[language.tag] = self._speaking(language)
        return self._environments[language.tag]

    def _speaking(self, language: Language) -> Environment:
        environment = Environment(
            loader=self._loader,
            # What is no HTML is not escaped: a text may hold an ampersand.
            autoescape=select_autoescape(disabled_extensions=("txt",), default=True),
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=language.put,
            extensions=["jinja2.ext.i18n"],
            bytecode_cache=_COMPILED,
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.newstyle_gettext = True  # type: ignore[attr-defined]  # set by the extension
        environment.globals.update(
            gettext=_gettext(language),
            ngettext=_ngettext(language),
            language=language,
            languages=LANGUAGES,
            operator=self._operator,
            brand=self.brand,
            places=PLACES,
            static=_STATIC.__getitem__,
            ceremony_words=CEREMONY_WORDS,
            creation_words=CREATION_WORDS,
        )
        environment.filters["join"] = _join(language)
        environment.filters["facts"] = _facts(language)
        return environment


class _Compiled(BytecodeCache):
    """What templates are compiled to, for all languages and installations of this process."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Hand out what there is for this file and this text of it."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()


def _loader(directory: Path, overrides: Path | None) -> BaseLoader:
    ours = FileSystemLoader(directory)
    own = [FileSystemLoader(overrides)] if overrides else []
    return ChoiceLoader([*own, ours, PrefixLoader({ORIGINAL: ours})])


def _gettext(language: Language) -> Callable[..., str]:
    @pass_eval_context
    def gettext(context: EvalContext, message: Phrase, /, **values: object) -> str:
        """The message in this language; what already is a phrase with its values is put into words as it is."""
        if not isinstance(message, str):
            return language.words(message)
        return _safely(context, language.gettext(message, **_escaped(context, language, values)))

    return gettext


def _ngettext(language: Language) -> Callable[..., str]:
    @pass_eval_context
    def ngettext(context: EvalContext, one: str, many: str, count: int, /, **values: object) -> str:
        return _safely(context, language.ngettext(one, many, count, **_escaped(context, language, values)))

    return ngettext


def _escaped(context: EvalContext, language: Language, values: dict[str, object]) -> dict[str, object]:
    if not context.autoescape:
        return values
    return {name: value if isinstance(value, int) else escape(language.put(value)) for name, value in values.items()}


def _safely(context: EvalContext, text: str) -> str:
    # Our own words may have an element in them, and their values were escaped one by one.
    return Markup(text) if context.autoescape else text  # noqa: S704


def _join(language: Language) -> Callable[..., str]:
    @pass_eval_context
    def join(context: EvalContext, items: Iterable[object], between: str = "") -> str:
        """The items in words, one after the other."""
        joined: str = do_join(context, [language.put(item) for item in items], between)
        return joined

    return join


def _facts(language: Language) -> Callable[[Iterable[object]], str]:
    def facts(items: Iterable[object]) -> str:
        """Facts side by side; read from the right, each keeps a direction of its own, for an address is no sentence."""
        first, last = ("\u2068", "\u2069") if language.direction == "rtl" else ("", "")
        return " · ".join(f"{first}{language.put(item)}{last}" for item in items)

    return facts


def _versioned(path: Path) -> str:
    """The address of a static file, which changes with its content, so that browsers may keep it for ever."""
    return f"/static/{path.name}?v={fingerprint(path.read_bytes())}"


_STATIC = {path.name: _versioned(path) for path in STATIC.iterdir()}


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
    LostFactorsPage,
    RemoveFactorsPage,
    DonePage,
    ProfilePage,
    AppsPage,
    WithdrawPage,
    ActivityPage,
    DataPage,
    DeletePage,
)
"""All pages."""
