"""The ceremony that uses a credential (WebAuthn Level 3 §7.2).

User verification (WebAuthn Level 3 §4, *uvInitialized*; §7.2 steps 17 and 26): what a credential says of it counts once
it has verified its user either when it was made, or in a use behind another proof. Until then whoever holds it could
have set up its PIN: it signs nobody in alone, and is one factor.

Counter policy (WebAuthn Level 3 §6.1.1): a counter that does not grow is refused, unless the authenticator has none
(both values are zero). Somebody may hold a copy of the key; the owner signs in another way and adds it again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import webauthn
from webauthn.helpers import bytes_to_base64url, options_to_json_dict
from webauthn.helpers.structs import CredentialDeviceType, UserVerificationRequirement

from idp.authn.methods.method import Attempt, Proved, Refusal, RelyingParty
from idp.authn.methods.webauthn.ceremony import (
    TIMEOUT_MILLISECONDS,
    Unacceptable,
    check_client_data,
    decoded,
    descriptors,
    parse,
    raw_id,
)
from idp.base.digest import same
from idp.model.assurance import Evidence
from idp.model.credential import WebAuthnCredential
from idp.model.user import User
from idp.store import webauthn_credentials
from idp.store.database import Connection


@dataclass(frozen=True, slots=True)
class _Assertion:
    """What an assertion that verified says about the credential that made it."""

    sign_count: int
    user_verified: bool
    backup_eligible: bool
    backed_up: bool


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
        allow_credentials=descriptors(allow or ()),
        user_verification=required if allow is None else preferred,
    )
    return options_to_json_dict(options)


async def unknown_id(conn: Connection, response: str) -> str | None:
    """The id in the browser's JSON of an assertion as base64url, if nobody has registered it; else None.

    Whoever holds a passkey of that id may forget it. One that was refused for another reason is not among them.
    """
    try:
        presented = raw_id(parse(response))
    except Unacceptable:
        return None
    return None if await webauthn_credentials.find(conn, presented) else bytes_to_base64url(presented)


async def check(attempt: Attempt) -> Proved | Refusal:
    """Judge the field ``credential``: the browser's JSON of an assertion (WebAuthn Level 3 §7.2).

    Without a user it must be a passkey that names its owner, and has verified them now and under another proof before.
    While nobody is known, an unknown credential and a wrong signature get the same answer.
    """
    user = attempt.user
    if attempt.challenge is None:
        return Refusal("webauthn_timeout", "no fresh challenge")
    failed = "webauthn_unknown" if user is None else "webauthn_failed"
    try:
        response = parse(attempt.form.get("credential", ""))
        presented = raw_id(response)
        credential = await attempt.transact(partial(webauthn_credentials.find, credential_id=presented))
        if credential is None or (user is not None and credential.sub != user.sub):
            return Refusal("webauthn_unknown", "not a credential of this user")
        _check_user_handle(response, credential, user)
        assertion = _verified(response, credential, attempt.challenge, attempt.tools.relying_party)
    except Unacceptable as fault:
        return Refusal(failed, str(fault))
    return await _accept(attempt, credential, assertion)


async def _accept(attempt: Attempt, credential: WebAuthnCredential, assertion: _Assertion) -> Proved | Refusal:
    """The checks that follow a good signature, and the one statement that remembers its state."""
    # The signature is good: whose it is stays in the trail, above all where somebody may hold a copy of the key.
    refusal = partial(Refusal, sub=credential.sub, credential=credential.id)
    user_verified = assertion.user_verified and credential.uv_initialized
    if attempt.user is None and not user_verified:
        return refusal("webauthn_uv", "its user verification does not count yet" if assertion.user_verified else "")
    if assertion.backup_eligible != credential.backup_eligible:
        return refusal("webauthn_failed", "backup eligibility changed")
    recorded = await attempt.transact(
        partial(
            webauthn_credentials.record_use,
            id_=credential.id,
            sign_count=assertion.sign_count,
            backed_up=assertion.backed_up,
            initializes_uv=assertion.user_verified and _is_beside_another(attempt, credential),
            discovered=attempt.user is None,
            now=attempt.now,
        )
    )
    if not recorded:
        return refusal("webauthn_failed", "the counter did not grow")
    evidence = Evidence(
        "webauthn",
        attempt.now,
        credential.id,
        user_verified=user_verified,
        device_bound=not credential.backup_eligible,
        attested=credential.attested,
    )
    return Proved(credential.sub, evidence)


def _is_beside_another(attempt: Attempt, credential: WebAuthnCredential) -> bool:
    """Whether the same user has shown anything but this credential before, in the same sign-in or session."""
    return any(one.credential_id != credential.id for one in attempt.shown)


def _verified(
    response: dict[str, Any], credential: WebAuthnCredential, challenge: bytes, relying_party: RelyingParty
) -> _Assertion:
    """What a rightly signed assertion says; raises Unacceptable.

    The library would judge the counter before the signature, and so tell anybody what it is: it is told zero here,
    and the counter is judged by the statement that stores it.
    """
    check_client_data(response, challenge)
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


def _check_user_handle(response: Mapping[str, Any], credential: WebAuthnCredential, user: User | None) -> None:
    """The handle must be the owner's, and must be there when it alone names them (WebAuthn Level 3 §7.2 step 6)."""
    handle = response["response"].get("userHandle")
    if handle is None and user is not None:
        return
    if not same(decoded(handle), credential.sub.encode()):
        raise Unacceptable("user handle")
