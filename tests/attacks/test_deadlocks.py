"""A-79: whatever is done to one account at once, over two servers, no answer is a fault."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import httpx2
import pytest

from idp.authn.accounts import parse_email
from idp.base.clock import system_clock
from idp.base.digest import sha256
from idp.model.mail_link import LinkKind, MailLink
from idp.store.database import transaction
from idp.store.mail_links import create_link
from tests.cluster import Cluster, sub_of
from tests.driver import Browser
from tests.web.account.people import OTHER_PASSWORD

ROUNDS = 3
NEW_ADDRESS = "shared@example.test"


async def link_for(cluster: Cluster, kind: LinkKind, username: str, email: str) -> str:
    """The secret of a new link for this account, to that address."""
    secret, now, address = f"{kind}-of-{username}".ljust(43, "x"), system_clock(), parse_email(email)
    assert address is not None
    link = MailLink(
        sha256(secret), kind, sub_of(username), address.shown, address.canonical, now, now + timedelta(hours=1)
    )
    async with transaction(cluster.pool) as conn:
        await create_link(conn, link)
    return secret


async def posted(cluster: Cluster, path: str, fields: dict[str, str]) -> httpx2.Response:
    """The answer to this form from a browser of its own; a fault fails the test."""
    async with cluster.http() as http:
        return await http.post(path, data=fields)


async def resets(cluster: Cluster, count: int) -> list[Browser]:
    """Browsers in which bob's password is about to be chosen anew."""
    secret = await link_for(cluster, "reset_password", "bob", "bob@example.test")
    browsers = [cluster.browser() for _ in range(count)]
    for browser in browsers:
        page = await browser.post(f"{cluster.issuer}/recover/password", {"link": secret})
        assert page.url.path == "/recover/new-password", page.text
    return browsers


async def all_at_once(*work: Awaitable[object]) -> None:
    """Do all of it at the same moment; the first fault is raised when all of it is done."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


@pytest.mark.parametrize("removed", [True, False], ids=["and it is deleted", "and it stays"])
async def test_A_79_F22_one_account_24_at_once(cluster: Cluster, removed: bool) -> None:
    """Confirmation by two who claim one address, reset, refresh, code exchange, and the end of the account."""
    for _ in range(ROUNDS):
        await cluster.reset()
        browser = await cluster.signed_in("bob")
        codes = [await cluster.code(browser, scope="openid offline_access") for _ in range(5)]
        tokens = [(await cluster.exchange(await cluster.code(browser))).json() for _ in range(5)]
        links = [await link_for(cluster, "verify_email", name, NEW_ADDRESS) for name in ("bob", "mallory")]
        waiting = await resets(cluster, 3)
        await all_at_once(
            *(cluster.exchange(code) for code in codes),
            *(cluster.refresh(one["refresh_token"]) for one in tokens if "refresh_token" in one),
            *(posted(cluster, "/confirm-email", {"link": link}) for link in links for _ in range(4)),
            *(one.submit(password=OTHER_PASSWORD) for one in waiting),
            *(browser.http.post("/account/delete", data={"confirmation": "bob"}) for _ in range(2 if removed else 0)),
            *(browser.http.get("/account") for _ in range(3)),
        )
        for one in (browser, *waiting):
            await one.http.aclose()


async def test_A_79_an_operator_removes_an_account_at_work(cluster: Cluster) -> None:
    """`idp user remove` beside code exchanges and new authorizations: it is done, and no answer is a fault."""
    for _ in range(ROUNDS):
        await cluster.reset()
        browser = await cluster.signed_in("bob")
        codes = [await cluster.code(browser) for _ in range(8)]
        going_on = asyncio.create_task(authorizing(cluster, browser))
        removing = asyncio.create_task(cluster.command("user", "remove", "bob", "--json"))
        while not removing.done():
            await all_at_once(*(cluster.exchange(code) for code in codes))
        assert '"removed": true' in await removing
        going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=True)
        await browser.http.aclose()


async def authorizing(cluster: Cluster, browser: Browser) -> None:
    """Have codes made for as long as it lasts."""
    while True:
        await all_at_once(*(browser.http.get("/oauth/authorize", params={"client_id": "web"}) for _ in range(2)))
