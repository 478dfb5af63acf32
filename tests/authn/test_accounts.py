import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.authn import accounts
from idp.authn.accounts import Email, Fault, Registration

GOOD = "correct horse battery staple"
CONTEXT = ("Example Bank", "login.example-bank.test")


def register(**form: str) -> Registration | tuple[Fault, ...]:
    return accounts.registration({"username": "alice", "password": GOOD} | form, context=CONTEXT)


def password_fault(password: str, shortest: int = 15) -> str | None:
    return accounts.password_fault(password, context=(*CONTEXT, "alice", "a.liddell@mail.example"), shortest=shortest)


@pytest.mark.parametrize("same", ["alice", "Alice", "ＡＬＩＣＥ", "alice ", "\talice", "ALICE"])
def test_a_36_one_canonical_form(same: str) -> None:
    assert accounts.canonical_username(same) == "alice"


@pytest.mark.parametrize(
    ("left", "right"),
    [("jürgen", "ju\u0308rgen"), ("STRASSE", "straße"), ("ﬁnn", "FINN"), ("Σίσυφος", "ΣΊΣΥΦΟΣ")],
)
def test_a_36_composed_and_compatible_forms(left: str, right: str) -> None:
    assert accounts.canonical_username(left) == accounts.canonical_username(right)


def test_a_36_case_folding_may_leave_a_text_that_is_not_normal() -> None:
    assert "\u01f0ane".casefold() == "j\u030cane"
    assert accounts.canonical_username("\u01f0ane") == "\u01f0ane"


@given(st.text(max_size=80))
def test_the_canonical_form_is_stable(name: str) -> None:
    canonical = accounts.canonical_username(name)
    if accounts.username_fault(name) is None:
        assert accounts.canonical_username(canonical) == canonical
        assert unicodedata.is_normalized("NFKC", canonical)


@pytest.mark.parametrize("name", ["bob", "a.b-c_d", "x" * 64, "李小龙", "محمد", "हिन्दी", "jürgen", "007"])
def test_user_names_of_any_script(name: str) -> None:
    assert accounts.username_fault(name) is None


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("", "username_short"),
        ("ab", "username_short"),
        ("  ab  ", "username_short"),
        ("x" * 65, "username_characters"),
        ("x" * 100_000, "username_characters"),
        ("al ice", "username_characters"),
        ("alice@mail", "username_characters"),
        ("al\nice", "username_characters"),
        ("al\x00ice", "username_characters"),
        ("al\u200bice", "username_characters"),
        ("alice\ufe0f", "username_characters"),
        ("alice\u034f", "username_characters"),
        ("ali\u115fce", "username_characters"),
        ("alice\u3164", "username_characters"),
        ("alice\U000e0100", "username_characters"),
        ("al\u202eice", "username_characters"),
        ("al\ud800ice", "username_characters"),
        ("<b>alice", "username_characters"),
        ("-rf", "username_characters"),
        ("\u0308abc", "username_characters"),
        ("ali½", "username_characters"),
    ],
)
def test_names_that_are_none(name: str, cause: str) -> None:
    assert accounts.username_fault(name) == cause
    assert accounts.new_username_fault(name) == cause


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("aliсe", "username_scripts"),
        ("αlice", "username_scripts"),
        ("ᎪLICE", "username_scripts"),
        ("alice१", "username_scripts"),
        ("alice.", "username_ending"),
        ("alice. ", "username_ending"),
        ("alice\uff0e", "username_ending"),
        ("алиса", None),
        ("alice-", None),
        ("alice日本", None),
    ],
)
def test_A_78_names_that_no_new_account_gets(name: str, cause: str | None) -> None:
    """Who has one already still signs in by it."""
    assert accounts.new_username_fault(name) == cause
    assert accounts.username_fault(name) is None
    assert accounts.canonical_login(name) == accounts.canonical_username(name)


def test_A_78_a_name_looks_as_it_was_written() -> None:
    """A capital I is an l where it is seen, and an i where names are compared."""
    assert accounts.username_skeleton("paypaI") == accounts.username_skeleton("paypal")
    assert accounts.canonical_username("paypaI") != accounts.canonical_username("paypal")
    assert accounts.username_skeleton("ＡＬＩＣＥ ") == accounts.username_skeleton("ALICE")


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("Alice ", "alice"),
        ("Alice@Mail.Example", "alice@mail.example"),
        (" a@mail.example ", "a@mail.example"),
        ("no one", None),
        ("a@b@c", None),
        ("@", None),
        ("al\x00ice", None),
        ("al\x00ice@mail.example", None),
        ("", None),
    ],
)
def test_what_is_looked_up_at_sign_in(typed: str, found: str | None) -> None:
    assert accounts.canonical_login(typed) == found


@given(st.text(st.characters(codec=None)))
def test_no_text_breaks_a_parser(text: str) -> None:
    form = {"username": text, "password": text, "email": text, "phone": text}
    assert accounts.registration(form, context=(text,))
    login = accounts.canonical_login(text)
    assert login is None or (login.isprintable() and login.encode())
    name = accounts.credential_name(text, "default")
    assert 1 <= len(name) <= 64
    assert name.isprintable()


# ASVS 6.2.5: no composition rules.
@pytest.mark.parametrize(
    "password",
    [" " * 15, "829405617382946", "🐢🦊🐝🌵🍄🐢🦊🌵🍄🐝🐢🌵🦊🐝🍄", GOOD, "x7" * 64, "correct-horse-battery"],
)
def test_6_2_5_any_composition(password: str) -> None:
    if password != "x7" * 64:
        assert password_fault(password) is None
    assert len(password) <= 128


@pytest.mark.parametrize(
    ("password", "shortest", "cause"),
    [
        ("k8#mQ2vL9pXw4z", 15, "password_short"),
        ("k8#mQ2vL9pXw4zT", 15, None),
        ("k8#mQ2v", 8, "password_short"),
        ("k8#mQ2vL", 8, None),
        ("k8#mQ2vL" * 8 + "!", 15, None),
        ("k8#mQ2vL9" + "é" * 119, 15, None),
        ("k8#mQ2vL9" + "e\u0301" * 119, 15, None),
        ("k8#mQ2vL9" + "é" * 120, 15, "password_long"),
        ("ﬃ" * 43, 15, "password_long"),
        ("x" * 1_000_000, 15, "password_long"),
    ],
    ids=["14", "15", "7", "8", "65", "128", "128 composed", "129", "129 decomposed", "A-61"],
)
def test_g10_lengths_are_of_the_nfkc_form(password: str, shortest: int, cause: str | None) -> None:
    """ASVS 6.2.1, 6.2.9."""
    assert password_fault(password, shortest) == cause


def test_6_2_4_the_three_thousand_most_common_that_fit_are_refused() -> None:
    fitting = sorted(one for one in accounts.common_passwords() if len(one) >= 8)
    assert len(fitting) >= 3000
    assert {password_fault(one, 8) for one in fitting} == {"password_known"}
    assert {password_fault(one.upper(), 8) for one in fitting[::50]} == {"password_known"}


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "Password-Password",
        "password password password",
        "Password20262026",
        "2026!!sunshine2026",
        "iloveyouiloveyou",
        "aaaaaaaaaaaaaaa",
        "123456789012345",
        "abcdefghijklmnop",
        "qwertyuiopasdfg",
        "987654321098765",
        "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ",
        "passwordstandard",
    ],
)
def test_common_passwords_made_longer(password: str) -> None:
    assert password_fault(password) == "password_known"


@pytest.mark.parametrize(
    "password",
    ["Example Bank 2026", "alice-alice-alice", "ALICEexamplebank1", "login.example-bank", "a.liddell.a.liddell"],
)
def test_6_2_11_context_words(password: str) -> None:
    """ASVS 6.1.2."""
    assert password_fault(password) == "password_context"


def test_a_context_word_with_enough_beside_it_is_no_fault() -> None:
    assert password_fault("alice wanders through the glass") is None


@pytest.mark.parametrize(
    ("typed", "shown", "canonical"),
    [
        ("Alice.L@MAIL.example", "Alice.L@mail.example", "alice.l@mail.example"),
        ("alice@idp.test", "alice@idp.test", "alice@idp.test"),
        ("alice@corp.local", "alice@corp.local", "alice@corp.local"),
        ("Jürgen@exämple.example", "Jürgen@exämple.example", "jürgen@exämple.example"),
    ],
)
def test_addresses(typed: str, shown: str, canonical: str) -> None:
    assert accounts.parse_email(typed) == Email(shown, canonical)


@pytest.mark.parametrize(
    "address",
    [
        "alice",
        "alice@",
        "@mail.example",
        "alice@localhost",
        "a b@mail.example",
        "a@mail..example",
        "a@b.example\r\nBcc: d@e.example",
        "Alice <alice@mail.example>",
        "a@[127.0.0.1]",
        "x" * 250 + "@mail.example",
    ],
)
def test_no_addresses(address: str) -> None:
    assert accounts.parse_email(address) is None


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+44 7700 900123", "+447700900123"),
        ("+49 (170) 123-4567", "+491701234567"),
        ("07700 900123", None),
        ("+999 1234567", None),
        ("+44", None),
        ("+44 7700 900123 ext. 5", None),
        ("hello", None),
        ("1" * 50_000, None),
    ],
)
def test_phone_numbers(typed: str, number: str | None) -> None:
    assert accounts.parse_phone(typed) == number


@pytest.mark.parametrize("piece", ["a", "1", "+", "@", ".", "a.", "-", " ", "é", "e\u0301", "ﷺ", "\x00"])
def test_a_62_long_inputs_cost_little(piece: str) -> None:
    text = piece * (50_000 // len(piece))
    form = {"username": text, "password": text, "email": text, "phone": text}
    began = time.process_time()
    accounts.registration(form, context=(text,))
    accounts.canonical_login(text)
    accounts.credential_name(text, "default")
    assert time.process_time() - began < 0.05


def test_a_registration() -> None:
    found = register(username=" Alice ", email="Alice@Mail.example", phone="+44 7700 900123")
    assert found == Registration(
        "Alice", "alice", "alice", GOOD, Email("Alice@mail.example", "alice@mail.example"), "+447700900123"
    )
    assert register() == Registration("alice", "alice", "alice", GOOD)


def test_a_registration_names_every_fault_at_once() -> None:
    assert register(username="a", password="short", email="nowhere", phone="12") == (
        Fault("username", "username_short"),
        Fault("password", "password_short"),
        Fault("email", "email_invalid"),
        Fault("phone", "phone_invalid"),
    )


def test_an_empty_form_is_faulty_and_no_error() -> None:
    found = accounts.registration({}, context=())
    assert found == (Fault("username", "username_short"), Fault("password", "password_short"))


def test_the_name_of_an_authenticator() -> None:
    assert accounts.credential_name("  My\n\x00 key ", "Passkey") == "My key"
    assert accounts.credential_name(" \u200b", "Passkey") == "Passkey"
    assert accounts.credential_name("x" * 1000, "Passkey") == "x" * 64
