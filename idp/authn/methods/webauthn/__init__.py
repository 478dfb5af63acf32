"""Security keys, platform authenticators and passkeys (WebAuthn Level 3): something that one has, and more.

py_webauthn parses and verifies signatures. What it leaves to its caller is here: cross-origin use, ownership, user
handles, the length and uniqueness of ids, backup flags that change, the order of the counter check, and rubbish.
"""

from idp.authn.methods.method import Factor, Method
from idp.authn.methods.webauthn.authentication import check, request_options, unknown_id
from idp.authn.methods.webauthn.ceremony import CHALLENGE_BYTES, CHALLENGE_LIFE
from idp.authn.methods.webauthn.registration import MOST_PER_USER, register, registration_options, signals
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store import webauthn_credentials
from idp.store.database import Connection

__all__ = [
    "CHALLENGE_BYTES",
    "CHALLENGE_LIFE",
    "METHOD",
    "MOST_PER_USER",
    "register",
    "registration_options",
    "request_options",
    "signals",
    "unknown_id",
]


async def authenticators(conn: Connection, user: User) -> tuple[Authenticator, ...]:
    """The user's credentials, each with what it showed at its best so far."""
    return tuple(
        Authenticator(
            "webauthn",
            one.name,
            one.id,
            user_verified=one.uv_initialized,
            device_bound=not one.backup_eligible,
            attested=one.attested,
            last_used_at=one.last_used_at,
            voluntary=one.voluntary,
            discoverable=one.discoverable,
        )
        for one in await webauthn_credentials.list_of(conn, user.sub)
    )


def amr(evidence: Evidence) -> tuple[str, ...]:
    """Proof of a key in hardware or in software that is synchronised, with a user there (RFC 8176 §2).

    How the user was verified - PIN, fingerprint, face - is not told to us and never guessed.
    """
    return ("hwk" if evidence.device_bound else "swk", "user")


METHOD = Method(
    "webauthn",
    Factor.POSSESSION,
    amr,
    authenticators,
    check,
    phishing_resistant=True,
    rename=webauthn_credentials.rename,
    remove=webauthn_credentials.remove,
)
