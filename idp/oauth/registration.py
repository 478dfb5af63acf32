"""What an application may register: client metadata under its names in RFC 7591 §2, every fault told at once."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from idp.base import jwk, uri
from idp.model.assurance import ACR_VALUES
from idp.model.client import Client
from idp.oauth.response_modes import RESPONSE_MODES

GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
AUTH_METHODS = (*SECRET_METHODS, "private_key_jwt", "none")

MOST_KEYS = 10
MOST_URIS = 50
LONGEST_URI = 2000
LONGEST_NAME = 100
MOST_SCOPES = 100

RESPONSE_PARAMETERS = frozenset(
    {"code", "state", "iss", "error", "error_description", "error_uri", "response", "session_state"}
    | {"id_token", "access_token", "token_type", "expires_in"}
)
"""What an authorization response puts into a query or fragment; a registered URI must not bring its own."""

URI_SYNTAX = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
HOST_SYNTAX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+")
SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,200}")
"""RFC 6749 §3.3: printable, no space, no quotation mark, no backslash."""

MISLEADING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of text, with which a name could pose as another."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One member of the metadata that cannot stand, and why, in words for the one who registers."""

    member: str
    reason: str

    def __str__(self) -> str:
        return f"{self.member}: {self.reason}"


class InvalidMetadata(Exception):
    """The metadata was refused; ``faults`` has everything that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def register(metadata: Mapping[str, object], *, client_id: str, now: datetime) -> Client:
    """A new client without a secret yet; raises InvalidMetadata with every fault.

    What is left out has the default of RFC 7591 §2, but for ``grant_types``, which then has ``refresh_token`` too.
    """
    blank = Client(client_id, client_name="", token_endpoint_auth_method="client_secret_basic", created_at=now)
    client = amend(blank, metadata)
    if "scope" not in metadata and "authorization_code" not in client.grant_types:
        # The usual scopes speak of a user, and such a client never meets one.
        return replace(client, scope=())
    return client


def amend(client: Client, metadata: Mapping[str, object]) -> Client:
    """The client with the given members in place of its own; raises InvalidMetadata with every fault.

    Members that are not known are ignored (RFC 7591 §2).
    """
    changes: dict[str, Any] = {}
    faults: list[Fault] = []
    for member in READERS.keys() & metadata.keys():
        try:
            changes[member] = READERS[member](metadata[member])
        except ValueError as refusal:
            faults.append(Fault(member, str(refusal)))
    amended = replace(client, **changes)
    unread = {fault.member for fault in faults}
    faults += [fault for check in CHECKS for fault in check(amended) if fault.member not in unread]
    if faults:
        raise InvalidMetadata(tuple(faults))
    return amended


def needs_secret(client: Client) -> bool:
    """Whether the client proves itself by a secret (RFC 6749 §2.3.1)."""
    return client.token_endpoint_auth_method in SECRET_METHODS


def describe(client: Client) -> dict[str, object]:
    """The client's metadata as JSON values, without any secret; what does not apply is None."""
    return {
        "client_id": client.client_id,
        "client_name": client.client_name,
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "grant_types": list(client.grant_types),
        "response_types": ["code"] if "authorization_code" in client.grant_types else [],
        "response_modes": list(client.response_modes) if "authorization_code" in client.grant_types else [],
        "scope": " ".join(client.scope),
        "token_endpoint_auth_method": client.token_endpoint_auth_method,
        "jwks": None if client.jwks is None else dict(client.jwks),
        "id_token_signed_response_alg": client.id_token_signed_response_alg,
        "min_acr": client.min_acr,
        "logo_uri": client.logo_uri,
        "policy_uri": client.policy_uri,
        "tos_uri": client.tos_uri,
        "client_id_issued_at": int(client.created_at.timestamp()),
        "disabled": client.disabled_at is not None,
    }


# Readers: from a JSON value to the model's type, refusing every other type.


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is a text")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError("is a list of texts")
    return tuple(dict.fromkeys(value))


def _words(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_text(value).split(" "))) if value != "" else ()


def _keys(value: object) -> dict[str, object] | None:
    """A JWK Set of public signing keys alone (RFC 7517 §5), without members that nothing here reads."""
    if value is None:
        return None
    keys = value.get("keys") if isinstance(value, Mapping) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_KEYS:
        raise ValueError(f"is a JSON object whose member keys lists 1 to {MOST_KEYS} keys")
    reasons = [f"key {place} cannot be used: {why}" for place, key in enumerate(keys, 1) if (why := _key_fault(key))]
    if not reasons and len(jwk.read_set({"keys": keys})) < len(keys):
        reasons = ["two keys have one kid"]
    if reasons:
        raise ValueError("; ".join(reasons))
    return {"keys": [{name: key[name] for name in _KEY_MEMBERS if name in key} for key in keys]}


_KEY_MEMBERS = ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y")


def _key_fault(key: object) -> str | None:
    if not isinstance(key, Mapping):
        return "it is no JSON object"
    try:
        return None if jwk.read(key).kid.isprintable() else "its kid has a control character"
    except jwk.InvalidKey as reason:
        return str(reason)


READERS: Mapping[str, Callable[[object], object]] = {
    "client_name": lambda value: _text(value).strip(),
    "redirect_uris": _texts,
    "post_logout_redirect_uris": _texts,
    "grant_types": _texts,
    "response_modes": _texts,
    "scope": _words,
    "token_endpoint_auth_method": _text,
    "jwks": _keys,
    "id_token_signed_response_alg": _text,
    "min_acr": _optional_text,
    "logo_uri": _optional_text,
    "policy_uri": _optional_text,
    "tos_uri": _optional_text,
}

# Checks: each looks at the whole client, for many rules join two members.


def _name(client: Client) -> Iterator[Fault]:
    if not 1 <= len(client.client_name) <= LONGEST_NAME:
        yield Fault("client_name", f"has 1 to {LONGEST_NAME} characters")
    if any(char in MISLEADING or unicodedata.category(char) in _UNFIT for char in client.client_name):
        yield Fault("client_name", "has a control character")


_UNFIT = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


def _auth_method(client: Client) -> Iterator[Fault]:
    yield from _among("token_endpoint_auth_method", client.token_endpoint_auth_method, AUTH_METHODS)
    if client.token_endpoint_auth_method == "private_key_jwt" and client.jwks is None:
        yield Fault("jwks", "has the public keys of a client that uses private_key_jwt")


def _grants(client: Client) -> Iterator[Fault]:
    if not client.grant_types:
        yield Fault("grant_types", "has at least one of " + ", ".join(GRANT_TYPES))
    for grant in client.grant_types:
        yield from _among("grant_types", grant, GRANT_TYPES)
    if "refresh_token" in client.grant_types and "authorization_code" not in client.grant_types:
        yield Fault("grant_types", "has refresh_token only beside authorization_code")
    if "client_credentials" in client.grant_types and client.is_public:
        # RFC 6749 §4.4: the client credentials grant MUST only be used by confidential clients.
        yield Fault("grant_types", "has client_credentials only where the client can prove itself")


def _response_modes(client: Client) -> Iterator[Fault]:
    """The modes that this client needs, and no others (ASVS 10.4.12); the first one tells of a mode that it has not."""
    if not client.response_modes:
        yield Fault("response_modes", "has at least one of " + ", ".join(RESPONSE_MODES))
    for mode in client.response_modes:
        yield from _among("response_modes", mode, tuple(RESPONSE_MODES))


def _scope(client: Client) -> Iterator[Fault]:
    if len(client.scope) > MOST_SCOPES:
        yield Fault("scope", f"has at most {MOST_SCOPES} words")
    for word in client.scope[:MOST_SCOPES]:
        if not SCOPE_TOKEN.fullmatch(word):
            yield Fault("scope", f"{word!a} is no scope of RFC 6749 §3.3; words are parted by single spaces")


def _redirect_uris(client: Client) -> Iterator[Fault]:
    if not client.redirect_uris and "authorization_code" in client.grant_types:
        yield Fault("redirect_uris", "has at least one URI for the authorization code grant")
    yield from _return_uris("redirect_uris", client.redirect_uris, client, RESPONSE_PARAMETERS)


def _post_logout_redirect_uris(client: Client) -> Iterator[Fault]:
    # RP-Initiated Logout 1.0 §3: the answer adds the state, and nothing else.
    yield from _return_uris("post_logout_redirect_uris", client.post_logout_redirect_uris, client, frozenset({"state"}))


def _pages(client: Client) -> Iterator[Fault]:
    for member in ("logo_uri", "policy_uri", "tos_uri"):
        value = getattr(client, member)
        reason = None if value is None else _page_fault(value)
        if reason:
            yield Fault(member, f"{value[:LONGEST_URI]!a} {reason}")


def _algorithm(client: Client) -> Iterator[Fault]:
    yield from _among("id_token_signed_response_alg", client.id_token_signed_response_alg, jwk.ALGORITHMS)


def _min_acr(client: Client) -> Iterator[Fault]:
    if client.min_acr is not None:
        yield from _among("min_acr", client.min_acr, ACR_VALUES)


CHECKS: tuple[Callable[[Client], Iterator[Fault]], ...] = (
    _name,
    _auth_method,
    _grants,
    _response_modes,
    _scope,
    _redirect_uris,
    _post_logout_redirect_uris,
    _pages,
    _algorithm,
    _min_acr,
)


def _among(member: str, value: str, allowed: tuple[str, ...]) -> Iterator[Fault]:
    if value not in allowed:
        yield Fault(member, f"{value[:100]!a} is none of " + ", ".join(allowed))


def _return_uris(member: str, uris: tuple[str, ...], client: Client, reserved: frozenset[str]) -> Iterator[Fault]:
    if len(uris) > MOST_URIS:
        yield Fault(member, f"has at most {MOST_URIS} URIs")
    for value in uris[:MOST_URIS]:
        reason = _return_fault(value, reserved, public=client.is_public)
        if reason:
            yield Fault(member, f"{value[:LONGEST_URI]!a} {reason}")


def _return_fault(value: str, reserved: frozenset[str], *, public: bool) -> str | None:
    if "#" in value:
        return "has a fragment"  # RFC 6749 §3.1.2: it MUST NOT.
    reason = _syntax_fault(value)
    if reason:
        return reason
    taken = sorted(uri.query_names(value) & reserved)
    if taken:
        return f"has the query parameter {taken[0]}, which the response uses"
    if urlsplit(value).scheme in ("http", "https"):
        return _web_fault(value)
    return _private_use_fault(value, public=public)


def _page_fault(value: str) -> str | None:
    address, _, fragment = value.partition("#")
    if "#" in fragment or (fragment and not URI_SYNTAX.fullmatch("a:" + fragment)):
        return "is no absolute URI (RFC 3986)"
    reason = _syntax_fault(address)
    if reason:
        return reason
    if urlsplit(address).scheme not in ("http", "https"):
        return "is no https address"
    return _web_fault(address)


def _syntax_fault(value: str) -> str | None:
    if len(value) > LONGEST_URI:
        return f"is longer than {LONGEST_URI} characters"
    if not URI_SYNTAX.fullmatch(value):
        return "is no absolute URI (RFC 3986)"
    try:
        port = urlsplit(value).port
    except ValueError:
        return "has no well-formed host and port"
    return "has no well-formed host and port" if port == 0 else None


def _web_fault(value: str) -> str | None:
    parts = urlsplit(value)
    reason = _authority_fault(parts)
    if reason:
        return reason
    if not value.startswith(f"{parts.scheme}://{parts.netloc}"):
        return "has a scheme in capital letters"
    if parts.scheme == "http" and not uri.is_loopback(parts.hostname):
        # RFC 9700 §2.6: no cleartext, but for native applications on loopback addresses.
        return "is http, which only a loopback address may be"
    if any(segment in (".", "..") for segment in unquote(parts.path).replace("\\", "/").split("/")):
        return "has . or .. in its path, which browsers take away"
    return None


def _authority_fault(parts: SplitResult) -> str | None:
    if "@" in parts.netloc:
        return "has a user name"
    if not parts.hostname or not HOST_SYNTAX.fullmatch(parts.hostname) or parts.netloc.endswith(":"):
        return "has no well-formed host and port"
    return None


def _private_use_fault(value: str, *, public: bool) -> str | None:
    scheme = value.partition(":")[0]
    if "." not in scheme:
        # RFC 8252 §7.1: a private-use scheme is a domain name in reverse order; javascript and data are not.
        return "is no https address, and no private-use scheme in reverse domain order (RFC 8252 §7.1)"
    if not public:
        return "has a private-use scheme, which only a public client may use"
    # RFC 8252 §7.1 has no authority in such a URI; many applications have, and what stands there is a name at least.
    parts = urlsplit(value)
    return _authority_fault(parts) if parts.netloc else None
