"""The one place that draws randomness (ASVS 11.5.1)."""

import base64
import secrets
from collections.abc import Callable
from typing import TypeAlias

Entropy: TypeAlias = Callable[[int], bytes]
"""Answers so many unpredictable bytes."""

system_entropy: Entropy = secrets.token_bytes


def token(entropy: Entropy, size: int = 32) -> str:
    """A new bearer secret: ``size`` random bytes (32 = 256 bits) in unpadded base64url."""
    return base64.urlsafe_b64encode(entropy(size)).rstrip(b"=").decode()


def identifier(entropy: Entropy) -> str:
    """A new identifier of 128 random bits, 26 lower-case letters and digits: easy to read out and to select."""
    return base64.b32encode(entropy(16)).rstrip(b"=").decode().lower()
