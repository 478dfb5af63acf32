"""The main job in a real browser: `idp dev`, its demo application, an authenticator app and a passkey."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser import Authenticator
from tests.journeys.people import PASSWORD, add_totp, enter_password, register

pytestmark = pytest.mark.browser


async def test_register_totp_sign_in_step_up_and_out(page: Page, site: tuple[str, str]) -> None:
    provider, demo = site
    device = await Authenticator.of(page)
    await register(page, provider)

    totp = await add_totp(page, provider)
    # A passkey for later: the app just shown is fresh enough to change authenticators.
    await page.click("#add-passkey")
    await page.click("#add-passkey")
    await page.wait_for_url(f"{provider}/account/authenticators")
    await page.goto(f"{provider}/account")
    await page.click("#sign-out")
    await expect(page.locator("h1")).to_have_text("You are signed out")

    # Else the browser's autofill would sign in with the passkey at once.
    await device.touch(False)
    await page.goto(demo)
    await page.click("#sign-in")
    await enter_password(page)
    # The account has both; the way used last comes first, so choose the app.
    await page.click("#use-another-way")
    await page.click("button[data-method=totp]")
    await page.fill("#code", totp.now())
    await page.click("button.main")
    await page.click("button[name=decision][value=allow]")
    await page.wait_for_selector("#claims")
    assert (await page.inner_text("[data-claim=acr]")).strip() == "mfa"
    amr = await page.inner_text("[data-claim=amr]")
    assert "pwd" in amr
    assert "otp" in amr

    await page.click("#transfer")
    await expect(page.locator("#why")).to_contain_text("sign-in that cannot be phished")
    await device.touch(True)
    await page.click("#use-passkey")
    await page.wait_for_selector("#transferred")
    assert (await page.inner_text("[data-claim=acr]")).strip() == "phr"
    await page.click("#sign-out")
    await page.wait_for_selector("#sign-in")
    await page.goto(f"{provider}/account")
    assert "/login" in page.url


async def test_a_passkey_alone_is_phishing_resistant(page: Page, site: tuple[str, str]) -> None:
    provider, demo = site
    await Authenticator.of(page)
    await register(page, provider)
    await page.goto(f"{provider}/account/authenticators")
    await page.click("#add-passkey")
    await page.click("#add-passkey")
    await page.wait_for_url(f"{provider}/account/authenticators")
    await page.goto(f"{provider}/account")
    await page.click("#sign-out")
    await page.goto(demo)
    await page.click("#sign-in")
    # The browser's autofill may already have used it: the button is for where it has not.
    await asyncio.sleep(1)
    if await page.locator("#use-passkey").count():
        await page.click("#use-passkey")
    await page.click("button[name=decision][value=allow]")
    await page.wait_for_selector("#claims")
    assert (await page.inner_text("[data-claim=acr]")).strip() == "phr"
    assert "pwd" not in await page.inner_text("[data-claim=amr]")


async def test_what_the_account_lacks_is_added_on_the_spot(page: Page, site: tuple[str, str]) -> None:
    _, demo = site
    await Authenticator.of(page)
    await page.goto(demo)
    await page.click("#sign-in")
    await page.click("text=Create an account")
    await page.fill("#username", "alice")
    await page.fill("#password", PASSWORD)
    await page.click("button.main")
    await page.click("button[name=decision][value=allow]")
    await page.click("#transfer")
    await expect(page.locator("h1")).to_have_text("One thing is missing")
    await page.click("#add-passkey")
    await page.click("button#add-passkey")
    await page.wait_for_selector("#transferred")
    assert (await page.inner_text("[data-claim=acr]")).strip() == "phr"
