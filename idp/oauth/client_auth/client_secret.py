"""A secret in the Authorization header or in the body (RFC 6749 §2.3.1)."""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote_plus

from idp.base.digest import same, sha256
from idp.model.client import Client
from idp.oauth.client_auth.method import ClientAuthMethod, Presented, Surroundings
from idp.oauth.errors import InvalidClient


def present_basic(authorization: str | None, _form: Mapping[str, str]) -> Presented | None:
    """The credentials of the Basic scheme, each part form-decoded (RFC 6749 §2.3.1; RFC 7617)."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError("no colon")
        return Presented(_decoded(client_id), _decoded(secret))
    except (binascii.Error, ValueError) as fault:
        raise InvalidClient("The Authorization header is malformed.", detail=str(fault)) from fault


def _decoded(part: str) -> str:
    return unquote_plus(part, errors="strict")


def present_post(_authorization: str | None, form: Mapping[str, str]) -> Presented | None:
    """The credentials in the body (RFC 6749 §2.3.1)."""
    if "client_secret" not in form:
        return None
    return Presented(form.get("client_id", ""), form["client_secret"])


async def check(client: Client, presented: Presented, _surroundings: Surroundings) -> bool:
    """Whether the secret is the client's: its digest, compared in constant time."""
    return client.secret_hash is not None and same(sha256(presented.proof), client.secret_hash)


BASIC = ClientAuthMethod("client_secret_basic", present_basic, check)
POST = ClientAuthMethod("client_secret_post", present_post, check)
