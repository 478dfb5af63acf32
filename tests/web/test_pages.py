"""What pages say: every sample draws, and the hooks that products and people rely on are where they should be."""

import re
from dataclasses import FrozenInstanceError, replace
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from idp.web.language import ENGLISH
from idp.web.pages import (
    PAGES,
    STATIC,
    WORDS,
    AccountPage,
    AddPhonePage,
    AddTotpPage,
    AnotherWayPage,
    AuthenticatorsPage,
    Client,
    ConsentPage,
    Fault,
    FormPostPage,
    NewCodesPage,
    Page,
    PasswordPage,
    Person,
    RecoveryCodesPage,
    RecoveryPage,
    RegisterPage,
    RemovePage,
    SentCodePage,
    SessionsPage,
    SignInPage,
    SignOutPage,
    Slip,
    TotpPage,
    Way,
    WebAuthnPage,
)
from tests.gallery import gallery, pages

AUTHN = STATIC.parents[1] / "authn"
EVIL = "\"><script>alert(1)</script>'{{ 7*7 }}"
VOID = {"meta", "link", "input", "img", "br", "wbr", "use", "path"}


class Document(HTMLParser):
    """The elements of a page in order, each a tag with its attributes; a template's content is not part of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if "template" not in self.open:
            self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element with that tag."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> dict[str, dict[str, str]]:
        """The attributes of the elements that have an id, by it."""
        return {attributes["id"]: attributes for _, attributes in self.elements if "id" in attributes}


def draw(page: Page) -> Document:
    return Document(pages().render(page))


@pytest.mark.parametrize("page", gallery().values(), ids=list(gallery()))
def test_every_page_is_whole(page: Page) -> None:
    document = draw(page)
    assert document.open == []
    assert document.text["title"].endswith(" · Example ID")
    assert len(document.all("h1")) == 1
    assert len(document.all("main")) == 1
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in document.all("form"):
        assert attributes["action"].startswith(("/", "https://bank.example/")), "an explicit address"
        assert attributes["method"] in {"post", "get"}
    for _, attributes in document.elements:
        for id_ in attributes.get("aria-describedby", "").split():
            assert id_ in ids
        for label in filter(None, [attributes.get("for"), attributes.get("form"), attributes.get("aria-labelledby")]):
            assert label in ids


@pytest.mark.parametrize("page", gallery().values(), ids=list(gallery()))
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(page: Page) -> None:
    """ASVS 3.6.1."""
    document = draw(page)
    for tag, attributes in document.elements:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag in {"link", "script", "img", "use"}:
            address = attributes.get("href") or attributes["src"]
            path, _, version = address.partition("?v=")
            assert (STATIC / path.removeprefix("/static/")).is_file()
            assert re.fullmatch(r"[0-9a-f]{12}(#[a-z]+)?", version)
    assert document.text.get("script", "") == ""


def test_every_icon_that_a_page_names_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="(\w+)"', (STATIC / "icons.svg").read_text()))
    named = {
        attributes["href"].partition("#")[2] for page in gallery().values() for attributes in draw(page).all("use")
    }
    assert named <= drawn


def test_every_page_is_listed() -> None:
    assert len(PAGES) == len({kind.template for kind in PAGES}) == 40


def test_the_stylesheet_and_the_first_page_are_light() -> None:
    files = ("style.css", "icons.svg", "mark.svg", "page.js")
    sizes = {name: (STATIC / name).stat().st_size for name in files}
    assert sizes["style.css"] <= 13_000
    assert sum(sizes.values()) + len(pages().render(SignInPage.sample()).encode()) < 30_000


def test_the_operator_names_every_page() -> None:
    html = pages("Gym & Co").render(SignInPage.sample())
    assert "<title>Sign in to Example Bank · Gym &amp; Co</title>" in html


def test_what_others_wrote_is_text_wherever_it_stands() -> None:
    """A-57, ASVS 3.2.2."""
    evil = Client(EVIL, EVIL, logo_uri=EVIL, policy_uri="https://rp.test/p", tos_uri="https://rp.test/t")
    drawn = (
        replace(SignInPage.sample(), slip=Slip(evil), username=EVIL, passkey_options=EVIL),
        replace(ConsentPage.sample(), slip=Slip(evil), person=Person(EVIL)),
        FormPostPage("https://rp.test/cb", (("state", EVIL),)),
        SignOutPage("/oauth/logout", Person(EVIL), evil, (("state", EVIL),)),
        RegisterPage(Slip(evil), "/register", EVIL, EVIL, EVIL),
        RemovePage("/", "passkey", EVIL, (EVIL,)),
    )
    for page in drawn:
        html = pages().render(page)
        assert "alert(1)" in html
        assert "<script>alert" not in html
        assert "</script>'49" not in html
        assert not [name for _, attributes in Document(html).elements for name in attributes if "alert" in name]


def test_codes_that_are_shown_once_are_not_lost_to_a_link() -> None:
    assert "ui_locales=de" in pages().render(SignInPage.sample())
    assert "ui_locales" not in pages().render(NewCodesPage.sample())


def test_a_page_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        SignInPage.sample().username = "mallory"  # type: ignore[misc]


class TestFaults:
    def test_every_cause_of_a_refusal_has_words(self) -> None:
        sources = "".join(path.read_text() for path in AUTHN.rglob("*.py"))
        quoted = r'Refusal\(\s*"(\w+)"|"((?:username|password|email|phone)_[a-z]+)" if|return "(\w+_\w+)"'
        causes = re.findall(quoted, sources)
        named = {cause for found in causes for cause in found if cause}
        assert len(named) > 10
        assert named <= WORDS.keys()

    @pytest.mark.parametrize("cause", WORDS)
    def test_words_are_whole_sentences_and_blame_nobody(self, cause: str) -> None:
        text = WORDS[cause].message
        assert text.endswith(".")
        assert not re.search(r"invalid|please|oops|!|error", text, re.IGNORECASE)

    def test_values_are_put_into_the_words(self) -> None:
        text = ENGLISH.words(Fault.of("password_short", "password", minimum=8).text)
        assert text.startswith("Use at least 8 characters.")

    def test_a_missing_value_or_cause_is_a_mistake_of_the_program(self) -> None:
        with pytest.raises(KeyError):
            Fault.of("password_short", "password")
        with pytest.raises(KeyError):
            Fault.of("no_such_cause")

    def test_the_values_that_words_need_are_known(self) -> None:
        needed = {name for text in WORDS.values() for name in re.findall(r"%\((\w+)\)s", text.message)}
        assert needed == {"minimum", "client", "username"}

    def test_a_form_that_failed_says_so_first_and_keeps_the_name(self) -> None:
        document = draw(replace(SignInPage.sample(), username="alice", fault=Fault.of("wrong_credentials")))
        assert document.text["title"].startswith("Not signed in: Sign in to Example Bank")
        error, username, password = (document.ids[id_] for id_ in ("error", "username", "password"))
        assert (error["data-error"], error["role"]) == ("wrong_credentials", "alert")
        assert (username["value"], username["aria-invalid"]) == ("alice", "true")
        assert (password["aria-describedby"], "value" in password) == ("error", False)
        assert "autofocus" in password
        assert "autofocus" not in username

    def test_a_fault_of_the_whole_form_leaves_the_fields_valid(self) -> None:
        document = draw(replace(SignInPage.sample(), fault=Fault.of("throttled")))
        assert "aria-invalid" not in document.ids["password"]

    def test_a_fault_of_a_field_stands_beside_it(self) -> None:
        document = draw(replace(TotpPage.sample(), fault=Fault.of("code_wrong", "code")))
        error, code = document.ids["error"], document.ids["code"]
        assert error["data-error"] == "code_wrong"
        assert (code["aria-invalid"], code["aria-describedby"].split()[-1]) == ("true", "error")

    def test_of_several_faults_the_first_is_the_error_and_takes_the_focus(self) -> None:
        faults = (Fault.of("password_known", "password"), Fault.of("email_invalid", "email"))
        document = draw(RegisterPage(Slip(), "/register", "alice", "alice@", faults=faults))
        error, second = document.ids["error"], document.ids["error-email"]
        assert (error["data-error"], second["data-error"]) == ("password_known", "email_invalid")
        assert [one["id"] for one in document.all("input") if "autofocus" in one] == ["password"]

    def test_a_page_without_a_fault_has_no_error(self) -> None:
        for page in (SignInPage.sample(), WebAuthnPage.sample(), TotpPage.sample()):
            assert "error" not in draw(page).ids


class TestHooks:
    """The names of product.md, "Pages"."""

    @pytest.mark.parametrize(
        ("page", "names"),
        [
            (SignInPage.sample(), ["username", "password", "credential"]),
            (TotpPage.sample(), ["code"]),
            (WebAuthnPage.sample(), ["credential"]),
            (RegisterPage.sample(), ["username", "password", "email", "phone"]),
            (AddTotpPage.sample(), ["code", "name"]),
            (RecoveryPage.sample(), ["code"]),
            (SentCodePage.sample(), ["code"]),
            (AddPhonePage.sample(), ["phone"]),
            (PasswordPage.sample(), ["username", "current_password", "password", "end_others"]),
            (FormPostPage.sample(), ["code", "state"]),
        ],
        ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
    )
    def test_fields_have_their_fixed_names(self, page: Page, names: list[str]) -> None:
        assert [attributes["name"] for attributes in draw(page).all("input")] == names

    def test_password_managers_find_their_fields(self) -> None:
        """ASVS 6.2.7."""
        signing_in, registering = draw(SignInPage.sample()), draw(RegisterPage.sample())
        wanted = {"username": "username webauthn", "password": "current-password"}
        for id_, value in wanted.items():
            assert signing_in.ids[id_]["autocomplete"] == value
        assert registering.ids["password"]["autocomplete"] == "new-password"
        changing = draw(PasswordPage.sample()).ids
        assert changing["current_password"]["autocomplete"] == "current-password"
        assert changing["password"]["autocomplete"] == "new-password"
        code = draw(TotpPage.sample()).ids["code"]
        assert (code["autocomplete"], code["inputmode"]) == ("one-time-code", "numeric")

    def test_forms_that_ask_for_a_factor_say_which(self) -> None:
        methods = {
            type(page).__name__: [form["data-method"] for form in draw(page).all("form") if "data-method" in form]
            for page in (
                SignInPage.sample(),
                TotpPage.sample(),
                WebAuthnPage.sample(),
                RecoveryPage.sample(),
                SentCodePage.sample(),
                AddPhonePage("/", "+447700900123"),
                ConsentPage.sample(),
            )
        }
        assert methods == {
            "SignInPage": ["password", "webauthn"],
            "TotpPage": ["totp"],
            "WebAuthnPage": ["webauthn"],
            "RecoveryPage": ["recovery"],
            "SentCodePage": ["sms"],
            "AddPhonePage": ["sms"],
            "ConsentPage": [],
        }

    def test_a_known_person_cannot_be_changed_and_stays_for_password_managers(self) -> None:
        document = draw(replace(SignInPage.sample(), person=Person("alice"), other_account_url="/other"))
        username = next(one for one in document.all("input") if one["name"] == "username")
        assert (username["value"], username["autocomplete"]) == ("alice", "username")
        assert {"hidden", "readonly"} <= username.keys()
        assert {"href": "/other"} in document.all("a")

    def test_no_passkey_is_offered_without_options(self) -> None:
        document = draw(replace(SignInPage.sample(), passkey_options=None))
        assert "use-passkey" not in document.ids
        assert "passkey-form" not in document.ids

    def test_consent_is_answered_by_allow_or_deny(self) -> None:
        buttons = draw(ConsentPage.sample()).all("button")
        assert [(one["name"], one["value"]) for one in buttons] == [("decision", "allow"), ("decision", "deny")]

    def test_ways_that_do_not_suffice_are_seen_and_cannot_be_chosen(self) -> None:
        ways = (
            Way("totp", None, "Authenticator app", "", "totp", enough=False),
            Way("webauthn", "k1", "Blue key", "", "securitykey"),
        )
        page = replace(AnotherWayPage.sample(), ways=ways)
        buttons = draw(page).all("button")
        assert [(one["name"], one["value"], one["data-method"]) for one in buttons] == [
            ("method", "webauthn:k1", "webauthn")
        ]
        assert "Not strong enough for this request" in pages().render(page)

    def test_the_manual_key_is_copied_whole(self) -> None:
        html = pages().render(AddTotpPage("/add", Markup("<svg></svg>"), "otpauth://totp/x", "ABCDEFGHIJ"))
        found = re.search(r'id="totp-secret">(.*?)</code>', html, re.DOTALL)
        assert found
        assert re.sub(r"<[^>]+>", "", found[1]) == "ABCDEFGHIJ"

    @pytest.mark.parametrize(
        ("page", "ids"),
        [
            (AuthenticatorsPage.sample(), ["sign-out", "add-passkey", "add-totp", "add-phone"]),
            (AccountPage.sample(), ["sign-out"]),
            (SignOutPage.sample(), ["sign-out"]),
            (TotpPage.sample(), ["use-another-way"]),
            (WebAuthnPage.sample(), ["use-passkey", "use-another-way", "why"]),
            (RecoveryPage.sample(), ["use-another-way"]),
            (SentCodePage.sample(), ["resend-code", "use-another-way"]),
            (AddPhonePage.sample(), ["add-passkey", "add-totp"]),
            (AddPhonePage("/", "+447700900123"), ["resend-code"]),
            (RecoveryCodesPage.sample(), ["renew-recovery-codes"]),
            (NewCodesPage.sample(), ["recovery-codes"]),
            (SessionsPage.sample(), ["end-others"]),
        ],
        ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
    )
    def test_acts_have_their_fixed_ids(self, page: Page, ids: list[str]) -> None:
        """ASVS 7.4.4."""
        document = draw(page)
        assert set(ids) <= document.ids.keys()

    def test_the_last_way_to_sign_in_cannot_be_removed(self) -> None:
        document = draw(RemovePage("/remove", "passkey", "Laptop", last=True))
        assert document.all("form") == []
        assert document.ids["error"]["data-error"] == "last_factor"

    @pytest.mark.parametrize("kind", [SignInPage, RegisterPage, ConsentPage])
    def test_terms_of_the_app_are_linked(self, kind: type[Page]) -> None:
        addresses = [one["href"] for one in draw(kind.sample()).all("a")]
        assert {"https://bank.example/privacy", "https://bank.example/terms"} <= set(addresses)
