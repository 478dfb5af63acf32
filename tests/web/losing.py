"""People who have lost their second factors: how they ask, and what reaches them."""

import re
from datetime import timedelta

import httpx2

from idp.store.database import transact, transaction
from idp.store.outbox import text_of
from idp.web.recover.factor_recovery import remind_some
from tests.driver import PASSWORD, Browser, Rig, mails
from tests.web.account.people import sign_in
from tests.web.recovering import alice

DELAY = timedelta(hours=72)


async def alice_with_app(rig: Rig) -> tuple[Browser, str]:
    """Her browser, and the seed of the app that she is going to lose; her address is confirmed."""
    owner = await alice(rig)
    return owner, await owner.add_totp(rig)


async def ask(rig: Rig, browser: Browser | None = None) -> httpx2.Response:
    """The page after the password, "I have none of these", and the button behind it."""
    browser = browser or rig.browser()
    page = await sign_in(browser)
    await browser.get(str(page.url).replace("/login?", "/recover/factor?"))
    return await browser.submit()


async def link_in(rig: Rig, kind: str) -> str:
    """The link in the last mail of this kind."""
    return [mail for mail in await mails(rig) if mail.kind == kind][-1].link


async def remind_ripe(rig: Rig) -> None:
    """Do the job of the reminders once."""
    provider = rig.app.state.provider
    await transact(provider.pool, lambda conn: remind_some(provider, conn, provider.clock(), 100))


async def ripen(rig: Rig, after: timedelta = DELAY) -> None:
    """Let the delay pass, and the server do what it does every ten minutes."""
    rig.clock.advance(after)
    await remind_ripe(rig)


async def finish(browser: Browser, link: str, password: str = PASSWORD) -> httpx2.Response:
    """The page after the link and the password."""
    await browser.get(link)
    return await browser.submit(link=link.partition("?link=")[2], password=password)


async def texted(rig: Rig) -> list[tuple[str, str, str]]:
    """The kind, the number and the words of all text messages but codes, oldest first."""
    provider = rig.app.state.provider
    async with transaction(provider.pool) as conn:
        rows = await conn.fetch(
            """
            SELECT id, kind, recipient, sealed_text FROM outbox
            WHERE channel = 'sms' AND kind <> 'sign_in_code' ORDER BY ctid
            """
        )
    master = provider.tools.master_key
    return [(row["kind"], row["recipient"], text_of(row["id"], row["sealed_text"], master)) for row in rows]


def link_of_text(text: str) -> str:
    """The link that a text message brings."""
    [found] = re.findall(r"^(http\S+)$", text, re.MULTILINE)
    return str(found)
