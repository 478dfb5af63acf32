"""What an account may be called, and which passwords, addresses and numbers it may have."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from idp.base.confusable import caseless_skeleton, is_of_one_writing

PASSWORD_LONGEST = 128
PASSWORD_SHORTEST = 8
"""Where a second factor is sure to be asked for (NIST SP 800-63B-4 §3.1.1.2)."""
PASSWORD_SHORTEST_ALONE = 15
"""Where the password may be the only factor (NIST SP 800-63B-4 §3.1.1.2)."""

# No input is looked at beyond these lengths: parsers and normal forms cost time by the character.
LONGEST_USERNAME_INPUT = 256
LONGEST_PASSWORD_INPUT = 512
LONGEST_EMAIL = 254
LONGEST_PHONE_INPUT = 32
LONGEST_NAME = 64

# An organisation's own mail, and a test rig's, may well go to names that the world's mail servers cannot reach;
# taking them off this list is how the library means it to be told.
SPECIAL_USE_DOMAIN_NAMES[:] = [name for name in SPECIAL_USE_DOMAIN_NAMES if name not in {"local", "test"}]

KEYBOARD_RUNS = (
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
)


# Letters and marks that nothing is drawn for (Default_Ignorable_Code_Point, Unicode DerivedCoreProperties).
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


class Fault(NamedTuple):
    """What is wrong with a field of a form: the field's name and a cause that has a wording."""

    field: str
    cause: str


@dataclass(frozen=True, slots=True)
class Email:
    """An address as it is shown and written to, and the one form in which addresses are compared."""

    shown: str
    canonical: str


@dataclass(frozen=True, slots=True)
class Registration:
    """A new account whose every field was found acceptable; the password is still in the clear."""

    username: str
    username_canonical: str
    username_skeleton: str
    password: str
    email: Email | None = None
    phone: str | None = None


def registration(
    form: Mapping[str, str], *, context: Iterable[str], shortest: int = PASSWORD_SHORTEST_ALONE
) -> Registration | tuple[Fault, ...]:
    """The registration that a form asks for, or everything that is wrong with it.

    Reads the fields ``username``, ``password``, ``email`` and ``phone``; the last two may be empty. ``context`` is
    what a guesser would try here first, such as the operator's name and the host.
    """
    username, password = form.get("username", ""), form.get("password", "")
    email, phone = (form.get(name, "").strip() for name in ("email", "phone"))
    address, number = parse_email(email), parse_phone(phone)
    found = (
        ("username", new_username_fault(username)),
        ("password", password_fault(password, context=(*context, username, email), shortest=shortest)),
        ("email", "email_invalid" if email and address is None else None),
        ("phone", "phone_invalid" if phone and number is None else None),
    )
    if faults := tuple(Fault(field, cause) for field, cause in found if cause is not None):
        return faults
    return Registration(
        shown_username(username),
        canonical_username(username),
        username_skeleton(username),
        password,
        address,
        number,
    )


def shown_username(username: str) -> str:
    """The name as its owner sees it: without spaces around it, in NFKC."""
    return unicodedata.normalize("NFKC", username.strip()[:LONGEST_USERNAME_INPUT])


def canonical_username(username: str) -> str:
    """The one form in which names are compared: NFKC, case-folded, NFKC (A-36; RFC 8265 §3.3 in spirit).

    Case folding may leave a text that is not normal any more, hence the second NFKC. The profile itself,
    UsernameCaseMapped, does not fold: ``STRASSE`` would not be ``straße``, and names that are one would become two.
    """
    return unicodedata.normalize("NFKC", shown_username(username).casefold())


def username_skeleton(username: str) -> str:
    """What no two accounts may have in common: how the name looks as its owner wrote it (A-78; UTS 39 §4)."""
    return caseless_skeleton(shown_username(username))


def canonical_login(identifier: str) -> str | None:
    """What to look up for the identifier typed at sign-in, or None for what can be neither a name nor an address.

    An address has an "@" and a name never does: the two cannot be confused.
    """
    if "@" in identifier:
        email = parse_email(identifier)
        return None if email is None else email.canonical
    return canonical_username(identifier) if username_fault(identifier) is None else None


def username_fault(username: str) -> str | None:
    """Why this cannot be a user name, or None: 3 to 64 letters and digits of any script, dots, dashes, underscores."""
    shown = shown_username(username)
    if len(shown) < 3:
        return "username_short"
    letters = {*shown, *canonical_username(username)}
    fitting = all(char in "._-" or unicodedata.category(char)[0] in "LM" or char.isdecimal() for char in letters)
    # A combining mark or a dot in front would make one name look like another, or like a command's option.
    fitting = fitting and _INVISIBLE.search(shown) is None
    if len(username) > LONGEST_USERNAME_INPUT or len(shown) > 64 or not fitting or not shown[0].isalnum():
        return "username_characters"
    return None


def new_username_fault(username: str) -> str | None:
    """Why no new account may have this name, or None: beside its form, it must not be made to be taken for another.

    Letters of several scripts in one name are refused, as far as no writing needs them (A-78; UTS 39 §5.2), and so is a
    dot at the end, which a sentence hides. Accounts from before may have such names, and sign in by them.
    """
    fault = username_fault(username)
    if fault is not None:
        return fault
    shown = shown_username(username)
    if shown.endswith("."):
        return "username_ending"
    return None if is_of_one_writing(shown) else "username_scripts"


def password_fault(password: str, *, context: Iterable[str], shortest: int) -> str | None:
    """Why this password may not be chosen, or None; how it is composed plays no part (G10, ASVS 6.2.x).

    Lengths are in characters of the NFKC form. Refused are passwords of the list of common ones, one of them (or a
    run of neighbouring keys) repeated or between digits and signs, and context words with little added.
    """
    if len(password) > LONGEST_PASSWORD_INPUT:
        return "password_long"
    normal = unicodedata.normalize("NFKC", password)
    if len(normal) > PASSWORD_LONGEST:
        return "password_long"
    if len(normal) < shortest:
        return "password_short"
    folded = normal.casefold()
    if _is_known(folded):
        return "password_known"
    return "password_context" if _is_context(folded, context) else None


def parse_email(address: str) -> Email | None:
    """The address in its normal form (RFC 5321, RFC 6531), or None if it is none."""
    address = address.strip()
    if len(address) > LONGEST_EMAIL:
        return None
    try:
        found = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return None
    return Email(found.normalized, unicodedata.normalize("NFKC", found.normalized.casefold()))


def parse_phone(number: str) -> str | None:
    """The number in E.164, or None if it is none with a country code.

    A possible number is enough here: that it is somebody's is proved by a code sent to it.
    """
    if len(number) > LONGEST_PHONE_INPUT:
        return None
    try:
        parsed = phonenumbers.parse(number.strip(), None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed) or parsed.extension:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def credential_name(name: str, default: str) -> str:
    """A name for an authenticator made of what was typed: printable, at most 64 characters, or the default."""
    printable = "".join(char if char.isprintable() else " " for char in name[: 4 * LONGEST_NAME])
    return " ".join(printable.split())[:LONGEST_NAME].strip() or default


@cache
def common_passwords() -> frozenset[str]:
    """The passwords that many people use, case-folded: some 18,000, of which 11,600 have 8 characters or more."""
    lines = Path(__file__).with_name("common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def _is_known(folded: str) -> bool:
    compact = _letters_and_digits(folded)
    stems = {folded, compact, compact.strip("0123456789")} - {""}
    return any(_repeats_known(stem) or _is_run(stem) for stem in stems)


def _repeats_known(text: str) -> bool:
    """Whether the text is a common password, one of them over and over, or one letter or digit over and over."""
    period = (text + text).find(text, 1)
    if period == 1 < len(text) and text.isalnum():
        return True
    return any(text[:size] in common_passwords() for size in range(period, len(text) + 1, period))


def _is_run(text: str) -> bool:
    return len(text) >= 4 and any(text in run or text in run[::-1] for run in KEYBOARD_RUNS)


def _is_context(folded: str, context: Iterable[str]) -> bool:
    """Whether less than a shortest password is left when the words of the place are taken out of it."""
    compact = rest = _letters_and_digits(folded)
    for word in sorted(_words(context), key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest != compact and len(rest) < PASSWORD_SHORTEST


def _words(context: Iterable[str]) -> set[str]:
    """The words of four letters or more in these texts, and each text as one word."""
    words: set[str] = set()
    for text in context:
        folded = unicodedata.normalize("NFKC", text[:LONGEST_USERNAME_INPUT]).casefold()
        parts = (*re.split(r"[\W_]+", folded), folded, folded.partition("@")[0])
        words.update(_letters_and_digits(part) for part in parts)
    return {word for word in words if len(word) >= 4}


def _letters_and_digits(text: str) -> str:
    return "".join(filter(str.isalnum, text))
