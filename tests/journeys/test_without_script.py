"""Everything but passkeys with JavaScript off: from registration to a signed-in app, a step-up and a lost phone."""

import re

import pyotp
import pytest
from playwright.async_api import Browser, Page

from tests.driver import former_code
from tests.journeys.people import PASSWORD

pytestmark = pytest.mark.browser


async def test_with_javascript_off(browser: Browser, site: tuple[str, str]) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await _journey(page, *site)
    await context.close()


async def _journey(page: Page, provider: str, demo: str) -> None:
    await page.goto(demo)
    await page.click("#sign-in")
    await page.click("a[href^='/register']")
    await page.fill("#username", "alice")
    await page.fill("#password", "passwordpassword")
    await page.click("button.main")
    assert await page.get_attribute("#error", "data-error") == "password_known"
    assert await page.input_value("#username") == "alice"
    await page.fill("#password", PASSWORD)
    await page.click("button.main")
    await page.click("button[name=decision][value=allow]")
    assert (await page.inner_text("[data-claim=acr]")).strip() == "1fa"

    await page.goto(f"{provider}/account/authenticators")
    await page.click("#add-totp")
    totp = pyotp.TOTP((await page.inner_text("#totp-secret")).strip())
    await page.fill("#code", await former_code(totp))
    await page.click("button.main")
    await page.goto(f"{provider}/account/recovery-codes")
    await page.click("#renew-recovery-codes")
    codes = await page.locator("#recovery-codes li").all_inner_texts()
    assert len(codes) == 10
    await page.goto(f"{provider}/account/sessions")
    assert "This device" in await page.inner_text("main")
    await page.click("#sign-out")

    await page.goto(f"{provider}/account")
    await page.fill("#username", "alice")
    await page.fill("#password", PASSWORD)
    await page.click("form[data-method=password] button.main")
    await page.fill("#code", totp.now())
    await page.click("button.main")
    assert page.url == f"{provider}/account"
    await page.click("#sign-out")

    # The phone is lost: a recovery code stands in for it.
    await page.goto(f"{provider}/account/activity")
    await page.fill("#username", "alice")
    await page.fill("#password", PASSWORD)
    await page.click("form[data-method=password] button.main")
    await page.click("#use-another-way")
    await page.click("button[data-method=recovery]")
    await page.fill("#code", re.sub(r"\s", "", codes[0]))
    await page.click("button.main")
    assert page.url == f"{provider}/account/activity"

    # Where only a passkey would do, the page says that it needs JavaScript, and how to get away.
    await page.goto(demo)
    await page.click("#transfer")
    await page.click("#add-passkey")
    assert "JavaScript" in await page.inner_text("main")
    await page.click(".foot summary")
    await page.click(".foot a[lang=de]")
    assert await page.get_attribute("html", "lang") == "de"
