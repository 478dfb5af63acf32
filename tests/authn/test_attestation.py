"""Attestation: whose word on the make of an authenticator counts (WebAuthn Level 3 §6.5)."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from idp.authn.assurance import assess
from idp.authn.attestation import Roots, read_roots
from idp.authn.methods import Proved, Refusal, prove, webauthn
from idp.model.credential import WebAuthnCredential
from idp.store.database import Connection
from tests.authn.authenticator import Authenticator
from tests.authn.makers import Maker, Voucher, below
from tests.authn.people import NOW, RELYING_PARTY, add_user, attempt, tools

CHALLENGE = b"c" * 32
MAKE = bytes(range(16))
MAKER, STRANGER = Maker(), Maker("Stranger")
KEY: dict[str, Any] = {"aaguid": MAKE, "backup_eligible": False, "backed_up": False}


async def register(conn: Connection, roots: Roots, device: Authenticator, **switches: Any) -> Any:
    alice = await add_user(conn)
    with_ = replace(tools(), relying_party=replace(RELYING_PARTY, attestation_roots=roots))
    response = device.make(CHALLENGE, user_handle=alice.sub.encode(), **switches)
    return await webauthn.register(conn, alice, response, CHALLENGE, with_, NOW)


async def attested(conn: Connection, voucher: Voucher | None, *roots: bytes, **switches: Any) -> bool:
    given = {"vouched_by": voucher} if voucher else {}
    registered = await register(conn, roots, Authenticator(**KEY), fmt="packed", **given, **switches)
    assert isinstance(registered, WebAuthnCredential), registered
    return registered.attested


async def test_a_make_that_a_trusted_root_vouches_for(conn: Connection) -> None:
    """1.6: attestation is verified per format and policy; then a key that stays on its device reaches phrh."""
    device = Authenticator(**KEY)
    registered = await register(
        conn, (STRANGER.pem, MAKER.pem), device, fmt="packed", vouched_by=MAKER.voucher(aaguid=MAKE)
    )
    assert registered.attested
    answer = await prove("webauthn", attempt(conn, None, challenge=CHALLENGE, credential=device.use(CHALLENGE)))
    assert isinstance(answer, Proved)
    assurance = assess((answer.evidence,))
    assert assurance is not None
    assert (assurance.acr, answer.evidence.attested) == ("phrh", True)


async def test_a_synced_passkey_is_never_phrh_whatever_vouches_for_it(conn: Connection) -> None:
    device = Authenticator(aaguid=MAKE)
    registered = await register(conn, (MAKER.pem,), device, fmt="packed", vouched_by=MAKER.voucher(aaguid=MAKE))
    answer = await prove("webauthn", attempt(conn, None, challenge=CHALLENGE, credential=device.use(CHALLENGE)))
    assert registered.attested
    assert isinstance(answer, Proved)
    assurance = assess((answer.evidence,))
    assert assurance is not None
    assert assurance.acr == "phr"


async def test_a_certificate_without_a_make_is_for_all_of_its_maker(conn: Connection) -> None:
    assert await attested(conn, MAKER.voucher(), MAKER.pem)


async def test_without_roots_no_chain_is_trusted(conn: Connection) -> None:
    """The library lets every chain pass where it has no roots."""
    assert not await attested(conn, MAKER.voucher(aaguid=MAKE))


UNTRUSTED: dict[str, Voucher | None] = {
    "by itself": None,
    "by a stranger": STRANGER.voucher(aaguid=MAKE),
    "for another make": MAKER.voucher(aaguid=bytes(16)),
    "by a certificate for something else": MAKER.voucher(aaguid=MAKE, unit="Web Servers"),
    "by an authority": MAKER.voucher(aaguid=MAKE, ca=True),
    "by a certificate that is over": MAKER.voucher(aaguid=MAKE, until=datetime(2021, 1, 1, tzinfo=UTC)),
    "by one that is no authority": below(MAKER.voucher(aaguid=MAKE), aaguid=MAKE),
}


@pytest.mark.parametrize("voucher", UNTRUSTED.values(), ids=UNTRUSTED)
async def test_what_nobody_trusted_vouches_for_is_registered_and_earns_no_trust(
    conn: Connection, voucher: Voucher | None
) -> None:
    assert not await attested(conn, voucher, MAKER.pem)


async def test_none_is_registered_too(conn: Connection) -> None:
    registered = await register(conn, (MAKER.pem,), Authenticator(**KEY))
    assert not registered.attested


async def test_a_broken_attestation_is_refused(conn: Connection) -> None:
    """1.6: the certificate is right, and the signature is another's."""
    _, chain = MAKER.voucher(aaguid=MAKE)
    forged = (STRANGER.key, chain)
    refused = await register(conn, (MAKER.pem,), Authenticator(**KEY), fmt="packed", vouched_by=forged)
    assert isinstance(refused, Refusal)
    assert refused.cause == "webauthn_failed"


async def test_nobody_is_asked_for_a_make_unless_something_follows_from_it(conn: Connection) -> None:
    alice = await add_user(conn)
    for roots, conveyance in (((), "none"), ((MAKER.pem,), "direct")):
        party = replace(RELYING_PARTY, attestation_roots=roots)
        assert webauthn.registration_options(alice, (), CHALLENGE, party)["attestation"] == conveyance


def test_roots_are_read_from_a_file_or_a_directory(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(b"Some words before.\n" + MAKER.pem + STRANGER.pem)
    assert read_roots(tmp_path / "a.pem") == (MAKER.pem, STRANGER.pem)
    (tmp_path / "b.crt").write_bytes(MAKER.pem)
    (tmp_path / "notes.txt").write_text("nothing to see")
    assert read_roots(tmp_path) == (MAKER.pem, STRANGER.pem, MAKER.pem)


def test_roots_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("nothing to see")
    for path, said in ((tmp_path / "none.pem", "cannot be read"), (tmp_path / "a.pem", "PEM")):
        with pytest.raises(ValueError, match=said):
            read_roots(path)
    (tmp_path / "a.pem").unlink()
    with pytest.raises(ValueError, match="no certificate"):
        read_roots(tmp_path)
