from idp.authn.assurance import assess
from idp.authn.methods import Proved, Refusal, authenticators, prove
from idp.authn.methods.email import masked
from idp.authn.methods.sent_code import make_code
from idp.authn.policy import reset_steps, shows_more_than_mail
from idp.base.text import say
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.store.database import Connection
from idp.store.sent_codes import create_code
from tests.authn.people import NOW, add_user, attempt, tools

ADDRESS = "alice@mail.test"
MAIL = Authenticator("email", say("Mail to %(address)s", address="a•••@mail.test"))


async def test_a_code_goes_to_a_confirmed_address_and_works_once(conn: Connection) -> None:
    user, using = await add_user(conn, email=ADDRESS, email_verified=True), tools()
    code, kept = make_code(using, "", "email", user, ADDRESS, NOW, prefix=ADDRESS)
    await create_code(conn, kept)
    assert await authenticators(conn, user) == (MAIL,)
    right = attempt(conn, user, code=code, with_=using)
    assert await prove("email", right) == Proved(user.sub, Evidence("email", NOW))
    assert await prove("email", right) == Refusal("code_used", "used")


async def test_an_address_that_is_merely_claimed_gets_none(conn: Connection) -> None:
    assert await authenticators(conn, await add_user(conn, email=ADDRESS)) == ()


def test_6_3_6_a_mailbox_proves_nothing_where_a_mail_was_the_key_already() -> None:
    assert not shows_more_than_mail("email")
    password = Authenticator("password", say("Password"))
    assert reset_steps((password, MAIL)) == ()


def test_it_is_a_one_time_password_and_resists_no_phishing() -> None:
    found = assess((Evidence("password", NOW), Evidence("email", NOW)))
    assert found is not None
    assert (found.acr, found.amr) == ("mfa", ("pwd", "otp", "mfa"))


def test_an_address_is_told_by_its_first_letter_and_its_domain() -> None:
    assert masked(ADDRESS) == "a•••@mail.test"
