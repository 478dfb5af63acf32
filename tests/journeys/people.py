"""What people do in every journey, in a browser, and where they do it with the clock in our hands."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pyotp
import uvicorn
from playwright.async_api import Page

from tests.driver import Rig, former_code, running
from tests.notify.gateways import eventually
from tests.ports import free_port

PASSWORD = "correct horse battery staple"


async def register(page: Page, provider: str, *, username: str = "alice", email: str = "") -> None:
    """Make an account, and be signed in to it."""
    await page.goto(f"{provider}/register")
    await page.fill("#username", username)
    await page.fill("#password", PASSWORD)
    if email:
        await page.fill("#email", email)
    await page.click("button.main")
    await page.wait_for_url(f"{provider}/account")


async def enter_password(page: Page, *, username: str = "alice", password: str = PASSWORD) -> None:
    """The first step of a sign-in."""
    if await page.locator("#username").count():
        await page.fill("#username", username)
    await page.fill("#password", password)
    await page.click("form[data-method=password] button.main")


async def add_totp(page: Page, provider: str) -> pyotp.TOTP:
    """Enrol an authenticator app; its present code is left for what comes next."""
    await page.goto(f"{provider}/account/authenticators")
    await page.click("#add-totp")
    totp = pyotp.TOTP((await page.inner_text("#totp-secret")).strip())
    await page.fill("#code", await former_code(totp))
    await page.click("button.main")
    await page.wait_for_url(f"{provider}/account/authenticators")
    return totp


async def add_app(page: Page, rig: Rig) -> pyotp.TOTP:
    """Enrol an authenticator app, by the provider's clock."""
    await page.goto(f"{rig.issuer}/account/authenticators")
    await page.click("#add-totp")
    totp = pyotp.TOTP((await page.inner_text("#totp-secret")).strip())
    await page.fill("#code", totp.at(rig.clock()))
    await page.click("button.main")
    await page.wait_for_url(f"{rig.issuer}/account/authenticators")
    return totp


@asynccontextmanager
async def on_loopback(database: str, directory: Path, **environ: str) -> AsyncIterator[Rig]:
    """A provider whose clock the test has, on a port of loopback."""
    port = free_port()
    async with running(database, directory, IDP_ISSUER=f"http://localhost:{port}", **environ) as found:
        config = uvicorn.Config(found.app, host="127.0.0.1", port=port, lifespan="off", log_level="warning")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        try:
            await eventually(lambda: server.started, "it listens")
            yield found
        finally:
            server.should_exit = True
            await serving


async def newest(page: Page, demo: str, pattern: str) -> str:
    """What the newest message in the inbox that has such a thing says, read in a tab of its own."""
    tab = await page.context.new_page()
    try:
        for _ in range(40):
            await tab.goto(f"{demo}/inbox")
            for letter in await tab.locator("article").all_inner_texts():
                if found := re.search(pattern, letter):
                    return found[1]
            await tab.wait_for_timeout(250)
    finally:
        await tab.close()
    raise AssertionError(f"no message with {pattern}")
