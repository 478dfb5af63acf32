"""Proof Key for Code Exchange, with S256 alone (RFC 7636; RFC 9700 §2.1.1)."""

import re

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from idp.base.digest import same

CODE_CHALLENGE_METHODS = ("S256",)

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def is_challenge(value: str) -> bool:
    """Whether a value can be the base64url form of a SHA-256 digest (RFC 7636 §4.2)."""
    return _CHALLENGE.fullmatch(value) is not None


def proves(verifier: str, challenge: str) -> bool:
    """Whether the verifier is well-formed and hashes to the challenge (RFC 7636 §4.1 and §4.6)."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    return same(create_s256_code_challenge(verifier).encode(), challenge.encode())
