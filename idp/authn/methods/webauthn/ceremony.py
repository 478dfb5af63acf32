"""What the two ceremonies have in common: the challenge, and how a browser's answer is taken apart."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

from idp.model.credential import WebAuthnCredential

CHALLENGE_BYTES = 32
CHALLENGE_LIFE = timedelta(minutes=10)
TIMEOUT_MILLISECONDS = 300_000
LONGEST_RESPONSE = 65_536
LONGEST_CREDENTIAL_ID = 1023


class Unacceptable(Exception):
    """A response that fails a check; the argument says which, for the log alone."""


def parse(text: str) -> dict[str, Any]:
    """The browser's JSON object with a ``response`` object in it; raises Unacceptable."""
    if len(text) > LONGEST_RESPONSE:
        raise Unacceptable("too long")
    try:
        response = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise Unacceptable("not JSON") from fault
    if not isinstance(response, dict) or not isinstance(response.get("response"), dict):
        raise Unacceptable("not a credential")
    return response


def check_client_data(response: Mapping[str, Any], challenge: bytes) -> None:
    """Refuse another challenge, and what was asked for from within another site's frame; raises Unacceptable.

    The challenge must be the very text that was sent, and not another one of the same bytes (WebAuthn Level 3 §7.1
    steps 8 and 10-11, §7.2 steps 11 and 13-14).
    """
    client_data = _client_data(response)
    if client_data.get("challenge") != bytes_to_base64url(challenge):
        raise Unacceptable("challenge")
    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
        raise Unacceptable("cross-origin")


def _client_data(response: Mapping[str, Any]) -> dict[str, Any]:
    try:
        client_data = json.loads(decoded(response["response"].get("clientDataJSON")))
    except (ValueError, RecursionError) as fault:
        raise Unacceptable("client data") from fault
    if not isinstance(client_data, dict):
        raise Unacceptable("client data")
    return client_data


def raw_id(response: Mapping[str, Any]) -> bytes:
    """The id of the credential that answered, of an allowed length; raises Unacceptable."""
    found = decoded(response.get("rawId"))
    if not 1 <= len(found) <= LONGEST_CREDENTIAL_ID:
        raise Unacceptable("credential id")
    return found


def decoded(value: object) -> bytes:
    """The bytes of a base64url string; raises Unacceptable."""
    if not isinstance(value, str):
        raise Unacceptable("a member is missing")
    try:
        return base64url_to_bytes(value)
    except ValueError as fault:
        raise Unacceptable("base64url") from fault


def descriptors(credentials: Iterable[WebAuthnCredential]) -> list[PublicKeyCredentialDescriptor]:
    """How a browser is told of credentials."""
    return [
        PublicKeyCredentialDescriptor(
            id=one.credential_id, transports=[AuthenticatorTransport(name) for name in one.transports]
        )
        for one in credentials
    ]
