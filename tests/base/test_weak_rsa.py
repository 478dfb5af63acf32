"""Weak moduli are told from others, and from them alone."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.util import urlsafe_b64decode

from idp.base.weak_rsa import has_tiny_factor, is_roca
from tests.base.roca import PRIMES, M, roca_prime
from tests.base.test_jwk import RFC7520_RSA, RFC7638_3_1

GOOD = [int.from_bytes(urlsafe_b64decode(vector["n"].encode())) for vector in (RFC7520_RSA, RFC7638_3_1)]


def test_a_modulus_of_the_faulty_generator() -> None:
    """CVE-2017-15361"""
    assert is_roca(roca_prime(1) * roca_prime(2))
    assert is_roca(roca_prime(12345) * roca_prime(67890))
    # Of other sizes M has more primes or fewer; all have these.
    assert is_roca(pow(65537, 10**9, M) + 77 * M)


def test_what_comes_from_elsewhere_is_none() -> None:
    """One factor of another origin, two, and published keys."""
    ordinary = rsa.generate_private_key(65537, 2048).private_numbers()
    assert not is_roca(roca_prime(1) * ordinary.p)
    assert not is_roca(ordinary.p * ordinary.q)
    assert not any(map(is_roca, GOOD))


@pytest.mark.parametrize(("odd_one_out", "weak"), [(1, True), (0, False)])
def test_it_is_one_exponent_for_all_primes(odd_one_out: int, weak: bool) -> None:
    """A power of 65537 modulo each prime alone is not yet one modulo all of them."""
    number, product = 1, 1
    for prime in PRIMES[:39]:
        wanted = pow(65537, odd_one_out if prime == 167 else 1, prime)
        number += product * ((wanted - number) * pow(product, -1, prime) % prime)
        product *= prime
    assert is_roca(number) is weak


@pytest.mark.parametrize("factor", [2, 3, 5, 743, 751])
def test_tiny_factors(factor: int) -> None:
    """NIST SP 800-89 §5.3.3"""
    for modulus in GOOD:
        assert has_tiny_factor(factor * modulus)
        assert not has_tiny_factor(modulus)
        assert not has_tiny_factor(757 * modulus)
