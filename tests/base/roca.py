"""Primes as the faulty generator of CVE-2017-15361 made them (Nemec et al., ACM CCS 2017, §2.2)."""

import math
from functools import cache

from joserfc.util import urlsafe_b64encode

PRIMES = [n for n in range(2, 702) if all(n % divisor for divisor in range(2, math.isqrt(n) + 1))]
"""The first 126 of them: those of keys of 2,048 bits."""
M = math.prod(PRIMES)


@cache
def roca_prime(exponent: int) -> int:
    """A prime of 1,024 bits of the form k * M + (65537^a mod M), the same for the same ``a``."""
    assert len(PRIMES) == 126
    rest, k = pow(65537, exponent, M), (3 << 1022) // M + 1
    while pow(2, k * M + rest - 1, k * M + rest) != 1:
        k += 1
    return k * M + rest


def roca_modulus() -> str:
    """The modulus of a weak key of 2,048 bits, as a JWK has it."""
    modulus = roca_prime(12345) * roca_prime(67890)
    assert modulus.bit_length() == 2048
    return urlsafe_b64encode(modulus.to_bytes(256)).decode()
