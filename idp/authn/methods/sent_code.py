"""What codes have in common that are sent, by text message or by mail: how they are made and judged (G8)."""

from datetime import datetime, timedelta
from functools import partial

from idp.authn.methods.method import Attempt, Proved, Refusal, Tools
from idp.authn.methods.totp import six_digits
from idp.base.entropy import Entropy
from idp.base.seal import MasterKey, keyed_digest
from idp.model.assurance import Evidence
from idp.model.sent_code import SentCode, Tried
from idp.model.user import User
from idp.store import sent_codes

LIFE = timedelta(minutes=10)
"""ASVS 6.5.5."""
CODES = 1_000_000
_NUMBERS = 1 << 24
_FAIR = _NUMBERS - _NUMBERS % CODES

CAUSES: dict[Tried, str] = {
    Tried.WRONG: "code_wrong",
    Tried.NONE: "code_wrong",
    Tried.DEAD: "code_dead",
    Tried.LATE: "code_expired",
    Tried.USED: "code_used",
}
"""What is said of a try that was not right."""


def new_code(entropy: Entropy) -> str:
    """Six digits, none likelier than another: numbers beyond the last whole million are drawn again."""
    while (number := int.from_bytes(entropy(3))) >= _FAIR:
        pass
    return f"{number % CODES:06}"


def digest_of(master: MasterKey, flow: str, code: str) -> bytes:
    """What is stored of a code: whoever has the database alone cannot try all million of them."""
    return keyed_digest(master, f"{flow} {code}", context="sent_codes")


def make_code(
    tools: Tools, flow: str, method: str, user: User, recipient: str, now: datetime, *, prefix: str
) -> tuple[str, SentCode]:
    """A new code in the clear, and what is stored of it."""
    code = new_code(tools.entropy)
    digest = digest_of(tools.master_key, flow, code)
    return code, SentCode(
        flow, method, user.sub, recipient, prefix, digest, now, now + LIFE, generation=user.generation
    )


async def check_code(
    attempt: Attempt, method: str, recipient: str | None, credential_id: str | None
) -> Proved | Refusal:
    """Judge the field ``code``: the one that was sent in this very flow, to where the account's codes go now (A-41)."""
    code = six_digits(attempt.form.get("code", ""))
    if attempt.user is None or recipient is None or code is None:
        return Refusal("code_wrong")
    tried = await attempt.transact(
        partial(
            sent_codes.consume_code,
            flow=attempt.flow,
            method=method,
            sub=attempt.user.sub,
            recipient=recipient,
            digest=digest_of(attempt.tools.master_key, attempt.flow, code),
            now=attempt.now,
        )
    )
    if tried is Tried.RIGHT:
        return Proved(attempt.user.sub, Evidence(method, attempt.now, credential_id))
    return Refusal(CAUSES[tried], tried.name.lower())
