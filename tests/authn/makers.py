"""Makers of authenticators: an authority of their own, and the certificates that it gives to their makes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

SINCE, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)
AAGUID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
ATTESTS = "Authenticator Attestation"

Voucher = tuple[ec.EllipticCurvePrivateKey, list[bytes]]
"""The key of an attestation certificate, and the chain from this one up to below the root."""


@dataclass
class Maker:
    """An authority, whose certificate is ``root``."""

    name: str = "Maker"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    root: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)])
        self.root = _certificate(subject, subject, self.key, self.key, ca=True)

    @property
    def pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def voucher(
        self,
        *,
        aaguid: bytes | None = None,
        unit: str = ATTESTS,
        ca: bool = False,
        until: datetime = UNTIL,
    ) -> Voucher:
        """A certificate for a make of authenticators, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = (
            (x509.NameOID.COUNTRY_NAME, "SE"),
            (x509.NameOID.ORGANIZATION_NAME, self.name),
            (x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            (x509.NameOID.COMMON_NAME, "Make"),
        )
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
        return key, [_der(_certificate(subject, self.root.subject, key, self.key, ca=ca, aaguid=aaguid, until=until))]


def below(voucher: Voucher, *, aaguid: bytes) -> Voucher:
    """A certificate that another attestation certificate gave, as if it were an authority."""
    key, chain = voucher
    issuer = x509.load_der_x509_certificate(chain[0])
    own = ec.generate_private_key(ec.SECP256R1())
    return own, [_der(_certificate(issuer.subject, issuer.subject, own, key, aaguid=aaguid)), *chain]


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    aaguid: bytes | None = None,
    until: datetime = UNTIL,
) -> x509.Certificate:
    builder: Any = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(SINCE)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if aaguid is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(AAGUID, b"\x04\x10" + aaguid), critical=False)
    made: x509.Certificate = builder.sign(signer, hashes.SHA256())
    return made
