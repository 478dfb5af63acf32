"""What tokens say: the claims of access tokens (RFC 9068) and ID tokens (OpenID Connect Core §2)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authlib.oidc.core.util import create_half_hash

from idp.model.authorization import Authorization
from idp.model.client import Client
from idp.model.user import User
from idp.oauth.claims import claims_of, within

ACCESS_TOKEN_TYPE = "at+jwt"
ID_TOKEN_TYPE = "JWT"
ACCESS_TOKEN_ALG = "RS256"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long what we issue is valid."""

    access_token: timedelta
    id_token: timedelta
    refresh_token: timedelta
    refresh_idle: timedelta
    session: timedelta
    session_idle: timedelta
    code: timedelta = timedelta(seconds=60)
    interaction: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Issue:
    """What a grant has decided and recorded, for the tokens to be signed.

    ``user`` and ``authorization`` are None for a client acting for itself; ``refresh_token`` is the new secret itself.
    """

    client: Client
    scope: tuple[str, ...]
    user: User | None = None
    authorization: Authorization | None = None
    session_id: str | None = None
    nonce: str | None = None
    refresh_token: str | None = None


def access_token_claims(issue: Issue, *, issuer: str, serial: str, now: datetime, life: timedelta) -> dict[str, Any]:
    """The claims of an access token (RFC 9068 §2.2).

    The part of ``jti`` before the dot names the authorization under which the token dies; a client's own token has
    none. ``sid`` is there while the token hangs on a session: it ends with it.
    """
    issued_at = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": issue.user.sub if issue.user else issue.client.client_id,
        "aud": issuer,
        "client_id": issue.client.client_id,
        "iat": issued_at,
        "exp": issued_at + int(life.total_seconds()),
        "jti": f"{issue.authorization.id}.{serial}" if issue.authorization else serial,
        "scope": " ".join(issue.scope),
    }
    return claims | _authentication(issue)


def id_token_claims(
    issue: Issue, user: User, *, access_token: str, alg: str, issuer: str, serial: str, now: datetime, life: timedelta
) -> dict[str, Any]:
    """The claims of an ID token (OpenID Connect Core §2, §3.1.3.6), with those asked for by name (§5.5)."""
    issued_at = int(now.timestamp())
    requested = issue.authorization.claims.get("id_token", ()) if issue.authorization else ()
    claims = claims_of(user, within(requested, issue.client.scope)) | {
        "iss": issuer,
        "sub": user.sub,
        "aud": issue.client.client_id,
        "iat": issued_at,
        "exp": issued_at + int(life.total_seconds()),
        "jti": serial,
    }
    if (at_hash := half_hash(access_token, alg)) is not None:
        claims["at_hash"] = at_hash
    if issue.nonce is not None:
        claims["nonce"] = issue.nonce
    return claims | _authentication(issue)


def half_hash(access_token: str, alg: str) -> str | None:
    """The at_hash value, or None for EdDSA, whose hash the specification does not name (§3.1.3.6)."""
    if alg == "EdDSA":
        return None
    return str(create_half_hash(access_token, alg).decode())


def _authentication(issue: Issue) -> dict[str, Any]:
    if issue.authorization is None:
        return {}
    assurance = issue.authorization.assurance
    claims: dict[str, Any] = {
        "auth_time": int(assurance.auth_time.timestamp()),
        "acr": assurance.acr,
        "amr": list(assurance.amr),
    }
    return claims if issue.session_id is None else claims | {"sid": issue.session_id}
