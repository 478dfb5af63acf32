"""Which authenticators are of a make that the operator trusts (WebAuthn Level 3 §6.5, §7.1 steps 21-24)."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from webauthn.helpers import parse_attestation_object, validate_certificate_chain
from webauthn.helpers.exceptions import InvalidCertificateChain
from webauthn.helpers.structs import AttestationFormat

Roots = tuple[bytes, ...]
"""Certificates of certification authorities, each as PEM."""

CERTIFIED = frozenset(
    {
        AttestationFormat.PACKED,
        AttestationFormat.TPM,
        AttestationFormat.ANDROID_KEY,
        AttestationFormat.APPLE,
        AttestationFormat.FIDO_U2F,
    }
)
"""The formats in which a certificate vouches for an authenticator; what vouches for itself is in none of them."""

ATTESTS = "Authenticator Attestation"
"""The one organizational unit of an attestation certificate."""
AAGUID_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
AAGUID_PREFIX = b"\x04\x10"
"""The header of an OCTET STRING of 16 bytes in DER."""


def read_roots(path: Path) -> Roots:
    """The certificates in a PEM file, or in all files named ``*.pem`` and ``*.crt`` of a directory.

    Raises ValueError where there is none, or one that cannot be read.
    """
    files = sorted((*path.glob("*.pem"), *path.glob("*.crt"))) if path.is_dir() else [path]
    roots = tuple(root.public_bytes(Encoding.PEM) for file in files for root in _certificates(file))
    if not roots:
        raise ValueError(f"{path} has no certificate in it")
    return roots


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as fault:
        raise ValueError(f"{file} cannot be read ({fault.strerror})") from None
    except ValueError:
        raise ValueError(f"{file} is not a file of PEM certificates") from None


def is_trusted(attestation_object: bytes, roots: Roots) -> bool:
    """Whether an attestation, of which all signatures were verified, leads to one of these roots.

    It is judged here and by these roots alone: the verifying library lets any chain pass where it was given no roots,
    and adds roots of its own to some formats. The chain has to be valid at the time of the system.
    """
    attestation = parse_attestation_object(attestation_object)
    chain = attestation.att_stmt.x5c
    if not roots or not chain or attestation.fmt not in CERTIFIED:
        return False
    try:
        validate_certificate_chain(x5c=chain, pem_root_certs_bytes=list(roots))
    except InvalidCertificateChain:
        return False
    credential = attestation.auth_data.attested_credential_data
    return credential is not None and (
        attestation.fmt != AttestationFormat.PACKED or _is_for(chain[0], credential.aaguid)
    )


def _is_for(certificate: bytes, aaguid: bytes) -> bool:
    """Whether an attestation certificate is one, and of the make that is claimed (WebAuthn Level 3 §8.2, §8.2.1).

    Otherwise whoever has any certificate from below the same root could vouch for anything.
    """
    try:
        found = x509.load_der_x509_certificate(certificate)
        units = found.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
        basic = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    if basic.ca or found.version is not x509.Version.v3 or [one.value for one in units] != [ATTESTS]:
        return False
    try:
        named = found.extensions.get_extension_for_oid(AAGUID_EXTENSION)
    except x509.ExtensionNotFound:
        return True
    value = named.value
    return (
        not named.critical and isinstance(value, x509.UnrecognizedExtension) and value.value == AAGUID_PREFIX + aaguid
    )
