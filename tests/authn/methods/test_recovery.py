import base64
import re
from collections import Counter
from dataclasses import replace

import pytest

from idp.authn.assurance import assess
from idp.authn.methods import Proved, Refusal, authenticators, prove
from idp.authn.methods.recovery import NewCodes, make_codes, new_code, typed_code
from idp.authn.policy import Requirement, outlook, required
from idp.base.digest import Busy, PasswordHasher
from idp.base.entropy import system_entropy
from idp.base.text import say_many
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store import recovery_codes
from idp.store.database import Connection
from tests.authn.people import HASHER, NOW, add_user, attempt, tools

TOOLS = tools()
PASSWORD = Authenticator("password", "Password")
APP = Authenticator("totp", "App", "app")
KEY = Authenticator("webauthn", "Key", "key")
PASSKEY = Authenticator("webauthn", "Passkey", "passkey", user_verified=True)
CODES = Authenticator("recovery", say_many("1 recovery code left", "%(count)s recovery codes left", 10))


async def with_codes(conn: Connection) -> tuple[User, NewCodes]:
    user, codes = await add_user(conn), await make_codes(TOOLS)
    await recovery_codes.replace_codes(conn, user.sub, codes.salt, codes.hashes, NOW)
    return user, codes


async def try_code(conn: Connection, user: User | None, code: str) -> Proved | Refusal:
    return await prove("recovery", attempt(conn, user, code=code))


async def test_G9_and_6_5_4_ten_codes_of_80_random_bits() -> None:
    codes = await make_codes(TOOLS)
    assert len(set(codes.shown)) == len(set(codes.hashes)) == 10
    assert all(re.fullmatch("[a-z2-7]{4}(-[a-z2-7]{4}){3}", code) for code in codes.shown), "5 bits a character"
    assert len(codes.salt) == 16
    assert codes.shown[0] not in repr(codes)


def test_6_5_3_and_6_5_4_no_code_and_no_character_is_likelier_than_another() -> None:
    """100,000 codes of the system's generator."""
    codes = [new_code(system_entropy) for _ in range(100_000)]
    assert len(set(codes)) == 100_000
    counts = Counter("".join(codes))
    assert len(counts) == 32
    # 50,000 of each: ten standard deviations are 2,200.
    assert all(47_800 <= count <= 52_200 for count in counts.values())


async def test_6_5_2_a_code_rests_as_argon2id_of_a_salt_of_its_set() -> None:
    """As strong as a password's (G9, G11)."""
    codes = await make_codes(TOOLS)
    bare = codes.shown[0].replace("-", "")
    assert codes.hashes[0] == await HASHER.derive(bare, codes.salt)
    assert len(codes.hashes[0]) == 32
    assert codes.hashes[0] != await HASHER.derive(bare, (await make_codes(TOOLS)).salt)
    # The same as the PHC string of a password that has this salt.
    assert await HASHER.verify(bare, phc(codes.salt, codes.hashes[0]))


def phc(salt: bytes, digest: bytes) -> str:
    encoded = (base64.b64encode(part).rstrip(b"=").decode() for part in (salt, digest))
    return "$argon2id$v=19$m=19456,t=2,p=1$" + "$".join(encoded)


async def test_A_66_and_6_5_1_each_code_works_once(conn: Connection) -> None:
    user, codes = await with_codes(conn)
    for code in codes.shown:
        assert await try_code(conn, user, code) == Proved(user.sub, Evidence("recovery", NOW))
        assert await try_code(conn, user, code) == Refusal("recovery_wrong")
    assert await authenticators(conn, user) == ()


async def test_A_66_a_replaced_code_is_dead(conn: Connection) -> None:
    user, old = await with_codes(conn)
    new = await make_codes(TOOLS)
    await recovery_codes.replace_codes(conn, user.sub, new.salt, new.hashes, NOW)
    assert await try_code(conn, user, old.shown[0]) == Refusal("recovery_wrong")
    assert isinstance(await try_code(conn, user, new.shown[0]), Proved)


async def test_A_66_a_code_of_another_user_is_wrong(conn: Connection) -> None:
    _, codes = await with_codes(conn)
    mallory, own = await add_user(conn, "mallory"), await make_codes(TOOLS)
    await recovery_codes.replace_codes(conn, mallory.sub, own.salt, own.hashes, NOW)
    assert await try_code(conn, mallory, codes.shown[0]) == Refusal("recovery_wrong")


TYPED = {
    "as shown": ("abcd-efgh-ijkl-mn27", "abcdefghijklmn27"),
    "bare": ("abcdefghijklmn27", "abcdefghijklmn27"),
    "spaces, capitals": (" ABCD EFGH\u00a0IJKL–MN27\t", "abcdefghijklmn27"),
    "misread": ("a0cd-efgh-1jkl-mn28", "aocdefghljklmn2b"),
    "too short": ("abcd-efgh-ijkl-mn2", None),
    "too long": ("abcd-efgh-ijkl-mn277", None),
    "no such character": ("abcd-efgh-ijkl-mn29", None),
    "letters of elsewhere": ("абвг-efgh-ijkl-mn27", None),
    "nothing": ("", None),
    "a book": ("a" * 100_000, None),
}


@pytest.mark.parametrize(("typed", "meant"), TYPED.values(), ids=TYPED)
def test_what_is_typed_is_read_kindly(typed: str, meant: str | None) -> None:
    assert typed_code(typed) == meant


async def test_A_30_an_empty_code_no_codes_and_nobody(conn: Connection) -> None:
    user, codes = await with_codes(conn)
    bob = await add_user(conn, "bob")
    assert await try_code(conn, user, "") == Refusal("recovery_wrong")
    assert await try_code(conn, None, codes.shown[0]) == Refusal("recovery_wrong")
    assert await try_code(conn, bob, codes.shown[0]) == Refusal("recovery_wrong", "no codes")


async def test_a_busy_pool_spends_nothing(conn: Connection) -> None:
    user, codes = await with_codes(conn)
    hasher = PasswordHasher(workers=1, queue=-1)
    busy = attempt(conn, user, code=codes.shown[0], with_=replace(TOOLS, hasher=hasher))
    with pytest.raises(Busy):
        await prove("recovery", busy)
    hasher.close()
    assert isinstance(await try_code(conn, user, codes.shown[0]), Proved)
    assert await conn.fetchval("SELECT sum(misses) FROM attempts WHERE factor = 'recovery'") == 0


async def test_the_set_is_one_way_to_sign_in(conn: Connection) -> None:
    user, codes = await with_codes(conn)
    assert await authenticators(conn, user) == (CODES,)
    for code in codes.shown[:9]:
        await try_code(conn, user, code)
    [one] = await authenticators(conn, user)
    assert one.name == say_many("1 recovery code left", "%(count)s recovery codes left", 1)


ASSESSED = {
    "with a password": (("password",), "mfa", "pwd otp mfa"),
    "alone": ((), "1fa", "otp"),
    "with an app: twice the same factor": (("totp",), "1fa", "otp"),
    "with a key without verification: likewise": (("webauthn",), "1fa", "otp hwk user"),
}


@pytest.mark.parametrize(("others", "acr", "amr"), ASSESSED.values(), ids=ASSESSED)
def test_a_code_gives_mfa_at_most(others: tuple[str, ...], acr: str, amr: str) -> None:
    used = [Evidence(method, NOW, device_bound=True) for method in (*others, "recovery")]
    found = assess(used)
    assert found is not None
    assert (found.acr, " ".join(found.amr)) == (acr, amr)


def test_codes_ask_for_nothing_begin_nothing_and_come_last() -> None:
    assert required(requested=None, client_min=None, authenticators=(PASSWORD, CODES)).acr == "1fa"
    assert outlook(Requirement("mfa"), (), (CODES, PASSWORD, APP), NOW).ways == (PASSWORD,)
    known = (PASSWORD.evidence(NOW),)
    assert outlook(Requirement("mfa"), known, (CODES, PASSWORD, APP), NOW).ways == (APP, CODES)
    assert outlook(Requirement("phr"), known, (CODES, PASSWORD, KEY, PASSKEY), NOW).weak == (CODES,)
