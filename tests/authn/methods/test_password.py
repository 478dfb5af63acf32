import argon2
import pytest

from idp.authn.methods import Proved, Refusal, authenticators, prove
from idp.base.text import say
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.store import users
from idp.store.database import Connection
from tests.authn.people import HASHER, NOW, add_user, attempt

SECRET = "correct horse battery staple"


async def test_the_right_password(conn: Connection) -> None:
    alice = await add_user(conn, password_hash=await HASHER.hash(SECRET))
    answer = await prove("password", attempt(conn, alice, password=SECRET))
    assert answer == Proved(alice.sub, Evidence("password", NOW))
    assert await authenticators(conn, alice) == (Authenticator("password", say("Password")),)


@pytest.mark.parametrize("password", ["", "wrong", SECRET + " ", SECRET.upper(), "x" * 1_000_000, "\ud800"])
async def test_a_wrong_password(conn: Connection, password: str) -> None:
    alice = await add_user(conn, password_hash=await HASHER.hash(SECRET))
    answer = await prove("password", attempt(conn, alice, password=password))
    assert isinstance(answer, Refusal)
    assert answer.cause == "wrong_credentials"


async def test_a_48_an_unknown_user_and_one_without_password_are_refused_alike(conn: Connection) -> None:
    alice = await add_user(conn)
    for user in (None, alice):
        assert await prove("password", attempt(conn, user, password=SECRET)) == Refusal("wrong_credentials")
    assert await authenticators(conn, alice) == ()


async def test_a_30_an_empty_form_and_an_unknown_method(conn: Connection) -> None:
    alice = await add_user(conn, password_hash=await HASHER.hash(SECRET))
    assert await prove("password", attempt(conn, alice)) == Refusal("wrong_credentials")
    assert await prove("smoke", attempt(conn, alice, password=SECRET)) == Refusal("method_unknown")


async def test_g11_an_older_hash_is_renewed_at_sign_in(conn: Connection) -> None:
    """ASVS 11.2.2."""
    weaker = argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(SECRET)
    alice = await add_user(conn, password_hash=weaker)
    assert isinstance(await prove("password", attempt(conn, alice, password="wrong")), Refusal)
    assert (await users.get_user(conn, alice.sub)).password_hash == weaker
    assert isinstance(await prove("password", attempt(conn, alice, password=SECRET)), Proved)
    renewed = await users.get_user(conn, alice.sub)
    assert renewed.password_hash is not None
    assert not HASHER.outdated(renewed.password_hash)
    assert isinstance(await prove("password", attempt(conn, renewed, password=SECRET)), Proved)


def test_an_attempt_does_not_show_what_was_typed(conn: Connection) -> None:
    assert SECRET not in repr(attempt(conn, None, password=SECRET))
