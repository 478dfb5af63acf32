"""What an organisation asks of its people, in a browser: told, put off, enforced; then not asked again."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from tests.driver import Rig, authorization
from tests.journeys.people import PASSWORD, add_app, enter_password, on_loopback

pytestmark = pytest.mark.browser


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    policy = {"IDP_MIN_ACR": "mfa", "IDP_ENROLMENT_GRACE": "7d", "IDP_TRUSTED_DEVICE_DAYS": "30"}
    async with on_loopback(database, tmp_path, **policy) as found:
        await found.add_client()
        yield found


async def arrive(page: Page) -> dict[str, list[str]]:
    """What the app was told, once the browser is sent back to it."""
    await page.wait_for_url("https://rp.test/cb?*")
    return parse_qs(urlsplit(page.url).query)


async def app(route: Route) -> None:
    """The app's own page, which is nothing but there."""
    await route.fulfill(content_type="text/html", body="<title>App</title>")


async def test_an_enrolment_can_wait_for_a_week_and_then_a_browser_is_trusted(page: Page, rig: Rig) -> None:
    await page.route("https://rp.test/**", app)
    await page.goto(f"{rig.issuer}/register")
    await page.fill("#username", "alice")
    await page.fill("#password", PASSWORD)
    await page.click("button.main")
    await page.get_by_role("button", name="Later").click()
    await page.wait_for_url(f"{rig.issuer}/account")
    await page.click("#sign-out")
    request = rig.issuer + authorization()

    await page.goto(request)
    await enter_password(page)
    await expect(page.locator("#why")).to_contain_text("Your organisation asks for two steps")
    await expect(page.locator("main")).to_contain_text("7 days")
    await page.get_by_role("button", name="Later").click()
    await page.click("button[name=decision][value=allow]")
    assert "code" in await arrive(page)

    rig.clock.advance(timedelta(days=7))
    await page.goto(request)
    if await page.locator("#password").count():
        await enter_password(page)
    await expect(page.get_by_role("button", name="Later")).to_have_count(0)
    await page.goto(f"{rig.issuer}/account/authenticators/add-totp")
    if await page.locator("#password").count():
        await enter_password(page)
    totp = await add_app(page, rig)
    await page.goto(f"{rig.issuer}/account")
    await page.click("#sign-out")

    rig.clock.advance(60)
    await page.goto(request)
    await enter_password(page)
    await page.check("input[name=trust]")
    await page.fill("#code", totp.at(rig.clock()))
    await page.click("button.main")
    assert "code" in await arrive(page)
    await page.goto(f"{rig.issuer}/account")
    await page.click("#sign-out")
    await page.goto(request)
    await enter_password(page)
    assert "code" in await arrive(page), "no second step is asked for here"
    # An app that asks for two steps gets two, trust or not.
    rig.clock.advance(60)
    await page.goto(rig.issuer + authorization(acr_values="mfa"))
    await expect(page.locator("form[data-method=totp]")).to_be_visible()
