"""The ceremony that makes a credential (WebAuthn Level 3 §7.1), and what password managers are told of it later."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import webauthn
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn.helpers import (
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    options_to_json_dict,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from idp.authn.aaguids import make_of
from idp.authn.accounts import credential_name
from idp.authn.attestation import is_trusted
from idp.authn.methods.method import Refusal, RelyingParty, Tools
from idp.authn.methods.webauthn.ceremony import (
    LONGEST_CREDENTIAL_ID,
    TIMEOUT_MILLISECONDS,
    Unacceptable,
    check_client_data,
    descriptors,
    parse,
    raw_id,
)
from idp.base.entropy import identifier
from idp.model.credential import WebAuthnCredential
from idp.model.user import User
from idp.store import users, webauthn_credentials
from idp.store.database import Connection

ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
MOST_PER_USER = 20
DEFAULT_NAME = "Passkey"


def registration_options(
    user: User,
    existing: Iterable[WebAuthnCredential],
    challenge: bytes,
    relying_party: RelyingParty,
    *,
    passkey: bool = False,
) -> dict[str, Any]:
    """What to hand to ``parseCreationOptionsFromJSON`` to add a credential to the user's.

    A ``passkey`` is one that can be found without its id, or none at all.
    """
    options = webauthn.generate_registration_options(
        rp_id=relying_party.id,
        rp_name=relying_party.name,
        user_id=user.sub.encode(),
        user_name=user.username,
        user_display_name=display_name(user),
        challenge=challenge,
        timeout=TIMEOUT_MILLISECONDS,
        attestation=_conveyance(relying_party),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED if passkey else ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=descriptors(existing),
        supported_pub_key_algs=ALGORITHMS,
    )
    return {**options_to_json_dict(options), "extensions": {"credProps": True}}


def display_name(user: User) -> str:
    """What authenticators show beside the user name."""
    return str(user.profile.get("name") or user.username)


def _conveyance(relying_party: RelyingParty) -> AttestationConveyancePreference:
    # A browser asks its user before it tells the make: so nobody is asked where nothing would follow from it.
    if relying_party.attestation_roots:
        return AttestationConveyancePreference.DIRECT
    return AttestationConveyancePreference.NONE


async def register(
    conn: Connection,
    user: User,
    response: str,
    challenge: bytes | None,
    tools: Tools,
    now: datetime,
    *,
    name: str = "",
    conditional: bool = False,
) -> WebAuthnCredential | Refusal:
    """Add the credential that the browser's JSON ``response`` presents (WebAuthn Level 3 §7.1).

    The challenge must be the user's own, fresh, and taken. User verification is recorded, not demanded. An attestation
    must be well signed, and earns trust where it leads to a root of the operator's. Without a ``name`` the credential
    gets that of its make. A ``conditional`` one was made without asking anybody: nobody need have been present then,
    and it is voluntary.
    """
    if challenge is None:
        return Refusal("webauthn_timeout", "no fresh challenge")
    try:
        credential = _registered(response, user, challenge, tools, now, name, conditional=conditional)
    except Unacceptable as fault:
        return Refusal("webauthn_failed", str(fault))
    await users.lock(conn, user.sub)
    if await webauthn_credentials.count(conn, user.sub) >= MOST_PER_USER:
        return Refusal("webauthn_limit")
    if not await webauthn_credentials.create(conn, credential):
        return Refusal("webauthn_failed", "the credential id is registered already")
    return credential


def _registered(
    text: str, user: User, challenge: bytes, tools: Tools, now: datetime, name: str, *, conditional: bool
) -> WebAuthnCredential:
    """The credential record of a registration response; raises Unacceptable."""
    response = parse(text)
    check_client_data(response, challenge)
    relying_party = tools.relying_party
    try:
        verified = webauthn.verify_registration_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=relying_party.id,
            expected_origin=list(relying_party.origins),
            require_user_presence=not conditional,
            supported_pub_key_algs=ALGORITHMS,
        )
        _check_public_key(verified.credential_public_key)
        attested = is_trusted(verified.attestation_object, relying_party.attestation_roots)
    except Exception as fault:
        raise Unacceptable(f"{type(fault).__name__}: {fault}") from fault
    if verified.credential_id != raw_id(response) or len(verified.credential_id) > LONGEST_CREDENTIAL_ID:
        raise Unacceptable("credential id")
    make = make_of(verified.aaguid)
    return WebAuthnCredential(
        id=identifier(tools.entropy),
        sub=user.sub,
        name=credential_name(name, make.name if make else DEFAULT_NAME),
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        aaguid=verified.aaguid,
        transports=_transports(response),
        backup_eligible=verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
        uv_initialized=verified.user_verified,
        discoverable=_is_discoverable(response),
        attested=attested,
        created_at=now,
        voluntary=conditional,
    )


def _check_public_key(encoded: bytes) -> None:
    """Refuse a key now that no signature could be verified with later, or only at great cost."""
    key = decoded_public_key_to_cryptography(decode_credential_public_key(encoded))
    if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
        raise Unacceptable("ES256 is for P-256 alone")
    if isinstance(key, RSAPublicKey) and not 2048 <= key.key_size <= 8192:
        raise Unacceptable("RSA key size")


def _transports(response: Mapping[str, Any]) -> tuple[str, ...]:
    """The transports that the browser named, as far as they are known: they come back in later requests."""
    named = response["response"].get("transports")
    known = {one.value for one in AuthenticatorTransport}
    return tuple(sorted(known.intersection(filter(_is_text, named)))) if isinstance(named, list) else ()


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_discoverable(response: Mapping[str, Any]) -> bool:
    """Whether the browser says that the credential can be found without its id (credProps, WebAuthn L3 §10.1.3)."""
    results = response.get("clientExtensionResults")
    properties = results.get("credProps") if isinstance(results, dict) else None
    return isinstance(properties, dict) and properties.get("rk") is True


def signals(user: User, credentials: Iterable[WebAuthnCredential], relying_party: RelyingParty) -> dict[str, Any]:
    """What the owner's password managers may be told: who they are, and which passkeys are still good.

    The members are those of signalAllAcceptedCredentials and signalCurrentUserDetails (WebAuthn Level 3 §5.1.10).
    """
    return {
        "rpId": relying_party.id,
        "userId": bytes_to_base64url(user.sub.encode()),
        "name": user.username,
        "displayName": display_name(user),
        "allAcceptedCredentialIds": [bytes_to_base64url(one.credential_id) for one in credentials],
    }
