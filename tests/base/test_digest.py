import asyncio
import base64
from collections.abc import Iterator

import argon2
import pytest

from idp.base.digest import Busy, PasswordHasher, same, sha256


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher(workers=1, queue=2)
    yield hasher
    hasher.close()


def test_sha256_is_the_published_one() -> None:
    assert sha256("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_same() -> None:
    assert same(b"a", b"a")
    assert not same(b"a", b"b")


async def test_g11_parameters(hasher: PasswordHasher) -> None:
    """ASVS 11.4.2."""
    assert (await hasher.hash("secret")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_the_salt_is_new_each_time(hasher: PasswordHasher) -> None:
    assert await hasher.hash("secret") != await hasher.hash("secret")


async def test_6_2_8_compared_exactly(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash("Ein Passwort ")
    assert await hasher.verify("Ein Passwort ", hashed)
    for other in ("ein Passwort ", "Ein Passwort", "Ein Passwort  ", "", "Ein Passwort \x00"):
        assert not await hasher.verify(other, hashed)


async def test_a_61_equal_beginnings_are_not_interchangeable(hasher: PasswordHasher) -> None:
    beginning = "x" * 99
    assert not await hasher.verify(beginning + "a", await hasher.hash(beginning + "b"))


async def test_the_nfkc_form_is_hashed(hasher: PasswordHasher) -> None:
    assert await hasher.verify("ju\u0308rgen", await hasher.hash("jürgen"))


async def test_a_decoy_is_never_right(hasher: PasswordHasher) -> None:
    assert not await hasher.verify("", None)
    assert not await hasher.verify("secret", None)


@pytest.mark.parametrize("hashed", ["", "nonsense", "$argon2id$v=19$m=19456,t=2,p=1$AAAA", "x" * 10_000])
async def test_a_broken_hash_is_never_right(hasher: PasswordHasher, hashed: str) -> None:
    assert not await hasher.verify("secret", hashed)


async def test_no_text_is_too_odd(hasher: PasswordHasher) -> None:
    odd = "\x00\ud800\U0010ffff"
    assert await hasher.verify(odd, await hasher.hash(odd))


async def test_6_5_2_a_derived_key_is_that_of_a_password_hash(hasher: PasswordHasher) -> None:
    """The same digest as in the PHC string with this salt, so at the same cost (ASVS 11.4.4)."""
    hashed = await hasher.hash("secret")
    salt, digest = (base64.b64decode(part + "=" * (-len(part) % 4)) for part in hashed.split("$")[4:])
    assert await hasher.derive("secret", salt) == digest
    assert await hasher.derive("secret", bytes(16)) != digest
    assert await hasher.derive("Secret", salt) != digest


async def test_outdated(hasher: PasswordHasher) -> None:
    """ASVS 11.2.2."""
    weaker = argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1)
    assert hasher.outdated(weaker.hash("secret"))
    assert hasher.outdated("nonsense")
    assert not hasher.outdated(await hasher.hash("secret"))


async def test_a_full_queue_refuses_and_empties_again(hasher: PasswordHasher) -> None:
    answers = await asyncio.gather(*(hasher.verify("secret", None) for _ in range(10)), return_exceptions=True)
    assert [type(answer) for answer in answers].count(Busy) == 7
    assert await hasher.verify("secret", None) is False
