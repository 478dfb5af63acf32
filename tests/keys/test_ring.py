"""The ring as every process must show it: the same bytes, nothing private, no key harmed by another."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from idp.base import jwk
from idp.base.entropy import system_entropy
from idp.base.seal import MasterKey
from idp.keys.ring import Ring, build, damaged, seal_private
from idp.model.signing_key import SigningKey

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MASTER = MasterKey(bytes(range(32)))


@cache
def row(alg: jwk.Algorithm, state: str) -> SigningKey:
    key = jwk.generate(alg, rsa_bits=2048)
    return SigningKey(
        kid=key.kid,
        alg=alg,
        public_jwk=key.public_jwk,
        sealed_private=None if state == "retired" else seal_private(key, MASTER, system_entropy),
        published_at=NOW - timedelta(days=2),
        activated_at=None if state == "next" else NOW - timedelta(days=1),
        retired_at=NOW if state == "retired" else None,
    )


def withdrawn(alg: jwk.Algorithm) -> SigningKey:
    """A key of its own that is published no more."""
    key = jwk.generate(alg, rsa_bits=2048)
    return replace(row(alg, "retired"), kid=key.kid, public_jwk=key.public_jwk, withdrawn_at=NOW)


def rows() -> tuple[SigningKey, ...]:
    return tuple(row(alg, state) for alg in jwk.ALGORITHMS for state in ("next", "active", "retired"))


def ring(*keys: SigningKey, master: MasterKey = MASTER) -> Ring:
    return build(keys, master, max_age=3600)


def test_every_process_shows_the_same_bytes() -> None:
    first, second = ring(*rows()), ring(*reversed(rows()))
    reordered = tuple(replace(one, public_jwk=dict(sorted(one.public_jwk.items(), reverse=True))) for one in rows())
    assert first.jwks == second.jwks == ring(*reordered).jwks
    assert first.etag == second.etag == ring(*reordered).etag


def test_the_jwks_publishes_every_state_and_the_active_rs256_key_first() -> None:
    keys = json.loads(ring(*rows()).jwks)["keys"]
    assert {key["kid"] for key in keys} == {one.kid for one in rows()}
    assert keys[0]["kid"] == row("RS256", "active").kid
    assert {(key["alg"], key["use"]) for key in keys} == {(alg, "sig") for alg in jwk.ALGORITHMS}


def test_nothing_private_is_published_whatever_a_row_holds() -> None:
    spoilt = replace(row("ES256", "active"), public_jwk={**row("ES256", "active").public_jwk, "note": "secret"})
    shown = ring(spoilt).jwks
    assert b"secret" not in shown
    assert json.loads(shown)["keys"][0].keys() == {"kty", "kid", "use", "alg", "crv", "x", "y"}


def test_a_row_with_its_private_half_in_the_open_is_not_published() -> None:
    spoilt = replace(row("ES256", "active"), public_jwk={**row("ES256", "active").public_jwk, "d": "secret"})
    assert json.loads(ring(spoilt).jwks) == {"keys": []}


@pytest.mark.parametrize("alg", jwk.ALGORITHMS)
def test_the_active_key_signs_and_the_ring_verifies(alg: jwk.Algorithm) -> None:
    made = ring(*rows())
    signer = made.signer(alg)
    assert signer.kid == row(alg, "active").kid
    assert made.verifiers[signer.kid].verifies(alg, b"message", signer.sign(b"message"))


def test_a_change_changes_the_etag() -> None:
    assert ring(row("ES256", "active")).etag != ring(row("ES256", "active"), row("ES256", "next")).etag


def test_a_withdrawn_key_verifies_hints_alone() -> None:
    gone = withdrawn("ES256")
    made = ring(*rows(), gone)
    assert gone.kid in made.hint_verifiers
    assert gone.kid not in made.verifiers
    assert made.hint_verifiers.keys() - made.verifiers.keys() == {gone.kid}
    assert (made.jwks, made.etag) == (ring(*rows()).jwks, ring(*rows()).etag)


def test_there_is_no_signer_without_an_active_key() -> None:
    with pytest.raises(LookupError):
        ring(row("ES256", "next")).signer("ES256")


def test_a_broken_envelope_harms_its_own_key_alone() -> None:
    """F23."""
    broken = replace(row("ES256", "active"), sealed_private=b"rubbish")
    made = ring(broken, row("RS256", "active"))
    assert made.damaged == {broken.kid}
    assert made.signers.keys() == {"RS256"}
    # What it has signed can still be verified.
    assert broken.kid in made.verifiers


def test_a_private_half_in_another_row_does_not_open() -> None:
    swapped = replace(row("ES256", "active"), sealed_private=row("ES256", "next").sealed_private)
    assert damaged((swapped, row("RS256", "active")), MASTER) == {swapped.kid}


@pytest.mark.parametrize(
    "public", [None, "text", [], {}, {"kty": "EC"}, row("ES256", "next").public_jwk, row("RS256", "next").public_jwk]
)
def test_a_malformed_jwk_harms_its_own_key_alone(public: Any) -> None:
    """F23."""
    broken = replace(row("ES256", "active"), public_jwk=public)
    made = ring(broken, row("RS256", "active"))
    assert made.damaged == {broken.kid}
    assert made.verifiers.keys() == {row("RS256", "active").kid}
    # A signature that nobody can verify is not made.
    assert made.signers.keys() == {"RS256"}
    assert [key["kid"] for key in json.loads(made.jwks)["keys"]] == [row("RS256", "active").kid]


def test_under_a_wrong_master_key_no_row_is_called_damaged() -> None:
    made = ring(*rows(), master=MasterKey(bytes(32)))
    assert made.damaged == frozenset()
    assert made.signers == {}


def test_the_ring_shows_no_private_key() -> None:
    made = ring(*rows())
    private = json.loads(made.signer("ES256").dump())["d"]
    assert private not in repr(made)
    assert private.encode() not in made.jwks
