"""What an owner does with an account, in a real browser: its address, its phone, its browsers, its apps, its end."""

import json

import pytest
from playwright.async_api import Browser, Page, expect

from tests.journeys.people import PASSWORD, add_totp, enter_password, newest, register

pytestmark = pytest.mark.browser
LINK = r"(http://localhost:\d+/{}\?link=\S+)"


async def test_a_forgotten_password_is_replaced_by_mail_and_a_code(page: Page, site: tuple[str, str]) -> None:
    provider, demo = site
    await register(page, provider, email="alice@mail.example")
    await page.goto(await newest(page, demo, LINK.format("confirm-email")))
    await page.click("button.main")
    totp = await add_totp(page, provider)
    await page.click("#sign-out")

    await page.goto(f"{provider}/account/password")
    await page.click("#forgot-password")
    await page.fill("#username", "alice")
    await page.click("button.main")
    await page.goto(await newest(page, demo, LINK.format("recover/password")))
    await page.click("button.main")
    await page.fill("#code", totp.now())
    await page.click("button.main")
    await page.fill("#password", "another horse, another staple")
    await page.click("button.main")
    await page.goto(f"{provider}/account")
    await enter_password(page)
    await expect(page.locator("#error")).to_have_attribute("data-error", "wrong_credentials")
    await enter_password(page, password="another horse, another staple")
    await page.locator("form[data-method=totp]").wait_for()


async def test_codes_by_text_message(page: Page, site: tuple[str, str]) -> None:
    provider, demo = site
    await register(page, provider)
    await page.goto(f"{provider}/account/authenticators")
    await page.click("#add-phone")
    await page.fill("#phone", "+44 7700 900123")
    await page.click("button.main")
    first = await newest(page, demo, r"\b(\d{6}) is your code")
    await page.fill("#code", first)
    await page.click("button.main")
    await page.wait_for_url(f"{provider}/account/authenticators")
    await page.click("#sign-out")
    await page.goto(f"{provider}/account")
    await enter_password(page)
    await page.locator("form[data-method=sms]").wait_for()
    second = await newest(page, demo, rf"\b(?!{first})(\d{{6}}) is your code")
    # Typed as people read it out.
    await page.fill("#code", f"{second[:3]} {second[3:]}")
    await page.click("button.main")
    await page.wait_for_url(f"{provider}/account")


async def test_profile_apps_browsers_activity_and_data(page: Page, browser: Browser, site: tuple[str, str]) -> None:
    provider, demo = site
    await register(page, provider)
    await page.goto(f"{provider}/account/profile")
    await page.fill("#name", "Alice Example")
    await page.click("button.main")
    await page.goto(demo)
    await page.click("#sign-in")
    await page.click("button[name=decision][value=allow]")
    await expect(page.locator("h1")).to_have_text("Hello, Alice Example")

    await page.goto(f"{provider}/account/apps")
    await page.get_by_role("button", name="Remove").first.click()
    await page.get_by_role("button", name="Remove").first.click()
    await expect(page.locator("main")).not_to_contain_text("Example Bank")

    elsewhere = await browser.new_context()
    other = await elsewhere.new_page()
    await other.goto(f"{provider}/account")
    await enter_password(other)
    await other.wait_for_url(f"{provider}/account")
    await page.goto(f"{provider}/account/sessions")
    await page.click("#end-others")
    await other.reload()
    await expect(other.locator("h1")).to_have_text("Sign in")
    await elsewhere.close()

    await page.goto(f"{provider}/account/activity")
    for told in ("Signed in", "Example Bank"):
        await expect(page.locator("main")).to_contain_text(told)

    await page.goto(f"{provider}/account/data")
    async with page.expect_download() as downloading:
        await page.click("#download-data")
    document = json.loads((await (await downloading.value).path()).read_text())
    assert document["account"]["username"] == "alice"


async def test_an_account_ends(page: Page, site: tuple[str, str]) -> None:
    provider, _ = site
    await register(page, provider)
    await page.goto(f"{provider}/account/data")
    await page.click("#delete-account")
    await page.fill("#confirmation", "bob")
    await page.click("button.danger")
    await expect(page.locator("#error")).to_have_attribute("data-error", "confirmation_wrong")
    await page.fill("#confirmation", "alice")
    await page.click("button.danger")
    await page.wait_for_url(f"{provider}/goodbye")
    await page.goto(f"{provider}/account")
    await enter_password(page)
    await expect(page.locator("#error")).to_have_attribute("data-error", "wrong_credentials")


async def test_two_accounts_in_one_browser(page: Page, site: tuple[str, str]) -> None:
    provider, demo = site
    for name in ("alice", "bob"):
        await register(page, provider, username=name)
        await page.click("#sign-out")
    await page.goto(demo)
    await page.click("#sign-in")
    if await page.locator("#username").count():
        await page.goto(page.url.replace("/login?", "/login/choose?"))
    await page.get_by_role("button", name="bob").click()
    await page.fill("#password", PASSWORD)
    await page.click("button.main")
    await page.click("button[name=decision][value=allow]")
    await expect(page.locator("h1")).to_have_text("Hello, bob")
