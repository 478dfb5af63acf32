"""Owners of accounts in browsers, for the pages of the account."""

import re
from html import unescape

import httpx2

from tests.driver import PASSWORD, Browser, Rig, code_of

OTHER_PASSWORD = "an entirely different sentence"


async def sign_in(browser: Browser, password: str = PASSWORD, username: str = "alice") -> httpx2.Response:
    """The page after the password alone."""
    await browser.get("/login")
    return await browser.submit(username=username, password=password)


async def sign_in_with_app(browser: Browser, rig: Rig, secret: str) -> httpx2.Response:
    """The page after the password and a code of the app, which must not have been used."""
    await sign_in(browser)
    return await browser.submit(code=code_of(secret, rig))


async def make_codes(browser: Browser) -> list[str]:
    """A new set of recovery codes, as the page shows them."""
    return codes_on(await browser.post("/account/recovery-codes", {}))


def codes_on(page: httpx2.Response) -> list[str]:
    """The recovery codes that a page shows."""
    return re.findall(r"<li>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</li>", page.text)


async def use_code(browser: Browser, code: str) -> httpx2.Response:
    """The page after a recovery code in the place of the second step that is asked for."""
    assert browser.page is not None
    interaction = str(browser.page.url.params["interaction"])
    await browser.get(f"/login?interaction={interaction}&method=recovery")
    return await browser.submit(code=code)


def error_on(page: httpx2.Response) -> str | None:
    """The cause of the page's error, or None."""
    found = re.search(r'id="error"[^>]*data-error="(\w+)"', page.text, re.DOTALL)
    return found and found[1]


def text_of(page: httpx2.Response) -> str:
    """What a page says, in one line."""
    body = page.text.partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
