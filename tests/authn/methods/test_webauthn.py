import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.authn.methods import Proved, Refusal, authenticators, prove, webauthn
from idp.model.assurance import Evidence
from idp.model.credential import WebAuthnCredential
from idp.model.user import User
from idp.store import webauthn_credentials
from idp.store.database import Connection, Pool, transaction
from tests.authn.authenticator import EDDSA, ES256, ES384, RS256, Authenticator, base64url
from tests.authn.people import NOW, RELYING_PARTY, add_user, attempt, tools

CHALLENGE, OTHER = b"c" * 32, b"o" * 32
PS256 = -37
TOOLS = tools()


async def register(
    conn: Connection, user: User, device: Authenticator, **switches: Any
) -> WebAuthnCredential | Refusal:
    response = device.make(CHALLENGE, user_handle=user.sub.encode(), **switches)
    return await webauthn.register(conn, user, response, CHALLENGE, TOOLS, NOW)


async def enrol(conn: Connection, user: User, device: Authenticator | None = None) -> tuple[str, Authenticator]:
    device = device or Authenticator()
    registered = await register(conn, user, device)
    assert isinstance(registered, WebAuthnCredential), registered
    return registered.id, device


async def present(
    conn: Connection,
    user: User | None,
    response: str,
    challenge: bytes | None = CHALLENGE,
    *,
    shown: tuple[Evidence, ...] = (),
) -> Proved | Refusal:
    made = attempt(conn, user, challenge=challenge, with_=TOOLS, shown=shown, credential=response)
    return await prove("webauthn", made)


def cause(answer: object) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.cause


# Registration


@pytest.mark.parametrize("alg", [ES256, EDDSA, RS256])
@pytest.mark.parametrize("fmt", ["none", "packed"])
async def test_register_and_use(conn: Connection, alg: int, fmt: str) -> None:
    alice, device = await add_user(conn), Authenticator(alg=alg)
    registered = await register(conn, alice, device, fmt=fmt)
    assert isinstance(registered, WebAuthnCredential), registered
    assert not registered.attested
    answer = await present(conn, None, device.use(CHALLENGE))
    assert answer == Proved(alice.sub, Evidence("webauthn", NOW, registered.id, user_verified=True))


async def test_what_is_remembered(conn: Connection) -> None:
    alice, device = await add_user(conn), Authenticator(counter=7, backed_up=False)
    registered = await register(conn, alice, device, transports=["usb", "telepathy", 5, "internal", "usb"])
    assert registered == WebAuthnCredential(
        id=registered.id if isinstance(registered, WebAuthnCredential) else "",
        sub=alice.sub,
        name="Passkey",
        credential_id=device.credential_id,
        public_key=cbor2.dumps(device.cose_key()),
        sign_count=7,
        aaguid="00000000-0000-0000-0000-000000000000",
        transports=("internal", "usb"),
        backup_eligible=True,
        backed_up=False,
        uv_initialized=True,
        discoverable=True,
        attested=False,
        created_at=NOW,
    )
    assert await webauthn_credentials.list_of(conn, alice.sub) == (registered,)


BAD_REGISTRATIONS: dict[str, dict[str, Any]] = {
    "A-44 type get": {"type": "webauthn.get"},
    "A-44 another origin": {"origin": "https://evil.test"},
    "A-44 our origin as a part of another": {"origin": "https://idp.test.evil.test"},
    "A-44 without TLS": {"origin": "http://idp.test"},
    "1.6 cross-origin": {"client_data": {"crossOrigin": True}},
    "1.6 cross-origin that is no boolean": {"client_data": {"crossOrigin": "false"}},
    "1.6 a top origin": {"client_data": {"topOrigin": "https://idp.test"}},
    "A-44 another rpId": {"rp_id": "evil.test"},
    "1.6 user not present": {"user_present": False},
    "1.6 backed up though not eligible": {"backup_eligible": False, "backed_up": True},
    "A-45 another id outside than inside": {"raw_id": b"another credential id"},
    "1.6 attestation that says none and something": {"statement": {"sig": b"x"}},
    "1.6 attestation format we do not know": {"fmt": "apple"},
    "1.6 self attestation with a wrong signature": {"fmt": "packed", "signature": b"\x30\x06" + bytes(6)},
    "1.6 a key off the curve": {"public_key": cbor2.dumps({1: 2, 3: -7, -1: 1, -2: b"\x01" * 32, -3: b"\x02" * 32})},
    "1.6 a key of no kind": {"public_key": cbor2.dumps(4)},
    "1.6 a key that is no key": {"public_key": cbor2.dumps({1: 2})},
}


@pytest.mark.parametrize("switches", BAD_REGISTRATIONS.values(), ids=BAD_REGISTRATIONS)
async def test_a_bad_registration(conn: Connection, switches: dict[str, Any]) -> None:
    alice = await add_user(conn)
    assert cause(await register(conn, alice, Authenticator(), **switches)) == "webauthn_failed"
    assert await authenticators(conn, alice) == ()


async def test_a_43_registration_with_another_challenge_or_none(conn: Connection) -> None:
    alice, device = await add_user(conn), Authenticator()
    response = device.make(OTHER, user_handle=alice.sub.encode())
    assert cause(await webauthn.register(conn, alice, response, CHALLENGE, TOOLS, NOW)) == "webauthn_failed"
    assert cause(await webauthn.register(conn, alice, response, None, TOOLS, NOW)) == "webauthn_timeout"


BAD_KEYS = {
    "A-45 an algorithm not offered": Authenticator(alg=ES384),
    "A-45 an algorithm on a curve that is not its own": Authenticator(alg=ES384),
    "A-45 an algorithm not offered that the library knows": Authenticator(alg=RS256),
    "a short RSA key": Authenticator(alg=RS256, rsa_bits=1024),
    "1.6 an id of 1,024 bytes": Authenticator(credential_id=b"x" * 1024),
    "1.6 an empty id": Authenticator(credential_id=b""),
}
BAD_KEYS["A-45 an algorithm on a curve that is not its own"].alg = ES256
BAD_KEYS["A-45 an algorithm not offered that the library knows"].alg = PS256


@pytest.mark.parametrize("device", BAD_KEYS.values(), ids=BAD_KEYS)
async def test_a_bad_key(conn: Connection, device: Authenticator) -> None:
    assert cause(await register(conn, await add_user(conn), device)) == "webauthn_failed"


async def test_an_id_of_1023_bytes(conn: Connection) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice, Authenticator(credential_id=b"x" * 1023))
    assert isinstance(await present(conn, alice, device.use(CHALLENGE)), Proved)


async def test_a_45_an_id_that_somebody_has(pool: Pool) -> None:
    async with transaction(pool) as conn:
        alice, bob = await add_user(conn), await add_user(conn, "bob")
        await enrol(conn, bob)
        assert cause(await register(conn, alice, Authenticator())) == "webauthn_failed"
        assert await authenticators(conn, alice) == ()


async def test_one_id_raced_for_by_many(pool: Pool) -> None:
    async with transaction(pool) as conn:
        people = [await add_user(conn, f"user{number}") for number in range(20)]

    async def claim(user: User) -> bool:
        async with transaction(pool) as conn:
            return isinstance(await register(conn, user, Authenticator()), WebAuthnCredential)

    assert sum(await asyncio.gather(*map(claim, people))) == 1


async def test_at_most_twenty_even_at_once(pool: Pool) -> None:
    async with transaction(pool) as conn:
        alice = await add_user(conn)

    async def add(number: int) -> bool:
        async with transaction(pool) as conn:
            device = Authenticator(credential_id=number.to_bytes(16, "big"))
            return isinstance(await register(conn, alice, device), WebAuthnCredential)

    assert sum(await asyncio.gather(*map(add, range(25)))) == 20


# Use


async def test_as_a_second_factor(conn: Connection) -> None:
    alice = await add_user(conn)
    id_, device = await enrol(conn, alice, Authenticator(user_verified=False, backup_eligible=False, backed_up=False))
    (before,) = await authenticators(conn, alice)
    assert (before.user_verified, before.device_bound) == (False, True)
    answer = await present(conn, alice, device.use(CHALLENGE, user_handle=None))
    assert answer == Proved(alice.sub, Evidence("webauthn", NOW, id_, device_bound=True))
    (after,) = await authenticators(conn, alice)
    assert after.last_used_at == NOW


PASSWORD = Evidence("password", NOW)


async def test_A_77_user_verification_counts_from_the_use_behind_another_proof_on(conn: Connection) -> None:
    """WebAuthn Level 3 §7.2 step 26: not in that use yet, and in no other one before."""
    alice = await add_user(conn)
    id_, device = await enrol(conn, alice, Authenticator(user_verified=False))
    unverified, verified = Evidence("webauthn", NOW, id_), Evidence("webauthn", NOW, id_, user_verified=True)
    use = device.use(CHALLENGE, user_verified=True)
    for shown in ((), (unverified,), (verified,)):
        assert await present(conn, alice, use, shown=shown) == Proved(alice.sub, unverified)
        assert cause(await present(conn, None, use)) == "webauthn_uv"
        (one,) = await authenticators(conn, alice)
        assert not one.user_verified
        assert not one.begins_alone
    # A use that verifies nobody lets nothing count, whatever is beside it.
    assert await present(conn, alice, device.use(CHALLENGE), shown=(PASSWORD,)) == Proved(alice.sub, unverified)
    assert cause(await present(conn, None, use)) == "webauthn_uv"
    assert await present(conn, alice, use, shown=(PASSWORD,)) == Proved(alice.sub, unverified)
    (one,) = await authenticators(conn, alice)
    assert one.begins_alone
    assert await present(conn, alice, use) == Proved(alice.sub, verified)
    assert await present(conn, None, use) == Proved(alice.sub, verified)


async def test_A_77_what_is_refused_is_not_remembered(conn: Connection) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice, Authenticator(user_verified=False, counter=1))
    before = await webauthn_credentials.list_of(conn, alice.sub)
    assert cause(await present(conn, None, device.use(CHALLENGE, user_verified=True, counter=2))) == "webauthn_uv"
    assert await webauthn_credentials.list_of(conn, alice.sub) == before


async def test_A_77_another_key_is_another_proof(conn: Connection) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice, Authenticator(user_verified=False))
    other = Evidence("webauthn", NOW, "another credential of hers", user_verified=True)
    await present(conn, alice, device.use(CHALLENGE, user_verified=True), shown=(other,))
    (one,) = await authenticators(conn, alice)
    assert one.user_verified


UNEQUAL: dict[str, Callable[[str], object]] = {
    "padded": lambda sent: sent + "=",
    "padded more": lambda sent: sent + "==",
    "base64 in place of base64url": lambda sent: sent.replace("-", "+").replace("_", "/"),
    "other unused bits": lambda sent: sent[:-1] + chr(ord(sent[-1]) + 1),
    "a line end": lambda sent: sent + "\n",
    "a character that decoders skip": lambda sent: sent[:4] + "." + sent[4:],
    "no text": lambda _: 5,
    "a list": lambda sent: [sent],
    "missing": lambda _: None,
}
"""How the same bytes, or nearly, may be written otherwise than they were sent."""

BYTES_ABOVE = b"\xfb\xff" * 16


@pytest.mark.parametrize("written", UNEQUAL.values(), ids=UNEQUAL)
async def test_A_77_the_challenge_is_compared_as_it_was_sent(
    conn: Connection, written: Callable[[str], object]
) -> None:
    """WebAuthn Level 3 §7.1 step 8, §7.2 step 11: the text of the client data, in both ceremonies."""
    alice, device = await add_user(conn), Authenticator()
    sent = base64url(BYTES_ABOVE)
    assert {"-", "_"} <= {*sent}
    switches = {"client_data": {"challenge": written(sent)}}
    response = device.make(BYTES_ABOVE, user_handle=alice.sub.encode(), **switches)
    assert cause(await webauthn.register(conn, alice, response, BYTES_ABOVE, TOOLS, NOW)) == "webauthn_failed"
    await enrol(conn, alice, device)
    answer = await present(conn, alice, device.use(BYTES_ABOVE, **switches), BYTES_ABOVE)
    assert cause(answer) == "webauthn_failed"
    assert isinstance(await present(conn, alice, device.use(BYTES_ABOVE), BYTES_ABOVE), Proved)


BAD_USES: dict[str, dict[str, Any]] = {
    "A-44 type create": {"type": "webauthn.create"},
    "A-44 another origin": {"origin": "https://evil.test"},
    "A-44 our origin as a part of another": {"origin": "https://idp.test.evil.test"},
    "A-44 without TLS": {"origin": "http://idp.test"},
    "1.6 cross-origin": {"client_data": {"crossOrigin": True}},
    "1.6 a top origin": {"client_data": {"topOrigin": "https://evil.test"}},
    "A-44 another rpId": {"rp_id": "evil.test"},
    "1.6 user not present": {"user_present": False},
    "1.6 another user's handle": {"user_handle": b"sub-of-mallory"},
    "1.6 an empty handle": {"user_handle": b""},
    "1.6 backed up though not eligible": {"backup_eligible": False},
    "1.6 a wrong signature": {"signature": b"\x30\x06\x02\x01\x01\x02\x01\x01"},
    "1.6 a signature that is none": {"signature": b""},
}


@pytest.mark.parametrize("switches", BAD_USES.values(), ids=BAD_USES)
async def test_a_bad_use(conn: Connection, switches: dict[str, Any]) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice)
    assert cause(await present(conn, alice, device.use(CHALLENGE, **switches))) == "webauthn_failed"
    # While nobody is known, the answer is that for a credential which nobody has.
    unknown = Authenticator(credential_id=b"a credential that nobody has", user_handle=alice.sub.encode())
    assert cause(await present(conn, None, device.use(CHALLENGE, **switches))) == "webauthn_unknown"
    assert cause(await present(conn, None, unknown.use(CHALLENGE, **switches))) == "webauthn_unknown"
    (stored,) = await webauthn_credentials.list_of(conn, alice.sub)
    assert stored.last_used_at is None


async def test_a_43_another_challenge_or_none(conn: Connection) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice)
    response = device.use(CHALLENGE)
    assert isinstance(await present(conn, alice, response), Proved)
    assert cause(await present(conn, alice, response, OTHER)) == "webauthn_failed"
    assert cause(await present(conn, alice, response, None)) == "webauthn_timeout"


async def test_a_44_a_passkey_must_verify_its_user(conn: Connection) -> None:
    _, device = await enrol(conn, await add_user(conn))
    assert cause(await present(conn, None, device.use(CHALLENGE, user_verified=False))) == "webauthn_uv"


async def test_1_6_a_passkey_must_name_its_owner(conn: Connection) -> None:
    _, device = await enrol(conn, await add_user(conn))
    assert cause(await present(conn, None, device.use(CHALLENGE, user_handle=None))) == "webauthn_unknown"


async def test_a_45_somebody_elses_credential(conn: Connection) -> None:
    alice, mallory = await add_user(conn), await add_user(conn, "mallory")
    await enrol(conn, alice)
    _, device = await enrol(conn, mallory, Authenticator(credential_id=b"the credential of mallory"))
    for handle in (None, b"sub-of-mallory", b"sub-of-alice"):
        answer = await present(conn, alice, device.use(CHALLENGE, user_handle=handle))
        assert cause(answer) == "webauthn_unknown"


async def test_1_6_backup_eligibility_never_changes(conn: Connection) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice, Authenticator(backup_eligible=False, backed_up=False))
    assert cause(await present(conn, alice, device.use(CHALLENGE, backup_eligible=True))) == "webauthn_failed"
    other = Authenticator(credential_id=b"one that can be synced", backed_up=False)
    await enrol(conn, alice, other)
    assert cause(await present(conn, alice, other.use(CHALLENGE, backup_eligible=False))) == "webauthn_failed"


async def test_1_6_the_backup_state_may_change_and_is_remembered(conn: Connection) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice, Authenticator(backed_up=False))
    assert isinstance(await present(conn, alice, device.use(CHALLENGE, backed_up=True)), Proved)
    (stored,) = await webauthn_credentials.list_of(conn, alice.sub)
    assert stored.backed_up


@pytest.mark.parametrize(
    ("stored", "said", "accepted"),
    [(10, 11, True), (10, 10, False), (10, 9, False), (10, 0, False), (0, 0, True), (0, 1, True)],
)
async def test_a_45_the_counter(conn: Connection, stored: int, said: int, accepted: bool) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice, Authenticator(counter=stored))
    answer = await present(conn, alice, device.use(CHALLENGE, counter=said))
    assert isinstance(answer, Proved) if accepted else cause(answer) == "webauthn_failed"
    (found,) = await webauthn_credentials.list_of(conn, alice.sub)
    assert found.sign_count == (said if accepted else stored)


async def test_a_45_the_counter_is_told_to_nobody_without_the_key(conn: Connection) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice, Authenticator(counter=10))
    answers = {await present(conn, alice, device.use(CHALLENGE, counter=said, signature=b"no")) for said in (5, 50)}
    assert len(answers) == 1


# Rubbish


def truncated(response: str) -> str:
    return response[:-20]


def without(*path: str) -> Callable[[str], str]:
    def change(response: str) -> str:
        whole = json.loads(response)
        part = whole
        for name in path[:-1]:
            part = part[name]
        del part[path[-1]]
        return json.dumps(whole)

    return change


def with_(value: object, *path: str) -> Callable[[str], str]:
    def change(response: str) -> str:
        whole = json.loads(response)
        part = whole
        for name in path[:-1]:
            part = part[name]
        part[path[-1]] = value
        return json.dumps(whole)

    return change


DEEP = "[" * 30_000
RUBBISH: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "a number": lambda _: "5",
    "a list": lambda _: "[]",
    "an empty object": lambda _: "{}",
    "nested deeply": lambda _: DEEP,
    "long": lambda _: " " * 10_000_000,
    "a long number": lambda _: '{"response": ' + "9" * 5000 + "}",
    "a lone surrogate": lambda _: "\ud800",
    "cut off": truncated,
    "no rawId": without("rawId"),
    "no type": without("type"),
    "no response": without("response"),
    "no client data": without("response", "clientDataJSON"),
    "rawId no text": with_(5, "rawId"),
    "rawId no base64url": with_("é", "rawId"),
    "rawId long": with_("A" * 5000, "rawId"),
    "rawId of another padding": with_("a", "rawId"),
    "response a list": with_([], "response"),
    "client data no JSON": with_(base64url(b"\xff{"), "response", "clientDataJSON"),
    "client data a list": with_(base64url(b"[]"), "response", "clientDataJSON"),
    "client data nested deeply": with_(base64url(DEEP.encode()), "response", "clientDataJSON"),
    "client data of numbers": with_(
        base64url(b'{"type": 1, "challenge": 2, "origin": 3}'), "response", "clientDataJSON"
    ),
    "another attachment": with_("neural", "authenticatorAttachment"),
    "user handle a number": with_(5, "response", "userHandle"),
    "authenticator data short": with_("AAAA", "response", "authenticatorData"),
    "signature a list": with_([], "response", "signature"),
    "attestation no CBOR": with_(base64url(b"\xff"), "response", "attestationObject"),
    "attestation nested deeply": with_(base64url(b"\x81" * 40_000), "response", "attestationObject"),
    "attestation a list": with_(base64url(b"\x80"), "response", "attestationObject"),
    "attestation without data": with_(base64url(cbor2.dumps({"fmt": "none"})), "response", "attestationObject"),
    "attestation of a wide string": with_(base64url(b"\x5b" + b"\xff" * 8), "response", "attestationObject"),
    "extension results a list": with_([], "clientExtensionResults"),
    "transports a number": with_(5, "response", "transports"),
}
HARMLESS = {"extension results a list", "transports a number"}
ONLY_IN_REGISTRATION = {name for name in RUBBISH if name.startswith("attestation")}
ONLY_IN_USE = {"user handle a number", "authenticator data short", "signature a list"}


@pytest.mark.parametrize("name", sorted(RUBBISH.keys() - ONLY_IN_REGISTRATION - HARMLESS))
async def test_a_use_of_rubbish_is_refused(conn: Connection, name: str) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice)
    response = RUBBISH[name](device.use(CHALLENGE))
    assert cause(await present(conn, alice, response)) in {"webauthn_failed", "webauthn_unknown"}
    assert cause(await present(conn, None, response)) == "webauthn_unknown"


@pytest.mark.parametrize("name", sorted(RUBBISH.keys() - ONLY_IN_USE - HARMLESS))
async def test_a_registration_of_rubbish_is_refused(conn: Connection, name: str) -> None:
    alice = await add_user(conn)
    response = RUBBISH[name](Authenticator().make(CHALLENGE, user_handle=alice.sub.encode()))
    answer = await webauthn.register(conn, alice, response, CHALLENGE, TOOLS, NOW)
    assert cause(answer) == "webauthn_failed"


@pytest.mark.parametrize("name", sorted(HARMLESS))
async def test_odd_hints_are_left_out(conn: Connection, name: str) -> None:
    alice = await add_user(conn)
    response = RUBBISH[name](Authenticator().make(CHALLENGE, user_handle=alice.sub.encode()))
    registered = await webauthn.register(conn, alice, response, CHALLENGE, TOOLS, NOW)
    assert isinstance(registered, WebAuthnCredential)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=40).map(base64url),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = ("id", "rawId", "type", "clientExtensionResults", "authenticatorAttachment", "response")
PARTS = ("clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject", "transports")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=3),
    st.dictionaries(st.sampled_from(PARTS), JSON | st.binary(max_size=200).map(base64url), min_size=1, max_size=3),
)
async def test_no_response_breaks_anything(pool: Pool, members: dict[str, Any], parts: dict[str, Any]) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("DELETE FROM users")
        alice = await add_user(conn)
        _, device = await enrol(conn, alice)
        for genuine in (device.use(CHALLENGE), device.make(CHALLENGE, user_handle=alice.sub.encode())):
            whole = json.loads(genuine)
            whole["response"] |= parts
            response = json.dumps(whole | members)
            for user in (alice, None):
                assert isinstance(await present(conn, user, response), Proved | Refusal)
            assert isinstance(
                await webauthn.register(conn, alice, response, CHALLENGE, TOOLS, NOW), WebAuthnCredential | Refusal
            )


# Options


async def test_registration_options(conn: Connection) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice)
    existing = await webauthn_credentials.list_of(conn, alice.sub)
    options = webauthn.registration_options(alice, existing, CHALLENGE, RELYING_PARTY)
    assert json.loads(json.dumps(options)) == {
        "rp": {"id": "idp.test", "name": "Example Bank"},
        "user": {"id": base64url(alice.sub.encode()), "name": "alice", "displayName": "alice"},
        "challenge": base64url(CHALLENGE),
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (-8, -7, -257)],
        "timeout": 300_000,
        "excludeCredentials": [
            {"id": base64url(device.credential_id), "type": "public-key", "transports": ["hybrid", "internal"]}
        ],
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": False,
            "userVerification": "preferred",
        },
        "attestation": "none",
        "extensions": {"credProps": True},
    }


async def test_request_options(conn: Connection) -> None:
    alice = await add_user(conn)
    _, device = await enrol(conn, alice)
    (credential,) = await webauthn_credentials.list_of(conn, alice.sub)
    common = {"rpId": "idp.test", "challenge": base64url(CHALLENGE), "timeout": 300_000}
    assert webauthn.request_options(None, CHALLENGE, RELYING_PARTY) == common | {
        "allowCredentials": [],
        "userVerification": "required",
    }
    second = webauthn.request_options([replace(credential, transports=("usb",))], CHALLENGE, RELYING_PARTY)
    assert second == common | {
        "allowCredentials": [{"id": base64url(device.credential_id), "type": "public-key", "transports": ["usb"]}],
        "userVerification": "preferred",
    }
