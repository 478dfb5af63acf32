from dataclasses import replace

import pytest

from idp.authn.assurance import assess
from idp.authn.methods import Proved, Refusal, authenticators, prove
from idp.authn.methods.sent_code import make_code
from idp.authn.methods.sms import masked, prefix, recipient
from idp.authn.policy import Requirement, outlook, required
from idp.base.text import say
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store.database import Connection
from idp.store.sent_codes import create_code
from idp.store.users import get_user, remove_phone, update_proved_phone
from tests.authn.people import NOW, add_user, attempt, tools

NUMBER = "+447700900123"
TOOLS = tools()
PASSWORD = Authenticator("password", "Password")
PHONE = Authenticator("sms", say("Text messages to %(number)s", number="••• 123"), "phone")
APP = Authenticator("totp", "App", "app")


async def with_code(conn: Connection, flow: str = "") -> tuple[User, str]:
    user = await add_user(conn)
    await update_proved_phone(conn, user.sub, NUMBER, NOW)
    code, kept = make_code(TOOLS, flow, "sms", user, NUMBER, NOW, prefix=prefix(NUMBER))
    await create_code(conn, kept)
    return await get_user(conn, user.sub), code


async def try_code(conn: Connection, user: User | None, code: str) -> Proved | Refusal:
    return await prove("sms", attempt(conn, user, code=code, with_=TOOLS))


@pytest.mark.parametrize("typed", ["{}", " {} ", "{:.3} {}", "{:.3}-{}"])
async def test_a_code_as_people_type_it(conn: Connection, typed: str) -> None:
    user, code = await with_code(conn)
    text = typed.format(code) if typed.count("{") == 1 else typed.format(code, code[3:])
    assert await try_code(conn, user, text) == Proved(user.sub, Evidence("sms", NOW, "phone"))


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "0x1234"])
async def test_what_is_no_code_counts_as_no_miss_of_it(conn: Connection, typed: str) -> None:
    user, code = await with_code(conn)
    for _ in range(6):
        assert await try_code(conn, user, typed) == Refusal("code_wrong")
    assert isinstance(await try_code(conn, user, code), Proved)


async def test_A_35_a_code_of_nobody_and_of_an_account_without_a_number(conn: Connection) -> None:
    user, code = await with_code(conn)
    assert await try_code(conn, None, code) == Refusal("code_wrong")
    assert await try_code(conn, replace(user, phone_verified=False), code) == Refusal("code_wrong")


async def test_what_is_not_offered_neither_serves_nor_is_asked_for(conn: Connection) -> None:
    user, code = await with_code(conn)
    assert await authenticators(conn, user, off=frozenset({"sms"})) == ()
    off = replace(TOOLS, off=frozenset({"sms"}))
    assert await prove("sms", attempt(conn, user, code=code, with_=off)) == Refusal("method_unknown")


async def test_6_6_1_only_a_confirmed_number_counts(conn: Connection) -> None:
    user, _ = await with_code(conn)
    assert await authenticators(conn, user, off=frozenset()) == (PHONE,)
    unconfirmed = replace(user, phone_verified=False)
    assert recipient(unconfirmed) is None
    assert await authenticators(conn, unconfirmed) == ()
    assert await remove_phone(conn, user.sub)
    assert not await remove_phone(conn, user.sub)
    assert await authenticators(conn, await get_user(conn, user.sub)) == ()


def test_a_number_is_a_second_factor_and_resists_no_phishing() -> None:
    assert required(requested=None, client_min=None, authenticators=(PASSWORD, PHONE)).acr == "mfa"
    shown = (Evidence("password", NOW),)
    assert outlook(Requirement("mfa"), shown, (PASSWORD, PHONE), NOW).ways == (PHONE,)
    for level in ("phr", "phrh"):
        assert not outlook(Requirement(level), shown, (PASSWORD, PHONE, APP), NOW).reachable
    both = assess((*shown, Evidence("sms", NOW, "phone")))
    assert both is not None
    assert (both.acr, both.amr) == ("mfa", ("pwd", "sms", "mfa"))
    alone = assess((Evidence("sms", NOW, "phone"), Evidence("totp", NOW, "app")))
    assert alone is not None
    assert alone.acr == "1fa", "two things that one has are one factor"


def test_G5_a_code_begins_nothing() -> None:
    assert outlook(Requirement("1fa"), (), (PHONE,), NOW).ways == ()


def test_a_number_is_told_by_its_end_and_its_neighbours_by_the_rest() -> None:
    assert masked(NUMBER) == "••• 123"
    assert prefix(NUMBER) == "+44770090"
