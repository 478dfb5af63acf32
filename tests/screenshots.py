"""Takes a picture of every page's sample, as a phone and a desk show it, in light and in dark: `make screenshots`."""

import asyncio
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from idp.web.pages import PAGES, FormPostPage
from tests.browser import CHROMIUM, FLAGS, serving
from tests.gallery import name_of, pages

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"phone": (390, 844), "desktop": (1280, 860)}


async def take(browser: Browser, site: str, directory: Path, names: list[str]) -> None:
    """Write the pictures of these pages into the directory, as NAME-{phone,desktop}-{light,dark}.png."""
    for size, (width, height) in SIZES.items():
        page = await browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
        for name in names:
            await page.goto(f"{site}/{name}")
            await page.emulate_media(color_scheme="light")
            await page.screenshot(path=directory / f"{name}-{size}-light.png", full_page=True)
            await page.emulate_media(color_scheme="dark")
            await page.screenshot(path=directory / f"{name}-{size}-dark.png", full_page=True)
        await page.close()


async def main(directory: Path) -> None:
    """Take all pictures; the page that only passes by is left out."""
    samples = {name_of(kind): kind.sample() for kind in PAGES if kind is not FormPostPage}
    with serving({f"/{name}": pages().render(page) for name, page in samples.items()}) as site:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            await take(browser, site, directory, list(samples))
            await browser.close()


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(IMAGES))
