"""Authenticator apps (RFC 6238, time-based one-time passwords): something that one has.

Codes have 6 digits and steps of 30 seconds by SHA-1: what every app can do (RFC 6238 §4, §5.2).
"""

import base64
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pyotp
import segno

from idp.authn.accounts import credential_name
from idp.authn.methods.method import Attempt, Factor, Method, Proved, Refusal, Tools
from idp.authn.throttle import Guessing
from idp.base.digest import same
from idp.base.entropy import identifier
from idp.base.seal import SealBroken, seal, unseal
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator, TotpCredential, TotpEnrolment
from idp.model.user import User
from idp.store import totp_credentials, totp_enrolments, users
from idp.store.database import Connection

STEP_SECONDS = 30
SEED_BYTES = 20
"""160 bits, as RFC 4226 §4 (R6) recommends."""
ENROLMENT_LIFE = timedelta(minutes=10)
MOST_PER_USER = 10
DEFAULT_NAME = "Authenticator app"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An app about to be added: the manual key in base32, the same as a URI, and as a picture (inline SVG)."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    svg: str = field(repr=False)


async def authenticators(conn: Connection, user: User) -> tuple[Authenticator, ...]:
    """The user's confirmed apps."""
    found = await totp_credentials.list_confirmed(conn, user.sub)
    return tuple(Authenticator("totp", one.name, one.id, last_used_at=one.last_used_at) for one in found)


async def check(attempt: Attempt) -> Proved | Refusal:
    """Judge the field ``code`` against all apps of the user: the present step and the one before, each once only.

    A code of a later step is refused (G7: a clock that runs ahead is the user's to mend), and so is the step before
    one that was used (RFC 6238 §5.2: a code is accepted once).
    """
    user, code = attempt.user, six_digits(attempt.form.get("code", ""))
    if user is None or code is None:
        return Refusal("code_wrong")

    async def step(conn: Connection) -> Proved | Refusal:
        matched = False
        for credential in await totp_credentials.list_confirmed(conn, user.sub):
            time_step = _matching_step(credential, code, attempt.tools, attempt.now)
            matched |= time_step is not None
            if time_step is not None and await totp_credentials.consume_step(
                conn, credential.id, time_step, attempt.now
            ):
                return Proved(user.sub, Evidence("totp", attempt.now, credential.id))
        return Refusal("code_used" if matched else "code_wrong")

    return await attempt.transact(step)


async def begin_enrolment(
    conn: Connection, user: User, session_id: str, tools: Tools, now: datetime
) -> Enrolment | Refusal:
    """Start adding an app in this session: it proves nothing until confirmed there.

    It takes the place of what the session has begun before, and touches no other session's.
    """
    await users.lock(conn, user.sub)
    if len(await totp_credentials.list_confirmed(conn, user.sub)) >= MOST_PER_USER:
        return Refusal("totp_limit")
    id_ = identifier(tools.entropy)
    sealed = seal(tools.master_key, tools.entropy(SEED_BYTES), context=_context(id_), entropy=tools.entropy)
    begun = TotpEnrolment(session_id, id_, user.sub, user.generation, sealed, now)
    await totp_enrolments.create_enrolment(conn, begun)
    return _shown(begun, user, tools)


async def find_enrolment(
    conn: Connection, user: User, session_id: str, tools: Tools, now: datetime
) -> Enrolment | None:
    """What was begun in this session, to show it again; None if there is none or it is older than 10 minutes."""
    begun = await totp_enrolments.find_enrolment(conn, session_id, begun_after=now - ENROLMENT_LIFE)
    return None if begun is None or begun.sub != user.sub else _shown(begun, user, tools)


async def confirm(
    conn: Connection, user: User, session_id: str, code: str, tools: Tools, now: datetime, *, name: str = ""
) -> TotpCredential | Refusal:
    """Add the app that waits in this session, shown that it has the seed; the code that shows it is spent by that."""
    await users.lock(conn, user.sub)
    begun = await totp_enrolments.find_enrolment(conn, session_id, begun_after=now - ENROLMENT_LIFE)
    if begun is None or begun.sub != user.sub:
        return Refusal("form_expired")
    credential = TotpCredential(begun.id, user.sub, credential_name(name, DEFAULT_NAME), begun.sealed_seed, now)
    digits = six_digits(code)
    step = None if digits is None else _matching_step(credential, digits, tools, now)
    if step is None:
        return Refusal("code_wrong")
    if not await totp_enrolments.consume_enrolment(conn, begun):
        return Refusal("form_expired")
    confirmed = replace(credential, last_step=step, confirmed_at=now, last_used_at=now)
    await totp_credentials.create(conn, confirmed)
    return confirmed


def amr(_evidence: Evidence) -> tuple[str, ...]:
    """A one-time password (RFC 8176 §2)."""
    return ("otp",)


def _shown(begun: TotpEnrolment, user: User, tools: Tools) -> Enrolment:
    secret = _base32(unseal(tools.master_key, begun.sealed_seed, context=_context(begun.id)))
    issuer = tools.relying_party.name
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=issuer)
    return Enrolment(secret, uri, _picture(uri))


def _picture(uri: str) -> str:
    # The view box lets the page choose the size, and no attribute in it needs a style (CSP).
    return str(segno.make(uri, error="m", micro=False).svg_inline(border=4, omitsize=True))


def _matching_step(credential: TotpCredential, code: str, tools: Tools, now: datetime) -> int | None:
    """The step of which this is the credential's code: the present one or the one before."""
    try:
        seed = unseal(tools.master_key, credential.sealed_seed, context=_context(credential.id))
    except SealBroken:
        # One broken row must not take the user's other apps down with it (F23).
        _LOG.error("the seed of the authenticator app %s cannot be unsealed", credential.id)
        return None
    return matching_step(_base32(seed), code, now)


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """The time step of which ``code`` is the secret's code: the present one or the one before, else None."""
    totp, present = pyotp.TOTP(secret), int(now.timestamp()) // STEP_SECONDS
    return _first(step for step in (present, present - 1) if same(totp.generate_otp(step).encode(), code.encode()))


def _first(steps: Iterable[int]) -> int | None:
    return next(iter(steps), None)


def six_digits(code: str) -> str | None:
    """The six digits typed, without the spaces and dashes that people and apps put in; None for anything else."""
    bare = code[:32].replace(" ", "").replace("\u00a0", "").replace("-", "")
    return bare if len(bare) == 6 and bare.isascii() and bare.isdigit() else None


def _context(id_: str) -> str:
    return f"totp_credentials/{id_}"


def _base32(seed: bytes) -> str:
    return base64.b32encode(seed).decode()


METHOD = Method(
    "totp",
    Factor.POSSESSION,
    amr,
    authenticators,
    check,
    guessing=Guessing.BEHIND_A_STEP,
    rename=totp_credentials.rename,
    remove=totp_credentials.remove,
)
