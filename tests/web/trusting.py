"""What an organisation asks of alice, and the browser that she has told not to ask again."""

from datetime import timedelta
from typing import Any

import httpx2

from idp.store import groups
from idp.store.database import transaction
from tests.driver import PASSWORD, Browser, Rig, authorization, code_of, response_of

CODE_LIFE = timedelta(minutes=1)
"""After this long the app shows a code that was not used yet."""


async def put_into(rig: Rig, min_acr: str, username: str = "alice", *, group: str = "staff") -> None:
    """Let somebody be in a group that asks for this level."""
    now = rig.clock()
    async with transaction(rig.app.state.provider.pool) as conn:
        await groups.create_group(conn, group, min_acr, now=now)
        sub = await conn.fetchval("SELECT sub FROM users WHERE username = $1", username)
        await groups.add_member(conn, group, sub)


async def events(rig: Rig, event: str) -> list[dict[str, Any]]:
    """The details of all events of this name, oldest first."""
    async with transaction(rig.app.state.provider.pool) as conn:
        rows = await conn.fetch("SELECT details FROM audit_events WHERE event = $1 ORDER BY id", event)
    return [row["details"] for row in rows]


async def silent(browser: Browser, **changes: str) -> dict[str, str]:
    """The answer to a request that may ask nothing."""
    return response_of(await browser.http.get(authorization(prompt="none", **changes)))


async def allow(browser: Browser) -> None:
    """Consent, once, so that nothing but the sign-in is left to ask."""
    page = await browser.get(authorization())
    assert "/consent" in str(page.url), page.url
    await browser.submit(decision="allow")


async def by_password(
    browser: Browser, password: str = PASSWORD, username: str = "alice", **changes: str
) -> httpx2.Response:
    """The page after the password alone, in a request."""
    await browser.get(authorization(**changes))
    return await browser.submit(username=username, password=password)


async def leave(rig: Rig, browser: Browser) -> None:
    """Sign out, and let time pass until the app shows another code."""
    await browser.post("/logout", {})
    rig.clock.advance(CODE_LIFE)


async def enrolled(rig: Rig, username: str = "alice") -> tuple[Browser, str]:
    """The browser of somebody with an authenticator app who has allowed the client, signed out; and the app's seed."""
    browser = rig.browser()
    await browser.register(username)
    seed = await browser.add_totp(rig)
    await allow(browser)
    await leave(rig, browser)
    return browser, seed


async def trusting(rig: Rig) -> tuple[Browser, str]:
    """A browser that alice has told not to ask again, signed out; and the seed of her app."""
    browser, seed = await enrolled(rig)
    page = await by_password(browser)
    assert 'name="trust"' in page.text
    assert "code" in response_of(await browser.submit(code=code_of(seed, rig), trust="1"))
    await leave(rig, browser)
    return browser, seed


async def at_desk(rig: Rig, seed: str) -> Browser:
    """Another browser in which alice has shown both steps, and which she does not trust."""
    desk = rig.browser()
    await by_password(desk)
    assert "code" in response_of(await desk.submit(code=code_of(seed, rig)))
    rig.clock.advance(CODE_LIFE)
    return desk


def asks_for_code(page: httpx2.Response) -> bool:
    """Whether the second step is asked for, by the app."""
    return page.status_code == 200 and 'data-method="totp"' in page.text
