"""RSA moduli that are known to be weak: what can be told from the modulus alone, at once."""

import math
from functools import cache

GENERATOR = 65537
LARGEST_PRIME = 167
"""The 39th prime. Moduli of every size that is affected are of this form by these primes already."""
TINY = 752


def has_tiny_factor(modulus: int) -> bool:
    """Whether a prime below 752 divides the modulus, 2 among them (NIST SP 800-89 §5.3.3)."""
    return math.gcd(modulus, math.prod(_primes(TINY))) > 1


def is_roca(modulus: int) -> bool:
    """Whether the modulus was made by the faulty generator of CVE-2017-15361 (ROCA), and so can be factored.

    Its primes are k * M + (65537^a mod M), M being the product of the first primes; so the modulus too is a power of
    65537 modulo M. Whether it is follows from its discrete logarithm modulo each of those primes, which must all be
    those of one exponent. A modulus of any other origin is taken for one of these once in 2^154 times
    (Nemec, Sys, Svenda, Klinec, Matyas: The Return of Coppersmith's Attack, ACM CCS 2017, §2.3).
    """
    exponent, period = 0, 1
    for prime in _primes(LARGEST_PRIME + 1):
        logarithms = _logarithms(prime)
        logarithm, order = logarithms.get(modulus % prime), len(logarithms)
        if logarithm is None:
            return False
        # Step by step to an exponent that fits this prime too, each step keeping to those before.
        steps = (exponent + step * period for step in range(order))
        fitting = next((one for one in steps if one % order == logarithm), None)
        if fitting is None:
            return False
        exponent, period = fitting, math.lcm(period, order)
    return True


@cache
def _logarithms(prime: int) -> dict[int, int]:
    """The exponent of each power of 65537 modulo the prime."""
    powers: dict[int, int] = {}
    power = 1
    while power not in powers:
        powers[power] = len(powers)
        power = power * GENERATOR % prime
    return powers


@cache
def _primes(below: int) -> tuple[int, ...]:
    return tuple(n for n in range(2, below) if all(n % divisor for divisor in range(2, math.isqrt(n) + 1)))
