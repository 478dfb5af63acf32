"""JSON Web Keys, each for one algorithm and named by its thumbprint (RFC 7517, 7518, 7638, 8037)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from idp.base.weak_rsa import has_tiny_factor, is_roca

Algorithm: TypeAlias = Literal["RS256", "PS256", "ES256", "EdDSA"]
ALGORITHMS: tuple[Algorithm, ...] = ("RS256", "PS256", "ES256", "EdDSA")
"""Every algorithm that is signed with or believed, the default first. No HMAC, no ``none`` (RFC 8725)."""

RSA_BITS = range(2048, 8193)
LONGEST_KID = 256
FITTING: Mapping[tuple[str, str | None], frozenset[Algorithm]] = {
    ("RSA", None): frozenset({"RS256", "PS256"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}
PUBLIC_MEMBERS = {"RSA": ("e", "n"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
PUBLISHED_MEMBERS = ("kty", "kid", "use", "alg", "crv", "e", "n", "x", "y")
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

NativeKey: TypeAlias = RSAKey | ECKey | OKPKey


class InvalidKey(ValueError):
    """A JWK cannot be used to verify signatures here; the message says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies, and the algorithms it may be used with and no other (RFC 8725 §3.1)."""

    kid: str
    algorithms: frozenset[Algorithm]
    native: NativeKey = field(repr=False)

    def verifies(self, alg: str, message: bytes, signature: bytes) -> bool:
        """Whether the signature over the message is this key's, by an algorithm that it may be used with."""
        return alg in self.algorithms and JWSRegistry.algorithms[alg].verify(message, signature, self.native)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs, bound to its one algorithm; its ``kid`` is its thumbprint (RFC 7638)."""

    kid: str
    alg: Algorithm
    native: NativeKey = field(repr=False)

    @property
    def public_jwk(self) -> dict[str, str]:
        """What the world may know of it: the JWK with ``kid``, ``use`` and ``alg`` (RFC 7517 §4)."""
        members = cast(dict[str, str], self.native.as_dict(private=False))
        shown = {name: members[name] for name in ("kty", *PUBLIC_MEMBERS[members["kty"]])}
        return shown | {"kid": self.kid, "use": "sig", "alg": self.alg}

    def sign(self, message: bytes) -> bytes:
        """The signature over the message (RFC 7518 §3). RSA takes a millisecond or two: run it in a thread."""
        return JWSRegistry.algorithms[self.alg].sign(message, self.native)

    def dump(self) -> bytes:
        """The whole key as the JSON of its private JWK: to be sealed at once, never shown."""
        members = self.native.as_dict(private=True)
        return json.dumps(members | {"alg": self.alg, "kid": self.kid}, separators=(",", ":")).encode()


def generate(alg: Algorithm, *, rsa_bits: int) -> PrivateKey:
    """A new key for the algorithm: RSA with e = 65537, P-256 or Ed25519.

    Randomness is the cryptographic library's own. RSA takes some tenths of a second, and the interpreter's
    lock is free meanwhile: run it in a thread.
    """
    native: NativeKey
    match alg:
        case "RS256" | "PS256":
            native = RSAKey.generate_key(rsa_bits)
        case "ES256":
            native = ECKey.generate_key("P-256")
        case "EdDSA":
            native = OKPKey.generate_key("Ed25519")
    return PrivateKey(native.thumbprint(), alg, native)


def load(dumped: bytes) -> PrivateKey:
    """The private key that was dumped; raises ``InvalidKey`` if it is none."""
    try:
        members = json.loads(dumped)
        alg = members.pop("alg")
        kid = members.pop("kid")
        native = cast(NativeKey, JWKRegistry.import_key(members))
    except Exception as error:
        raise InvalidKey("not a private key of ours") from error
    if not native.is_private or alg not in ALGORITHMS or native.thumbprint() != kid:
        raise InvalidKey("not a private key of ours")
    return PrivateKey(kid, alg, native)


def read(jwk: Mapping[str, Any]) -> PublicKey:
    """The public key that a JWK describes; raises ``InvalidKey`` for one that is weak, private, for another
    use, or for an algorithm that is not ours.

    Without an ``alg`` of its own the key serves every algorithm of its type; a verifier narrows that down.
    """
    if PRIVATE_MEMBERS & jwk.keys():
        raise InvalidKey("it holds private or symmetric key material")
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_KID:
        raise InvalidKey("it has no kid")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise InvalidKey("it is not for verifying signatures")
    return PublicKey(kid, _algorithms(jwk), _native(jwk))


def read_set(jwks: Mapping[str, Any]) -> dict[str, PublicKey]:
    """The usable keys of a JWK Set by their ``kid``; the others are passed over (RFC 7517 §5).

    Of two keys under one ``kid`` neither is believed: which of them was meant cannot be known.
    """
    found: dict[str, PublicKey] = {}
    ambiguous: set[str] = set()
    members = jwks.get("keys")
    for jwk in members if isinstance(members, list) else ():
        try:
            key = read(jwk if isinstance(jwk, Mapping) else {})
        except InvalidKey:
            continue
        ambiguous |= {key.kid} & found.keys()
        found[key.kid] = key
    return {kid: key for kid, key in found.items() if kid not in ambiguous}


def _algorithms(jwk: Mapping[str, Any]) -> frozenset[Algorithm]:
    kind = (str(jwk.get("kty")), str(jwk["crv"]) if "crv" in jwk else None)
    fitting = FITTING.get(kind)
    if fitting is None:
        raise InvalidKey("its type or curve is not among RSA, EC P-256 and OKP Ed25519")
    chosen = frozenset(alg for alg in fitting if jwk.get("alg", alg) == alg)
    if not chosen:
        raise InvalidKey("its alg contradicts its type or is not supported")
    return chosen


def _native(jwk: Mapping[str, Any]) -> NativeKey:
    kty = jwk["kty"]
    members = {name: jwk.get(name) for name in PUBLIC_MEMBERS[kty]}
    if not all(isinstance(value, str) for value in members.values()):
        raise InvalidKey("a member is missing or no string")
    try:
        if kty == "RSA":
            _check_rsa(members)
        return cast(NativeKey, JWKRegistry.import_key(cast(dict[str, str | list[str]], {"kty": kty, **members})))
    except InvalidKey:
        raise
    except Exception as error:
        # The libraries below speak of a bad key in many ways: ValueError, TypeError, KeyError, their own.
        raise InvalidKey("its numbers do not make a key") from error


def _check_rsa(members: Mapping[str, Any]) -> None:
    # A short modulus can be factored; a huge modulus or exponent is a way to keep the verifier busy.
    modulus, exponent = (int.from_bytes(urlsafe_b64decode(members[name].encode())) for name in ("n", "e"))
    if modulus.bit_length() not in RSA_BITS:
        raise InvalidKey(f"an RSA modulus has {RSA_BITS.start} to {RSA_BITS.stop - 1} bits")
    if not 65537 <= exponent < 2**64 or exponent % 2 == 0:
        raise InvalidKey("an RSA exponent is odd, 65537 or larger, and below 2^64")
    if has_tiny_factor(modulus):
        raise InvalidKey("its RSA modulus has a tiny factor")
    if is_roca(modulus):
        raise InvalidKey("its RSA modulus can be factored (ROCA, CVE-2017-15361)")
