"""RFC 7636, with its published vector."""

import pytest

from idp.oauth import pkce

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_rfc_7636_appendix_b() -> None:
    assert pkce.proves(VERIFIER, CHALLENGE)


@pytest.mark.parametrize("verifier", ["", VERIFIER[:-1], VERIFIER + "=", VERIFIER[:-1] + "l", "a" * 129, "ü" * 43])
def test_another_verifier_proves_nothing(verifier: str) -> None:
    assert not pkce.proves(verifier, CHALLENGE)


@pytest.mark.parametrize("challenge", ["", CHALLENGE[:-1], CHALLENGE + "=", CHALLENGE[:-1] + "+"])
def test_what_is_no_sha256_value_is_no_challenge(challenge: str) -> None:
    assert not pkce.is_challenge(challenge)
