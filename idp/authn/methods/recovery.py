"""Recovery codes: something that one has, on paper or in a safe, for when the other thing is lost.

Ten at a time, of 80 random bits each (G9). All of a set share one random salt, so that one Argon2id hash of what was
typed answers for all ten of them.
"""

import base64
import re
from dataclasses import dataclass, field
from functools import partial

from idp.authn.methods.method import Attempt, Factor, Method, Proved, Refusal, Tools
from idp.authn.throttle import Guessing
from idp.base.entropy import Entropy
from idp.base.text import say_many
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store import recovery_codes
from idp.store.database import Connection

CODES = 10
CODE_BYTES = 10
SALT_BYTES = 16
LONGEST_INPUT = 64

_CODE = re.compile("[a-z2-7]{16}")
# What base32 does not have, read as what it was meant to be.
_MISREAD = str.maketrans("018", "olb")


@dataclass(frozen=True, slots=True)
class NewCodes:
    """A set just made: the codes in the clear, each as it is shown, and what is stored of them."""

    shown: tuple[str, ...] = field(repr=False)
    salt: bytes = field(repr=False)
    hashes: tuple[bytes, ...] = field(repr=False)


async def make_codes(tools: Tools) -> NewCodes:
    """A new set, not stored yet; raises Busy."""
    codes = [new_code(tools.entropy) for _ in range(CODES)]
    salt = tools.entropy(SALT_BYTES)
    hashes = [await tools.hasher.derive(code, salt) for code in codes]
    shown = ("-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes)
    return NewCodes(tuple(shown), salt, tuple(hashes))


def new_code(entropy: Entropy) -> str:
    """A code of 80 random bits, as 16 letters and digits."""
    return base64.b32encode(entropy(CODE_BYTES)).decode().lower()


async def authenticators(conn: Connection, user: User) -> tuple[Authenticator, ...]:
    """The user's set as one, while a code of it is left."""
    codes = await recovery_codes.find_codes(conn, user.sub)
    if codes is None or codes.left == 0:
        return ()
    left = say_many("1 recovery code left", "%(count)s recovery codes left", codes.left)
    return (Authenticator("recovery", left),)


async def check(attempt: Attempt) -> Proved | Refusal:
    """Judge the field ``code``, which is spent by being right; raises Busy.

    Between its two transactions the set may be replaced: then the hash is of another salt, and no code's.
    """
    user, code = attempt.user, typed_code(attempt.form.get("code", ""))
    if user is None or code is None:
        return Refusal("recovery_wrong")
    codes = await attempt.transact(partial(recovery_codes.find_codes, sub=user.sub))
    if codes is None:
        return Refusal("recovery_wrong", "no codes")
    code_hash = await attempt.tools.hasher.derive(code, codes.salt)
    taken = await attempt.transact(
        partial(recovery_codes.consume_code, sub=user.sub, code_hash=code_hash, now=attempt.now)
    )
    return Proved(user.sub, Evidence("recovery", attempt.now)) if taken else Refusal("recovery_wrong")


def typed_code(typed: str) -> str | None:
    """The code that was meant, whatever its case, dashes and spaces; None for what can be none."""
    bare = "".join(filter(str.isalnum, typed[:LONGEST_INPUT])).lower().translate(_MISREAD)
    return bare if _CODE.fullmatch(bare) else None


def amr(_evidence: Evidence) -> tuple[str, ...]:
    """A one-time password (RFC 8176 §2)."""
    return ("otp",)


METHOD = Method(
    "recovery",
    Factor.POSSESSION,
    amr,
    authenticators,
    check,
    guessing=Guessing.BEHIND_A_STEP,
    wrong="recovery_wrong",
    backup=True,
)
