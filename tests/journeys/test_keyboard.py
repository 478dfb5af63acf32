"""The main ways by keyboard alone, with axe at every stop (WCAG 2.2: 2.1.1, 2.1.2, 2.4.3, 2.4.7, 2.4.11)."""

import pyotp
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from tests.browser import Authenticator
from tests.driver import former_code
from tests.journeys.people import PASSWORD

pytestmark = pytest.mark.browser

# Whether the focus can be seen: a ring around the control, or for a field a border of the ring's own thickness.
VISIBLE = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const middle = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return ring && box.width > 0 && (one === middle || one.contains(middle) || middle?.contains(one));
}"""


class Keyboard:
    """Somebody who has no mouse; each page they stop at is looked at by axe."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def to(self, selector: str) -> None:
        """Tab on, once around the page at most, until that control has the focus; every stop on the way shows it."""
        for _ in range(60):
            if await self._is_at(selector):
                return
            await self.page.keyboard.press("Tab")
            if await self.page.evaluate("document.activeElement !== document.body"):
                assert await self.page.evaluate(VISIBLE), await self.page.evaluate("document.activeElement.outerHTML")
        raise AssertionError(f"{selector} is not reached on {self.page.url}")

    async def press(self, selector: str, key: str = "Enter") -> None:
        """Go there and press; the next page is there when this ends."""
        await self.to(selector)
        async with self.page.expect_navigation():
            await self.page.keyboard.press(key)
        await self._look()

    async def fill(self, selector: str, text: str) -> None:
        """Go there and type."""
        await self.to(selector)
        await self.page.keyboard.type(text)

    async def starts_at(self, selector: str) -> None:
        """The page has put the focus there by itself, for it is what the page is about."""
        assert await self._is_at(selector), self.page.url

    async def _is_at(self, selector: str) -> bool:
        return bool(await self.page.evaluate("wanted => document.activeElement.matches(wanted)", selector))

    async def _look(self) -> None:
        results = await Axe().run(self.page)
        faults = results.response["violations"]
        assert not faults, [(self.page.url, fault["id"], fault["nodes"][0]["html"]) for fault in faults]


async def test_from_registration_to_a_signed_in_app(page: Page, site: tuple[str, str]) -> None:
    provider, demo = site
    at = Keyboard(page)
    await page.goto(demo)
    await at.press("#sign-in")
    await at.starts_at("#username")
    await at.press("a[href^='/register']")
    await at.fill("#username", "alice")
    await at.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/consent?*")
    await at.press("button[name=decision][value=allow]")
    assert (await page.inner_text("[data-claim=acr]")).strip() == "1fa"

    await page.goto(f"{provider}/account")
    await at.press(".places a[href='/account/authenticators'], main a[href='/account/authenticators']")
    await at.press("#add-totp")
    totp = pyotp.TOTP((await page.inner_text("#totp-secret")).strip())
    await at.fill("#code", await former_code(totp))
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{provider}/account/authenticators")
    await at.press("#sign-out")

    await page.goto(f"{provider}/account")
    await at.starts_at("#username")
    await page.keyboard.type("alice")
    await at.fill("#password", "not the right one, though long")
    await page.keyboard.press("Enter")
    await page.locator("#error").wait_for()
    await at.starts_at("#password")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.locator("form[data-method=totp]").wait_for()
    await at.starts_at("#code")
    await page.keyboard.type(totp.now())
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{provider}/account")


async def test_another_way_and_a_passkey(page: Page, site: tuple[str, str]) -> None:
    provider, demo = site
    device = await Authenticator.of(page)
    at = Keyboard(page)
    await page.goto(f"{provider}/register")
    await at.fill("#username", "alice")
    await at.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{provider}/account")
    await page.goto(f"{provider}/account/authenticators")
    await at.press("#add-passkey")
    await at.press("#add-passkey")
    await page.wait_for_url(f"{provider}/account/authenticators")
    await at.press("#sign-out")
    await device.touch(False)
    await page.goto(demo)
    await at.press("#sign-in")
    await at.fill("#username", "alice")
    await at.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.locator("#use-another-way").wait_for()
    await at.press("#use-another-way")
    await at.press("button[name=method][value^=webauthn]")
    await device.touch(True)
    await at.press("#use-passkey", "Space")
    await at.press("button[name=decision][value=deny]")
    assert page.url.startswith(demo)


async def test_a_language_is_chosen_and_stays(page: Page, site: tuple[str, str]) -> None:
    provider, _ = site
    at = Keyboard(page)
    await page.goto(f"{provider}/login")
    await at.to(".foot summary")
    await page.keyboard.press("Enter")
    await at.press(".foot a[lang=ar]")
    assert await page.get_attribute("html", "dir") == "rtl"
    await page.goto(f"{provider}/register")
    assert await page.get_attribute("html", "lang") == "ar"
