"""All pages in a real browser: accessible, silent, under the real content security policy."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from idp.web.pages import WORDS, FormPostPage, NewCodesPage, SignInPage
from tests.accessibility import VIEWS, View, examine, table, written
from tests.browser import Authenticator, serving
from tests.gallery import gallery, pages

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    drawn = {f"/{name}": pages().render(page) for name, page in gallery().items()}
    with serving(drawn) as url:
        yield url


@pytest_asyncio.fixture
async def authenticator(page: Page) -> Authenticator:
    return await Authenticator.of(page)


async def stay(route: Route) -> None:
    """An empty script in place of the one that would leave the page at once."""
    await route.fulfill(content_type="text/javascript", body="")


async def sent(page: Page, button: str) -> dict[str, str]:
    """What the page posts when the ceremony that the button starts has ended."""
    async with page.expect_request(lambda request: request.method == "POST") as posting:
        await page.click(button)
    return dict(parse_qsl((await posting.value).post_data or ""))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
async def test_axe_finds_nothing_and_the_console_is_silent(browser: Browser, view: View) -> None:
    found = await examine(browser, view)
    assert {name: faults for name, faults in found.faults.items() if faults} == {}
    assert found.said == []
    # Nothing was found: so the document may say so of every page, and of this way to look at it.
    assert written() == table(dict.fromkeys(VIEWS, found)), "docs/accessibility.md is old: make accessibility"


async def test_colours_that_the_user_forces_leave_borders_and_focus(browser: Browser, site: str) -> None:
    context = await browser.new_context(forced_colors="active")
    page = await context.new_page()
    for name in ("login-totp", "login-password-failed", "account-authenticators", "login-another-way"):
        await page.goto(f"{site}/{name}")
        flat = """all => all.filter(one => one.checkVisibility() && parseFloat(getComputedStyle(one).borderWidth) < 1)
          .map(one => one.outerHTML)"""
        assert await page.locator(".btn, .field input, .note, .slip, .tag").evaluate_all(flat) == [], name
    await context.close()


async def test_nothing_moves_where_motion_is_not_wanted(browser: Browser, site: str) -> None:
    context = await browser.new_context(reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(f"{site}/login-password")
    moving = """all => all.filter(one => getComputedStyle(one).transitionProperty !== "none" &&
      parseFloat(getComputedStyle(one).transitionDuration) > 0).length"""
    assert await page.locator("*").evaluate_all(moving) == 0
    await context.close()


async def test_text_may_be_twice_as_large_and_spaced(browser: Browser, site: str) -> None:
    """WCAG, resized and spaced text: nothing is cut off and nothing scrolls sideways."""
    context = await browser.new_context(viewport={"width": 360, "height": 800}, bypass_csp=True)
    page = await context.new_page()
    await page.route("**/form_post.js*", stay)
    spaced = "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }"
    for name in gallery():
        for style in (spaced, "html { font-size: 200% }"):
            await page.goto(f"{site}/{name}")
            await page.add_style_tag(content=style)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360, (name, style)
    await context.close()


async def test_nothing_hinders_pasting_and_password_managers(page: Page, site: str) -> None:
    """Accessible authentication, ASVS 6.2.7: a paste arrives, and every field says what belongs into it."""
    for name, field in (("login-password", "password"), ("register", "password"), ("login-totp", "code")):
        await page.goto(f"{site}/{name}")
        kept = """one => one.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, cancelable: true}))"""
        assert await page.locator(f"#{field}").evaluate(kept), name
        assert await page.get_attribute(f"#{field}", "autocomplete") in {
            "current-password",
            "new-password",
            "one-time-code",
        }


async def test_each_page_fits_320_pixels_and_has_its_icons(browser: Browser, site: str) -> None:
    context = await browser.new_context(viewport={"width": 320, "height": 640})
    page = await context.new_page()
    await page.route("**/form_post.js*", stay)
    for name in gallery():
        await page.goto(f"{site}/{name}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320, name
        empty = "all => all.filter(one => one.checkVisibility() && !one.getBBox().width).map(one => one.outerHTML)"
        assert await page.locator("svg.i").evaluate_all(empty) == [], name
    await context.close()


async def test_the_password_can_be_seen_and_is_hidden_again_when_sent(page: Page, site: str) -> None:
    """ASVS 6.2.6."""
    await page.goto(f"{site}/login-password")
    await page.fill("#username", "alice")
    await page.fill("#password", "correct horse")
    await page.get_by_role("button", name="Show password").click()
    assert await page.get_attribute("#password", "type") == "text"
    async with page.expect_request(f"{site}/login") as posting:
        await page.get_by_role("button", name="Sign in", exact=True).click()
    assert (await posting.value).post_data == "username=alice&password=correct+horse"
    assert await page.get_attribute("#password", "type") == "password"


async def test_an_app_is_answered_at_once(page: Page, site: str) -> None:
    async with page.expect_request(FormPostPage.sample().action) as posting:
        await page.goto(f"{site}/form-post", wait_until="commit")
    request = await posting.value
    assert (request.method, request.post_data) == ("POST", "code=SplxlOBeZQQYbYS6WxSbIA&state=af0ifjsldkj")


@pytest.mark.parametrize("name", ["login-password", "login-webauthn", "account-add-passkey"])
async def test_without_script_no_ceremony_is_offered(browser: Browser, site: str, name: str) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{site}/{name}")
    assert not await page.locator("#use-passkey, #add-passkey").is_visible()
    assert await page.locator("noscript p").count() == (0 if name == "login-password" else 1)
    await context.close()


async def test_a_passkey_is_made_and_then_used(page: Page, site: str, authenticator: Authenticator) -> None:
    assert authenticator
    await page.goto(f"{site}/account-add-passkey")
    await page.fill("#name", "Laptop")
    made = await sent(page, "#add-passkey")
    assert made["name"] == "Laptop"
    credential = json.loads(made["credential"])
    assert credential["type"] == "public-key"
    assert credential["response"]["attestationObject"]
    await page.goto(f"{site}/login-webauthn")
    used = json.loads((await sent(page, "#use-passkey"))["credential"])
    assert used["id"] == credential["id"]
    assert used["response"]["userHandle"] == "YWxpY2U"


async def test_a_passkey_offered_by_autofill_needs_no_press(
    page: Page, site: str, authenticator: Authenticator
) -> None:
    assert authenticator
    await page.goto(f"{site}/account-add-passkey")
    await sent(page, "#add-passkey")
    async with page.expect_request(lambda request: request.method == "POST") as posting:
        await page.goto(f"{site}/login-password", wait_until="commit")
    assert (await posting.value).url == site + SignInPage.sample().action


@pytest.mark.parametrize("name", ["login-password", "login-webauthn"])
async def test_a_refused_ceremony_is_explained_and_can_be_tried_again(
    page: Page, site: str, authenticator: Authenticator, name: str
) -> None:
    await page.goto(f"{site}/{name}")
    await authenticator.verify_user(False)
    for _ in range(2):
        await page.click("#use-passkey")
        error = page.locator("#error")
        await error.wait_for()
        assert await error.get_attribute("data-error") == "webauthn_cancelled"
        assert " ".join((await error.inner_text()).split()) == WORDS["webauthn_cancelled"].message
        assert await page.locator("#status").inner_text() == ""
        assert await error.count() == 1


async def test_new_codes_are_copied_each_on_a_line(browser: Browser, site: str) -> None:
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    await page.goto(f"{site}/account-new-codes")
    await page.get_by_role("button", name="Copy").click()
    await page.get_by_text("Copied.").wait_for()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.split("\n") == list(NewCodesPage.sample().codes)
    assert await page.get_by_role("button", name="Print").is_visible()
    await context.close()


async def test_on_paper_there_are_the_codes_whose_they_are_and_of_when(page: Page, site: str) -> None:
    await page.goto(f"{site}/account-new-codes")
    await page.emulate_media(media="print")
    printed = " ".join((await page.locator("body").inner_text()).split())
    codes = " ".join(NewCodesPage.sample().codes)
    assert printed == (
        f"Example ID Keep your recovery codes A alice {codes} "
        "Made on 24 November 2026. Earlier ones do not work any more."
    )
