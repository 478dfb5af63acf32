"""What makes of authenticators are called: the well-known AAGUIDs (WebAuthn Level 3 §6.5.1).

Without attestation anybody may claim any AAGUID: it names an authenticator to its owner, and decides nothing. The names
are those under which the FIDO Metadata Service and the makers themselves publish them, shortened to what people know.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["platform", "manager", "key"]


@dataclass(frozen=True, slots=True)
class Make:
    """A make of authenticator: part of a system or browser, a password manager, or a key that is carried about."""

    name: str
    kind: Kind


def make_of(aaguid: str) -> Make | None:
    """The make that this AAGUID, as lower-case text, claims; None for one that says nothing or is not known."""
    return _makes().get(aaguid)


@cache
def _makes() -> dict[str, Make]:
    listed = json.loads(Path(__file__).with_name("aaguids.json").read_text("utf-8"))
    return {aaguid: Make(**make) for aaguid, make in listed.items()}
