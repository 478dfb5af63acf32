"""A JWT signed with the client's own key (RFC 7523 §2.2 and §3; OpenID Connect Core §9)."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from idp.base import jwk
from idp.base.jose import InvalidToken, Kind, verify
from idp.model.client import Client
from idp.oauth.client_auth.method import ClientAuthMethod, Presented, Surroundings
from idp.oauth.errors import InvalidClient, InvalidRequest
from idp.store.client_assertions import consume_assertion

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

KIND = Kind(
    typ=frozenset({"jwt", "client-authentication+jwt"}),
    required=frozenset({"iss", "sub", "aud", "jti"}),
    untyped=True,
    longest_life=timedelta(minutes=5),
    sole_audience=True,
)


def present(_authorization: str | None, form: Mapping[str, str]) -> Presented | None:
    """The assertion in the body; the client is the one in ``client_id`` or else the one that it names."""
    if "client_assertion" not in form and "client_assertion_type" not in form:
        return None
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidRequest("The client_assertion_type is not supported.")
    assertion = form.get("client_assertion", "")
    return Presented(form.get("client_id") or _claimed_subject(assertion), assertion)


def _claimed_subject(assertion: str) -> str:
    """Whose keys to try; nothing is believed of the assertion before it verifies under them."""
    try:
        payload = assertion.split(".")[1][:8192]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["sub"])
    except (ValueError, LookupError, TypeError, RecursionError) as fault:
        raise InvalidClient("The client assertion is malformed.") from fault


async def check(client: Client, presented: Presented, surroundings: Surroundings) -> bool:
    """Whether the client signed this assertion for us, lately, and for the first time.

    The audience is our issuer or our token endpoint (RFC 7523 §3 item 3), and nothing beside it.
    """
    if client.jwks is None:
        return False
    try:
        token = verify(
            presented.proof,
            KIND,
            keys=jwk.read_set(client.jwks),
            issuer=client.client_id,
            audience=frozenset({surroundings.issuer, surroundings.token_endpoint}),
            now=surroundings.now,
        )
    except (InvalidToken, jwk.InvalidKey) as fault:
        raise InvalidClient("The client assertion is not valid.", detail=str(fault)) from fault
    if token.claims["sub"] != client.client_id:
        return False
    expires_at = datetime.fromtimestamp(token.claims["exp"], UTC)
    return await consume_assertion(surroundings.conn, client.client_id, token.claims["jti"], expires_at)


METHOD = ClientAuthMethod("private_key_jwt", present, check)
