"""Access tokens that come back to us: verified offline like anywhere else, then judged by what has happened since."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from idp.base.jose import InvalidToken, Kind, verify
from idp.base.jwk import PublicKey
from idp.model.authorization import Authorization
from idp.oauth.parameters import words
from idp.oauth.scope import allowed
from idp.store.authorizations import find_live_authorization, session_is_live
from idp.store.clients import find_client
from idp.store.database import Connection
from idp.store.revoked_tokens import is_revoked

ACCESS_TOKEN = Kind(
    typ=frozenset({"at+jwt"}), required=frozenset({"iss", "sub", "aud", "client_id", "iat", "jti", "scope"})
)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token that is good now; ``authorization`` is None for a client's own.

    ``scope`` is what is left of the token's own: a client may have lost some of it since (ASVS 8.3.2).
    """

    claims: Mapping[str, Any]
    scope: tuple[str, ...]
    authorization: Authorization | None


def authorization_id(claims: Mapping[str, Any]) -> str | None:
    """The authorization that the token hangs on, if any."""
    parent, dot, _serial = str(claims["jti"]).partition(".")
    return parent if dot else None


def read(token: str, *, keys: Mapping[str, PublicKey], issuer: str, now: datetime) -> Mapping[str, Any]:
    """The claims of an access token of ours; raises InvalidToken for anything else."""
    return verify(token, ACCESS_TOKEN, keys=keys, issuer=issuer, audience=frozenset({issuer}), now=now).claims


async def find_active(
    conn: Connection,
    token: str,
    *,
    keys: Mapping[str, PublicKey],
    issuer: str,
    now: datetime,
) -> AccessToken | None:
    """The token, if it is ours and nothing that it rests on has ended: user, client, session, authorization."""
    try:
        claims = read(token, keys=keys, issuer=issuer, now=now)
    except InvalidToken:
        return None
    parent = authorization_id(claims)
    if parent is None:
        client = await find_client(conn, claims["client_id"])
        if client is None or client.disabled_at is not None or await is_revoked(conn, claims["jti"]):
            return None
        return _within(client.scope, claims, None)
    authorization = await find_live_authorization(conn, parent, now=now)
    if authorization is None:
        return None
    if "sid" in claims and not await session_is_live(conn, claims["sid"], now=now):
        return None
    return _within(authorization.scope, claims, authorization)


def _within(scope: Iterable[str], claims: Mapping[str, Any], authorization: Authorization | None) -> AccessToken | None:
    """The token with the scope that is left of its own; None where nothing is."""
    own = words(str(claims["scope"]))
    left = allowed(own, scope)
    return AccessToken(claims, left, authorization) if left or not own else None
