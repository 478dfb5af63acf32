"""Access tokens that come back to us: verified offline like anywhere else, then judged by what has happened since."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from idp.base.jose import InvalidToken, Kind, verify
from idp.base.jwk import PublicKey
from idp.model.authorization import Authorization
from idp.store.authorizations import find_live_authorization, session_is_live
from idp.store.clients import find_client
from idp.store.database import Connection
from idp.store.revoked_tokens import is_revoked

ACCESS_TOKEN = Kind(
    typ=frozenset({"at+jwt"}), required=frozenset({"iss", "sub", "aud", "client_id", "iat", "jti", "scope"})
)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token that is good now; ``authorization`` is None for a client's own."""

    claims: Mapping[str, Any]
    authorization: Authorization | None

    @property
    def scope(self) -> tuple[str, ...]:
        """The words of its scope."""
        return tuple(str(self.claims["scope"]).split())


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
    session_idle: timedelta,
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
        dead = client is None or client.disabled_at is not None or await is_revoked(conn, claims["jti"])
        return None if dead else AccessToken(claims, None)
    authorization = await find_live_authorization(conn, parent, now=now, idle=session_idle)
    if authorization is None:
        return None
    if "sid" in claims and not await session_is_live(conn, claims["sid"], now=now):
        return None
    return AccessToken(claims, authorization)
