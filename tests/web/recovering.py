"""People who have forgotten their password: what they ask for, and what they do with the link."""

import re
from datetime import timedelta
from html import unescape

import httpx2

from idp.store.database import transaction
from tests.driver import Browser, Mail, Rig, mails

ADDRESS = "alice@mail.test"
NEW = "an entirely different sentence"


async def prove_address(rig: Rig, username: str = "alice", email: str = ADDRESS) -> None:
    """Let the account have this address, confirmed."""
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(
            "UPDATE users SET email = $2, email_canonical = lower($2), email_verified = true WHERE username = $1",
            username,
            email,
        )


async def alice(rig: Rig, *, email: str = ADDRESS) -> Browser:
    """Her browser, in which she has signed up, with an address that she has proved."""
    browser = rig.browser()
    await browser.register()
    await prove_address(rig, email=email)
    return browser


async def ask(rig: Rig, username: str = "alice", *, address: str = "127.0.0.1") -> httpx2.Response:
    """The page after asking for a new password."""
    browser = rig.browser(address=address)
    await browser.get("/recover")
    return await browser.submit(username=username)


async def reset_mails(rig: Rig) -> list[Mail]:
    """The mails with a link for a new password, oldest first."""
    return [mail for mail in await mails(rig) if mail.kind == "reset_password"]


async def link_for(rig: Rig, username: str = "alice") -> str:
    """A new link for a new password."""
    rig.clock.advance(timedelta(seconds=1))
    await ask(rig, username)
    return (await reset_mails(rig))[-1].link


async def follow(browser: Browser, link: str) -> httpx2.Response:
    """The page after the link in a mail and the button behind it."""
    await browser.get(link)
    return await browser.submit(link=secret_of(link))


def secret_of(link: str) -> str:
    """What is secret in a link."""
    return link.partition("?link=")[2]


def hidden_link(page: httpx2.Response) -> str:
    """The secret that the form of this page carries."""
    found = re.search(r'<input type="hidden" name="link" value="([^"]+)">', page.text)
    assert found, page.text
    return unescape(found[1])


async def count(rig: Rig, sql: str) -> int:
    """One number from the database."""
    async with transaction(rig.app.state.provider.pool) as conn:
        return int(await conn.fetchval(sql))


async def events(rig: Rig) -> list[str]:
    """The names of what the audit trail has, oldest first."""
    async with transaction(rig.app.state.provider.pool) as conn:
        return [row["event"] for row in await conn.fetch("SELECT event FROM audit_events ORDER BY id")]
