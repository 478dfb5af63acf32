"""A WebAuthn authenticator and browser in software, with a switch for everything that can be wrong.

``make`` and ``use`` answer the JSON that a page would submit (``PublicKeyCredential.toJSON()``).
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ES256, EDDSA, RS256, ES384 = -7, -8, -257, -35
UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Authenticator:
    """One credential: change an attribute, or pass it to ``make`` or ``use``, to make a faulty response."""

    rp_id: str = "idp.test"
    origin: str = "https://idp.test"
    alg: int = ES256
    user_verified: bool = True
    backup_eligible: bool = True
    backed_up: bool = True
    counter: int = 0
    credential_id: bytes = b"a credential of sixteen bytes and more"
    user_handle: bytes | None = None
    discoverable: bool = True
    rsa_bits: int = 2048
    aaguid: bytes = bytes(16)
    key: PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = _generate(self.alg, self.rsa_bits)

    def make(self, challenge: bytes, *, user_handle: bytes, **switches: Any) -> str:
        """The response to ``navigator.credentials.create()``."""
        self.user_handle = user_handle
        client_data = self._client_data(challenge, "webauthn.create", switches)
        attested = b"".join(
            (
                self.aaguid,
                len(self.credential_id).to_bytes(2, "big"),
                self.credential_id,
                switches.get("public_key") or cbor2.dumps(self.cose_key()),
            )
        )
        data = self._authenticator_data(switches, AT) + attested
        statement = switches.get("statement", {})
        if switches.get("fmt") == "packed":
            signed = data + hashlib.sha256(client_data).digest()
            statement = {"alg": self.alg, "sig": switches.get("signature") or self._sign(signed)}
            if "vouched_by" in switches:
                key, chain = switches["vouched_by"]
                statement = {"alg": ES256, "sig": key.sign(signed, ec.ECDSA(hashes.SHA256())), "x5c": chain}
        attestation = {"fmt": switches.get("fmt", "none"), "attStmt": statement, "authData": data}
        response = {
            "clientDataJSON": base64url(client_data),
            "attestationObject": base64url(cbor2.dumps(attestation)),
            "transports": switches.get("transports", ["internal", "hybrid"]),
        }
        extensions = {"credProps": {"rk": self.discoverable}}
        return self._json(response, switches, clientExtensionResults=extensions)

    def use(self, challenge: bytes, **switches: Any) -> str:
        """The response to ``navigator.credentials.get()``."""
        client_data = self._client_data(challenge, "webauthn.get", switches)
        data = self._authenticator_data(switches, 0)
        signature = self._sign(data + hashlib.sha256(client_data).digest())
        handle = switches.get("user_handle", self.user_handle)
        response = {
            "clientDataJSON": base64url(client_data),
            "authenticatorData": base64url(data),
            "signature": base64url(switches.get("signature", signature)),
            "userHandle": None if handle is None else base64url(handle),
        }
        return self._json(response, switches, clientExtensionResults={})

    def cose_key(self) -> dict[int, Any]:
        """The public key as the attestation carries it (RFC 9053 §7)."""
        public = self.key.public_key()
        if isinstance(public, ed25519.Ed25519PublicKey):
            return {1: 1, 3: self.alg, -1: 6, -2: public.public_bytes(Encoding.Raw, PublicFormat.Raw)}
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
            return {1: 3, 3: self.alg, -1: modulus, -2: numbers.e.to_bytes(3, "big")}
        point, size = public.public_numbers(), (public.key_size + 7) // 8
        curve = 1 if public.key_size == 256 else 2
        return {1: 2, 3: self.alg, -1: curve, -2: point.x.to_bytes(size, "big"), -3: point.y.to_bytes(size, "big")}

    def _client_data(self, challenge: bytes, type_: str, switches: dict[str, Any]) -> bytes:
        data = {
            "type": switches.get("type", type_),
            "challenge": base64url(challenge),
            "origin": switches.get("origin", self.origin),
            "crossOrigin": False,
        }
        return json.dumps(data | switches.get("client_data", {})).encode()

    def _authenticator_data(self, switches: dict[str, Any], flags: int) -> bytes:
        for flag, on in (
            (UP, switches.get("user_present", True)),
            (UV, switches.get("user_verified", self.user_verified)),
            (BE, switches.get("backup_eligible", self.backup_eligible)),
            (BS, switches.get("backed_up", self.backed_up)),
        ):
            flags |= flag if on else 0
        rp_id = switches.get("rp_id", self.rp_id)
        counter: int = switches.get("counter", self.counter)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big")

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(data)
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def _json(self, response: dict[str, Any], switches: dict[str, Any], **more: Any) -> str:
        raw_id = switches.get("raw_id", self.credential_id)
        credential = {
            "id": base64url(raw_id),
            "rawId": base64url(raw_id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "response": response,
        }
        return json.dumps(credential | more)


def _generate(alg: int, rsa_bits: int) -> PrivateKey:
    if alg == EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    if alg == RS256:
        return rsa.generate_private_key(65537, rsa_bits)
    return ec.generate_private_key(ec.SECP384R1() if alg == ES384 else ec.SECP256R1())
