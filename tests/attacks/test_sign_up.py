"""A-35: sign-up that is switched off, or for invited people alone, is so for whoever asks the server directly."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from tests.driver import PASSWORD, Browser, Rig, authorization, response_of, running
from tests.texting import add_person
from tests.web.account.people import error_on, sign_in
from tests.web.inviting import ADDRESS, FORM, invite
from tests.web.recovering import count, events, prove_address, secret_of

REGISTER = "http://localhost:8000/register"


class With(Protocol):
    """Starts a provider on the same database where sign-up is like this."""

    def __call__(self, **environ: str) -> AbstractAsyncContextManager[Rig]: ...


@pytest.fixture
def where(database: str, tmp_path: Path) -> With:
    return partial(running, database, tmp_path)


async def accounts(rig: Rig) -> int:
    return await count(rig, "SELECT count(*) FROM users")


async def moved(browser: Browser, rig: Rig) -> Browser:
    """The same browser, at a provider that was started anew with other settings."""
    fresh = rig.browser()
    fresh.http.cookies.update(browser.http.cookies)
    fresh.page = browser.page
    return fresh


@pytest.mark.parametrize(("sign_up", "error"), [("off", "sign_up_off"), ("invite", "invitation_needed")])
async def test_A_35_sign_up_switched_off_is_refused_by_the_server(where: With, sign_up: str, error: str) -> None:
    """Looked at, posted straight away, with a secret of no invitation, or with the interaction of a sign-in."""
    async with where(IDP_SIGN_UP=sign_up) as rig:
        await rig.add_client()
        page = await rig.browser().get("/register")
        assert (page.status_code, error_on(page)) == (403, error)
        assert 'id="onward" href="/login"' in page.text
        browser = rig.browser()
        for where_to in (REGISTER, f"{REGISTER}?{(await browser.get(authorization())).url.query.decode()}"):
            for more in ({}, {"link": "x" * 43}, {"email": ADDRESS, "email_verified": "true"}):
                refused = await browser.post(where_to, {**FORM, **more})
                wanted = "invitation_gone" if sign_up == "invite" and "link" in more else error
                assert (refused.status_code, error_on(refused)) == (403, wanted)
        assert await accounts(rig) == 0
        assert "request_refused" in await events(rig)


@pytest.mark.parametrize("sign_up", ["off", "invite"])
async def test_A_35_what_was_begun_before_does_not_help(where: With, sign_up: str) -> None:
    """A page of sign-up that was open, a request that asks for it, and a session."""
    async with where() as rig:
        await rig.add_client()
        form, asking, member = rig.browser(), rig.browser(), rig.browser()
        await form.get("/register")
        await asking.get(authorization(prompt="create"))
        assert asking.page is not None
        assert asking.page.url.path == "/register"
        await member.register("member")
    async with where(IDP_SIGN_UP=sign_up) as rig:
        for former in (form, asking, member):
            assert former.page is not None
            browser = await moved(former, rig)
            query = former.page.url.query.decode()
            for url in (f"{REGISTER}?{query}", REGISTER):
                assert (await browser.http.get(url)).status_code == 403
                assert (await browser.post(url, FORM)).status_code == 403
        assert await accounts(rig) == 1
        assert asking.page is not None
        browser = await moved(asking, rig)
        refused = await browser.http.get(f"http://localhost:8000/login?{asking.page.url.query.decode()}")
        assert response_of(refused)["error"] == "invalid_request"


@pytest.mark.parametrize("sign_up", ["off", "invite"])
async def test_A_35_no_request_asks_for_an_account_and_no_page_leads_to_one(where: With, sign_up: str) -> None:
    async with where() as rig, rig.browser().http as http:
        values = (await http.get("/.well-known/openid-configuration")).json()["prompt_values_supported"]
        assert values == ["none", "login", "consent", "select_account", "create"]
    async with where(IDP_SIGN_UP=sign_up) as rig:
        await rig.add_client()
        await add_person(rig, "alice", number=None)
        async with rig.browser().http as http:
            for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
                assert (await http.get(path)).json()["prompt_values_supported"] == values[:-1]
        for prompt in ("create", "login create", "create consent"):
            refused = response_of(await rig.browser().get(authorization(prompt=prompt)))
            assert refused["error"] == "invalid_request"
        assert response_of(await rig.browser().get(authorization(prompt="none")))["error"] == "login_required"
        browser = rig.browser()
        for url in (authorization(), authorization(prompt="select_account"), "/login", "/recover", "/nowhere"):
            assert "/register" not in (await browser.get(url)).text, url
        await sign_in(browser)
        await browser.get("/account/delete")
        gone = await browser.submit(confirmation="alice")
        assert await accounts(rig) == 0
        assert "/register" not in gone.text


async def test_A_35_an_invitation_makes_one_account_with_its_own_address(where: With) -> None:
    """Whatever address the form says; eight at once; and not a second time."""
    async with where(IDP_SIGN_UP="invite") as rig:
        link = await invite(rig)
        browsers = [rig.browser() for _ in range(8)]
        pages = [await browser.get(link) for browser in browsers]
        assert await accounts(rig) == 0, "looking takes nothing"
        secret = secret_of(link)
        posts = (
            browser.http.post(
                f"{REGISTER}?{query_of(page.text)}",
                data={**FORM, "username": f"alice{number}", "email": "mallory@mail.test", "link": secret},
            )
            for number, (browser, page) in enumerate(zip(browsers, pages, strict=True))
        )
        statuses = sorted([answer.status_code for answer in await asyncio.gather(*posts)])
        # Who was late is told that the link is dead, or whose the address is by now.
        assert statuses[0] == 303
        assert set(statuses[1:]) <= {403, 409}
        assert await accounts(rig) == 1
        assert await count(rig, f"SELECT count(*) FROM users WHERE email = '{ADDRESS}' AND email_verified") == 1
        assert error_on(await rig.browser().get(link)) == "invitation_gone"


def query_of(text: str) -> str:
    """The query of the form on this page."""
    return text.partition('action="/register?')[2].partition('"')[0]


@pytest.mark.parametrize("how", ["used", "expired", "replaced", "in use", "used while the form was open"])
async def test_A_35_a_dead_invitation_opens_nothing(where: With, how: str) -> None:
    async with where(IDP_SIGN_UP="invite") as rig:
        link, early = await invite(rig), rig.browser()
        await early.get(link)
        other = rig.browser()
        if how.startswith("used"):
            await other.get(link)
            assert (await other.submit(**FORM, link=secret_of(link))).url.path == "/account"
        elif how == "expired":
            rig.clock.advance(timedelta(days=7) - timedelta(minutes=30))
            assert "readonly" in (await early.get(link)).text
            rig.clock.advance(timedelta(minutes=30))
        elif how == "replaced":
            assert (await rig.browser().get(await invite(rig, ADDRESS.upper()))).status_code == 200
        else:
            await add_person(rig, "owner", number=None)
            await prove_address(rig, "owner", ADDRESS)
        before = await accounts(rig)
        seen = await rig.browser().get(link)
        late = await early.submit(**{**FORM, "username": "late"}, link=secret_of(link))
        if how == "in use":
            assert (seen.status_code, late.status_code) == (409, 409)
            assert f"{ADDRESS} is confirmed for an account already" in seen.text
        elif how == "used":
            # The address has its account now, and so nothing is told but that the link is dead.
            assert (seen.status_code, error_on(seen), late.status_code) == (400, "invitation_gone", 403)
        else:
            assert (seen.status_code, error_on(seen)) == (400, "invitation_gone")
            assert (late.status_code, error_on(late)) == (403, "invitation_gone")
        assert await accounts(rig) == before


async def test_A_35_a_browser_that_opened_an_invitation_has_nothing_without_its_secret(where: With) -> None:
    async with where(IDP_SIGN_UP="invite") as rig:
        browser = rig.browser()
        await browser.get(await invite(rig))
        refused = await browser.submit(**FORM, email=ADDRESS)
        assert (refused.status_code, error_on(refused)) == (403, "invitation_needed")
        other = await invite(rig, "other@mail.test")
        await browser.get(await invite(rig))
        await browser.submit(**FORM, email=ADDRESS, link=secret_of(other))
        assert await count(rig, "SELECT count(*) FROM users WHERE email = 'other@mail.test'") == 1
        assert await accounts(rig) == 1


async def test_A_35_invitations_are_worth_nothing_where_nobody_signs_up(where: With) -> None:
    async with where(IDP_SIGN_UP="off") as rig:
        link, browser = await invite(rig), rig.browser()
        assert error_on(await browser.get(link)) == "sign_up_off"
        assert error_on(await browser.post(REGISTER, {**FORM, "link": secret_of(link)})) == "sign_up_off"
        assert await accounts(rig) == 0


async def test_A_35_and_A_72_an_invited_address_is_taken_from_who_merely_claimed_it(where: With) -> None:
    async with where() as rig:
        mallory, alice = rig.browser(), rig.browser()
        await mallory.get("/register")
        await mallory.submit(username="mallory", password=PASSWORD, email=ADDRESS, phone="")
        link = await invite(rig)
        await alice.get(link)
        assert (await alice.submit(**FORM, link=secret_of(link))).url.path == "/account"
        claims = "SELECT count(*) FROM users WHERE username = 'mallory' AND email IS NULL"
        assert await count(rig, claims) == 1
        assert await count(rig, "SELECT count(*) FROM mail_links WHERE consumed_at IS NULL") == 0
        assert "email_released" in await events(rig)
