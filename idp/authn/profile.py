"""What people may say of themselves: the standard claims that they can set (OpenID Connect Core §5.1)."""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from zoneinfo import available_timezones

from idp.authn.accounts import Fault

NAMES = ("name", "given_name", "family_name", "nickname")
CLAIMS = (*NAMES, "locale", "zoneinfo")
LONGEST_CLAIM = 64

# Joiners are no print, but Persian and several Indic scripts are not written rightly without them.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


def profile_claims(form: Mapping[str, str]) -> dict[str, str] | tuple[Fault, ...]:
    """The claims that a form gives, without those left empty, or everything that is wrong with it.

    Reads the fields of CLAIMS: names of at most 64 printable characters, a language tag and a time zone.
    """
    given = {claim: cleaned(form.get(claim, "")) for claim in CLAIMS}
    faults = [(claim, _fault(claim, value)) for claim, value in given.items() if value]
    if found := tuple(Fault(claim, cause) for claim, cause in faults if cause is not None):
        return found
    return {claim: value for claim, value in given.items() if value}


def cleaned(text: str) -> str:
    """The text in NFC, with single spaces and none around it; what is far too long is not looked at to its end."""
    return " ".join(unicodedata.normalize("NFC", text[: 8 * LONGEST_CLAIM]).split())


def _fault(claim: str, value: str) -> str | None:
    if len(value) > LONGEST_CLAIM:
        return "profile_long"
    if claim == "locale":
        # BCP 47 (RFC 5646 §2.1), as far as its shape goes: language, script, region and variants.
        return None if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", value) else "locale_unknown"
    if claim == "zoneinfo":
        return None if _is_zone(value) else "zoneinfo_unknown"
    return None if all(char.isprintable() or char in _JOINERS for char in value) else "profile_characters"


def _is_zone(name: str) -> bool:
    """Whether this is a time zone of the system's database, or looks like one where the system has none."""
    known = _zones()
    return name in known if known else re.fullmatch(r"[A-Za-z]+(/[A-Za-z0-9_+-]+){0,2}", name) is not None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
