"""JSON Web Tokens, signed and verified with everything said out loud (RFC 7515, 7519, 8725)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from idp.base.jwk import ALGORITHMS, LONGEST_KID, PrivateKey, PublicKey

LONGEST_TOKEN = 16_384
LONGEST_HEADER = 4_096
LONGEST_SIGNATURE = 1_400  # An RSA signature of 8192 bits has 1366 digits in base64url.
LEEWAY = timedelta(seconds=10)
STRING_CLAIMS = frozenset({"iss", "sub", "jti"})
TIME_CLAIMS = frozenset({"exp", "nbf", "iat"})


class InvalidToken(Exception):
    """A JWT that is not believed; ``detail`` says why, for the log alone."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of JWT must be: rules of its own for each, so that none passes for another (RFC 8725
    §3.12).

    ``typ``: the media types it may carry, lower-case and without ``application/``; ``untyped``: whether it
    may carry none. ``required``: claims that must be there, ``exp`` always among them. ``expired``: whether
    one that has expired is still believed. ``longest_life``: how far ahead ``exp`` may lie, both of now and
    of ``iat``. ``sole_audience``: whether every value of ``aud`` must be one of those accepted, and not just
    one of them.
    """

    typ: frozenset[str]
    required: frozenset[str] = frozenset()
    algorithms: frozenset[str] = frozenset(ALGORITHMS)
    untyped: bool = False
    expired: bool = False
    longest_life: timedelta | None = None
    sole_audience: bool = False

    def __post_init__(self) -> None:
        if not self.algorithms <= set(ALGORITHMS):
            raise ValueError("a kind names an algorithm that is never believed")


@dataclass(frozen=True, slots=True)
class Token:
    """A JWT whose signature and claims were found good."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def sign(claims: Mapping[str, Any], *, key: PrivateKey, typ: str) -> str:
    """The claims as a compact JWT with ``alg``, ``kid`` and ``typ`` in its header (RFC 7515 §7.1)."""
    header = {"alg": key.alg, "kid": key.kid, "typ": typ}
    signed = urlsafe_b64encode(_json(header)) + b"." + urlsafe_b64encode(_json(claims))
    return (signed + b"." + urlsafe_b64encode(key.sign(signed))).decode()


def verify(
    token: str,
    kind: Kind,
    *,
    keys: Mapping[str, PublicKey],
    issuer: str | None,
    audience: frozenset[str] | None,
    now: datetime,
) -> Token:
    """The token, proven to be of this kind, from this issuer, for one of these audiences, and good at this
    time.

    Keys come from ``keys`` by the header's ``kid`` and from nowhere else: ``jwk``, ``jku``, ``x5u`` and
    ``x5c`` are never looked at (RFC 8725 §3.10). ``issuer`` or ``audience`` None leaves that claim for the
    caller to judge. Clocks that run ahead of ours by ``LEEWAY`` are forgiven in ``iat`` and ``nbf``; ``exp``
    is kept to the second. Raises ``InvalidToken``, and nothing else whatever the input.
    """
    header, claims, signed, signature = _parse(token)
    key = _check_header(header, kind, keys)
    if not key.verifies(header["alg"], signed, signature):
        raise InvalidToken("the signature does not match")
    _check_shape(claims, kind)
    _check_parties(claims, kind, issuer, audience)
    _check_times(claims, kind, now)
    return Token(header, claims)


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    # The size is judged before a single byte is decoded (RFC 8725 §2.4 and its relatives; A-28).
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise InvalidToken("too long, or not of base64url")
    segments = token.encode().split(b".")
    if len(segments) != 3:
        raise InvalidToken("not three segments")
    header, payload, signature = segments
    if len(header) > LONGEST_HEADER or len(signature) > LONGEST_SIGNATURE:
        raise InvalidToken("header or signature too long")
    return _object(header), _object(payload), header + b"." + payload, _decode(signature)


def _check_header(header: Mapping[str, Any], kind: Kind, keys: Mapping[str, PublicKey]) -> PublicKey:
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or alg not in kind.algorithms:
        raise InvalidToken("alg is not one that this kind allows")
    # No extension is understood here, so any that must be understood is refused (RFC 7515 §4.1.11, RFC 7797
    # §6).
    if not header.keys().isdisjoint({"crit", "b64"}):
        raise InvalidToken("crit or b64 in the header")
    _check_typ(header, kind)
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_KID:
        raise InvalidToken("no kid, or one of absurd size")
    key = keys.get(kid)
    if key is None:
        raise InvalidToken("unknown kid")
    if alg not in key.algorithms:
        raise InvalidToken("alg is not the key's own")
    return key


def _check_typ(header: Mapping[str, Any], kind: Kind) -> None:
    """Explicit typing (RFC 8725 §3.11); case and ``application/`` do not matter (RFC 7515 §4.1.9)."""
    typ = header.get("typ")
    if typ is None and "typ" not in header and kind.untyped:
        return
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in kind.typ:
        raise InvalidToken("typ is not of this kind")


def _check_shape(claims: Mapping[str, Any], kind: Kind) -> None:
    """Claims are there where they must be and of the type that RFC 7519 §4.1 gives them wherever they are."""
    missing = (kind.required | {"exp"}) - claims.keys()
    if missing:
        raise InvalidToken(f"claims missing: {', '.join(sorted(missing))}")
    for name in STRING_CLAIMS & claims.keys():
        if not isinstance(claims[name], str) or not claims[name]:
            raise InvalidToken(f"{name} is not a string with something in it")
    for name in TIME_CLAIMS & claims.keys():
        if not _is_time(claims[name]):
            raise InvalidToken(f"{name} is not a number of seconds")


def _check_parties(claims: Mapping[str, Any], kind: Kind, issuer: str | None, audience: frozenset[str] | None) -> None:
    if issuer is not None and claims.get("iss") != issuer:
        raise InvalidToken("another issuer")
    given = claims.get("aud", [])
    values = given if isinstance(given, list) else [given]
    if not all(isinstance(value, str) for value in values):
        raise InvalidToken("aud is not a string nor a list of strings")
    if audience is not None and audience.isdisjoint(values):
        raise InvalidToken("another audience")
    if audience is not None and kind.sole_audience and not audience.issuperset(values):
        raise InvalidToken("a further audience beside ours")


def _check_times(claims: Mapping[str, Any], kind: Kind, now: datetime) -> None:
    moment, leeway = now.timestamp(), LEEWAY.total_seconds()
    expires, issued = claims["exp"], claims.get("iat")
    if moment >= expires and not kind.expired:
        raise InvalidToken("expired")
    if claims.get("nbf", moment) > moment + leeway:
        raise InvalidToken("not valid yet")
    if issued is not None and issued > moment + leeway:
        raise InvalidToken("issued in the future")
    if kind.longest_life is None:
        return
    longest = kind.longest_life.total_seconds()
    if expires > moment + leeway + longest or (issued is not None and expires > issued + longest):
        raise InvalidToken("lives too long")


def _is_time(value: object) -> bool:
    # JSON's numbers may be anything: true is none here, and 1e999 (infinity) fails the comparison.
    return isinstance(value, int | float) and not isinstance(value, bool) and -(2**53) < value < 2**53


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":"), allow_nan=False).encode()


def _decode(segment: bytes) -> bytes:
    try:
        return urlsafe_b64decode(segment)
    except ValueError:
        raise InvalidToken("a segment is not base64url") from None


def _object(segment: bytes) -> dict[str, Any]:
    """The JSON object in a segment: UTF-8, no member twice (RFC 7515 §4, RFC 7519 §4)."""
    try:
        value = json.loads(_decode(segment).decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
        # A lone surrogate raises here; PostgreSQL takes no NUL. What a database refuses would be a 500 later.
        unstorable = "\\u0000" in json.dumps(value, ensure_ascii=False).encode().decode()
    except (ValueError, RecursionError):
        raise InvalidToken("a segment is not a JSON object") from None
    if unstorable or not isinstance(value, dict):
        raise InvalidToken("a segment is not a JSON object")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member comes twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
