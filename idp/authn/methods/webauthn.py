"""Security keys, platform authenticators and passkeys (WebAuthn Level 3): something that one has, and more.

py_webauthn parses and verifies signatures. What it leaves to its caller is here: cross-origin use, ownership, user
handles, the length and uniqueness of ids, backup flags that change, the order of the counter check, and rubbish.

Counter policy (WebAuthn Level 3 §6.1.1): a counter that does not grow is refused, unless the authenticator has none
(both values are zero). Somebody may hold a copy of the key; the owner signs in another way and adds it again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import webauthn
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn.helpers import (
    base64url_to_bytes,
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
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from idp.authn.aaguids import make_of
from idp.authn.accounts import credential_name
from idp.authn.attestation import is_trusted
from idp.authn.methods.method import Attempt, Factor, Method, Proved, Refusal, RelyingParty, Tools
from idp.base.digest import same
from idp.base.entropy import identifier
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator, WebAuthnCredential
from idp.model.user import User
from idp.store import users, webauthn_credentials
from idp.store.database import Connection

ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
CHALLENGE_BYTES = 32
CHALLENGE_LIFE = timedelta(minutes=10)
TIMEOUT_MILLISECONDS = 300_000
LONGEST_RESPONSE = 65_536
LONGEST_CREDENTIAL_ID = 1023
MOST_PER_USER = 20
DEFAULT_NAME = "Passkey"


class Unacceptable(Exception):
    """A response that fails a check; the argument says which, for the log alone."""


@dataclass(frozen=True, slots=True)
class _Assertion:
    """What an assertion that verified says about the credential that made it."""

    sign_count: int
    user_verified: bool
    backup_eligible: bool
    backed_up: bool


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
        exclude_credentials=_descriptors(existing),
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


def request_options(
    allow: Iterable[WebAuthnCredential] | None, challenge: bytes, relying_party: RelyingParty
) -> dict[str, Any]:
    """What to hand to ``parseRequestOptionsFromJSON`` to use one of these credentials as a second factor.

    None asks for any passkey of any user, as the only thing asked for: then it must verify its user.
    """
    required, preferred = UserVerificationRequirement.REQUIRED, UserVerificationRequirement.PREFERRED
    options = webauthn.generate_authentication_options(
        rp_id=relying_party.id,
        challenge=challenge,
        timeout=TIMEOUT_MILLISECONDS,
        allow_credentials=_descriptors(allow or ()),
        user_verification=required if allow is None else preferred,
    )
    return options_to_json_dict(options)


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


async def unknown_id(conn: Connection, response: str) -> str | None:
    """The id in the browser's JSON of an assertion as base64url, if nobody has registered it; else None.

    Whoever holds a passkey of that id may forget it. One that was refused for another reason is not among them.
    """
    try:
        raw_id = _raw_id(_parse(response))
    except Unacceptable:
        return None
    return None if await webauthn_credentials.find(conn, raw_id) else bytes_to_base64url(raw_id)


async def authenticators(conn: Connection, user: User) -> tuple[Authenticator, ...]:
    """The user's credentials, each with what it showed at its best so far."""
    return tuple(
        Authenticator(
            "webauthn",
            one.name,
            one.id,
            user_verified=one.uv_initialized,
            device_bound=not one.backup_eligible,
            attested=one.attested,
            last_used_at=one.last_used_at,
            voluntary=one.voluntary,
            discoverable=one.discoverable,
        )
        for one in await webauthn_credentials.list_of(conn, user.sub)
    )


async def check(attempt: Attempt) -> Proved | Refusal:
    """Judge the field ``credential``: the browser's JSON of an assertion (WebAuthn Level 3 §7.2).

    Without a user it must be a passkey that names its owner and verified them. While nobody is known, an unknown
    credential and a wrong signature get the same answer.
    """
    user = attempt.user
    if attempt.challenge is None:
        return Refusal("webauthn_timeout", "no fresh challenge")
    failed = "webauthn_unknown" if user is None else "webauthn_failed"
    try:
        response = _parse(attempt.form.get("credential", ""))
        raw_id = _raw_id(response)
        async with attempt.transaction() as conn:
            credential = await webauthn_credentials.find(conn, raw_id)
        if credential is None or (user is not None and credential.sub != user.sub):
            return Refusal("webauthn_unknown", "not a credential of this user")
        _check_user_handle(response, credential, user)
        assertion = _verified(response, credential, attempt.challenge, attempt.tools.relying_party)
    except Unacceptable as fault:
        return Refusal(failed, str(fault))
    return await _accept(attempt, credential, assertion)


async def _accept(attempt: Attempt, credential: WebAuthnCredential, assertion: _Assertion) -> Proved | Refusal:
    """The checks that follow a good signature, and the one statement that remembers its state."""
    if attempt.user is None and not assertion.user_verified:
        return Refusal("webauthn_uv")
    if assertion.backup_eligible != credential.backup_eligible:
        return Refusal("webauthn_failed", "backup eligibility changed")
    async with attempt.transaction() as conn:
        recorded = await webauthn_credentials.record_use(
            conn,
            credential.id,
            sign_count=assertion.sign_count,
            backed_up=assertion.backed_up,
            user_verified=assertion.user_verified,
            discovered=attempt.user is None,
            now=attempt.now,
        )
    if not recorded:
        return Refusal("webauthn_failed", "the counter did not grow")
    evidence = Evidence(
        "webauthn",
        attempt.now,
        credential.id,
        user_verified=assertion.user_verified,
        device_bound=not credential.backup_eligible,
        attested=credential.attested,
    )
    return Proved(credential.sub, evidence)


def amr(evidence: Evidence) -> tuple[str, ...]:
    """Proof of a key in hardware or in software that is synchronised, with a user there (RFC 8176 §2).

    How the user was verified - PIN, fingerprint, face - is not told to us and never guessed.
    """
    return ("hwk" if evidence.device_bound else "swk", "user")


def _registered(
    text: str, user: User, challenge: bytes, tools: Tools, now: datetime, name: str, *, conditional: bool
) -> WebAuthnCredential:
    """The credential record of a registration response; raises Unacceptable."""
    response = _parse(text)
    _check_client_data(response)
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
    if verified.credential_id != _raw_id(response) or len(verified.credential_id) > LONGEST_CREDENTIAL_ID:
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


def _verified(
    response: dict[str, Any], credential: WebAuthnCredential, challenge: bytes, relying_party: RelyingParty
) -> _Assertion:
    """What a rightly signed assertion says; raises Unacceptable.

    The library would judge the counter before the signature, and so tell anybody what it is: it is told zero here,
    and the counter is judged by the statement that stores it.
    """
    _check_client_data(response)
    try:
        verified = webauthn.verify_authentication_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=relying_party.id,
            expected_origin=list(relying_party.origins),
            credential_public_key=credential.public_key,
            credential_current_sign_count=0,
        )
    except Exception as fault:
        raise Unacceptable(f"{type(fault).__name__}: {fault}") from fault
    return _Assertion(
        verified.new_sign_count,
        verified.user_verified,
        verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
        verified.credential_backed_up,
    )


def _parse(text: str) -> dict[str, Any]:
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


def _check_client_data(response: Mapping[str, Any]) -> None:
    """Refuse what was asked for from within another site's frame (WebAuthn Level 3 §7.1 steps 10-11, §7.2 13-14)."""
    client_data = _client_data(response)
    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
        raise Unacceptable("cross-origin")


def _client_data(response: Mapping[str, Any]) -> dict[str, Any]:
    try:
        client_data = json.loads(_decoded(response["response"].get("clientDataJSON")))
    except (ValueError, RecursionError) as fault:
        raise Unacceptable("client data") from fault
    if not isinstance(client_data, dict):
        raise Unacceptable("client data")
    return client_data


def _check_user_handle(response: Mapping[str, Any], credential: WebAuthnCredential, user: User | None) -> None:
    """The handle must be the owner's, and must be there when it alone names them (WebAuthn Level 3 §7.2 step 6)."""
    handle = response["response"].get("userHandle")
    if handle is None and user is not None:
        return
    if not same(_decoded(handle), credential.sub.encode()):
        raise Unacceptable("user handle")


def _check_public_key(encoded: bytes) -> None:
    """Refuse a key now that no signature could be verified with later, or only at great cost."""
    key = decoded_public_key_to_cryptography(decode_credential_public_key(encoded))
    if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
        raise Unacceptable("ES256 is for P-256 alone")
    if isinstance(key, RSAPublicKey) and not 2048 <= key.key_size <= 8192:
        raise Unacceptable("RSA key size")


def _raw_id(response: Mapping[str, Any]) -> bytes:
    raw_id = _decoded(response.get("rawId"))
    if not 1 <= len(raw_id) <= LONGEST_CREDENTIAL_ID:
        raise Unacceptable("credential id")
    return raw_id


def _decoded(value: object) -> bytes:
    """The bytes of a base64url string; raises Unacceptable."""
    if not isinstance(value, str):
        raise Unacceptable("a member is missing")
    try:
        return base64url_to_bytes(value)
    except ValueError as fault:
        raise Unacceptable("base64url") from fault


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


def _descriptors(credentials: Iterable[WebAuthnCredential]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=one.credential_id, transports=[AuthenticatorTransport(name) for name in one.transports]
        )
        for one in credentials
    ]


METHOD = Method(
    "webauthn",
    Factor.POSSESSION,
    amr,
    authenticators,
    check,
    phishing_resistant=True,
    rename=webauthn_credentials.rename,
    remove=webauthn_credentials.remove,
)
