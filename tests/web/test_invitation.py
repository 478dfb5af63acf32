"""An account made through an invitation: the page, what it says, and what the account has."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from idp.store.database import transaction
from tests.driver import Rig, mails, running
from tests.web.account.people import error_on, text_of
from tests.web.inviting import ADDRESS, FORM, invite
from tests.web.recovering import events, link_for, secret_of


@pytest.fixture(params=["open", "invite"])
async def rig(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, IDP_SIGN_UP=request.param) as found:
        await found.add_client()
        yield found


async def test_the_address_is_filled_in_and_confirmed_with_the_account(rig: Rig) -> None:
    link, browser = await invite(rig), rig.browser()
    page = await browser.get(link)
    assert page.status_code == 200
    assert f'value="{ADDRESS}"' in page.text
    assert "readonly" in page.text
    assert "Your invitation went to this address" in text_of(page)
    done = await browser.submit(**FORM, link=secret_of(link))
    assert done.url.path == "/account"
    assert "not confirmed" not in text_of(done)
    assert await mails(rig) == [], "there is nothing to confirm any more"
    async with transaction(rig.app.state.provider.pool) as conn:
        row = await conn.fetchrow("SELECT email, email_verified FROM users")
    assert row is not None
    assert tuple(row) == (ADDRESS, True)
    assert {"registered", "email_confirmed"} <= set(await events(rig))
    assert "/recover/password" in await link_for(rig, ADDRESS)


async def test_the_secret_is_in_no_further_address(rig: Rig) -> None:
    """It goes from the link into the form: not into its action, nor where one is sent on to.

    (The links of the footer to other languages are the address that is open, as on every page behind a link.)
    """
    link, browser = await invite(rig), rig.browser()
    page = await browser.get(link)
    secret = secret_of(link)
    main = page.text.partition("<footer")[0]
    assert main.count(secret) == main.count(f'name="link" value="{secret}"') == 1
    answer = await browser.http.post(
        page.text.partition('<form method="post" action="')[2].partition('"')[0], data={**FORM, "link": secret}
    )
    assert answer.status_code == 303
    assert secret not in answer.headers["location"]


async def test_what_is_wrong_with_the_form_takes_nothing(rig: Rig) -> None:
    """The page comes back with the address and the invitation in it."""
    link, browser = await invite(rig), rig.browser()
    await browser.get(link)
    secret = secret_of(link)
    short = await browser.submit(username="alice", password="short", email="other@mail.test", phone="", link=secret)
    assert (short.status_code, error_on(short)) == (400, "password_short")
    assert f'value="{ADDRESS}"' in short.text
    assert f'name="link" value="{secret}"' in short.text
    assert (await browser.submit(**FORM, link=secret)).url.path == "/account"


async def test_a_name_that_is_taken_does_not_use_the_invitation_up(rig: Rig) -> None:
    first, second = await invite(rig, "bob@mail.test"), await invite(rig)
    other, browser = rig.browser(), rig.browser()
    await other.get(first)
    await other.submit(**FORM, link=secret_of(first))
    await browser.get(second)
    taken = await browser.submit(**FORM, link=secret_of(second))
    assert (taken.status_code, error_on(taken)) == (400, "username_taken")
    done = await browser.submit(**{**FORM, "username": "alicia"}, link=secret_of(second))
    assert done.url.path == "/account"
