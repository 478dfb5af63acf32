"""What axe-core finds on every page and state, and the table of it in docs/accessibility.md: `make accessibility`."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Route, async_playwright

from idp.web.language import ENGLISH, Language, choose
from tests.browser import CHROMIUM, FLAGS, serving
from tests.gallery import gallery, pages

DOCUMENT = Path(__file__).parents[1] / "docs" / "accessibility.md"
MARK = "<!-- what follows is written by `make accessibility` -->\n"

# The rule of 2.5.8 (a target of 24 pixels) is not among those that run unasked.
OPTIONS = {"rules": {"target-size": {"enabled": True}}}


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at the pages."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    language: Language = ENGLISH
    forced_colors: Literal["active", "none"] = "none"


VIEWS = (
    View("light, 360 px", "light", 360),
    View("light, 1280 px", "light", 1280),
    View("dark, 360 px", "dark", 360),
    View("dark, 1280 px", "dark", 1280),
    View("Arabic, 360 px", "light", 360, choose("ar")),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found on each page, and what the browser's console said."""

    faults: Mapping[str, list[str]]
    said: list[str] = field(default_factory=list)


async def examine(browser: Browser, view: View) -> Found:
    """Look at every page and state in this way."""
    drawn = {f"/{name}": pages().render(page, view.language) for name, page in gallery().items()}
    context = await browser.new_context(color_scheme=view.scheme, viewport={"width": view.width, "height": 800})
    page = await context.new_page()
    await page.route("**/form_post.js*", _stay)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    faults: dict[str, list[str]] = {}
    with serving(drawn) as site:
        for name in gallery():
            await page.goto(f"{site}/{name}")
            await page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
            results = (await Axe().run(page, options=OPTIONS)).response
            found = [f"{one['id']}: {one['nodes'][0]['html']}" for one in results["violations"] + results["incomplete"]]
            if await page.evaluate("document.documentElement.scrollWidth") > view.width:
                found.append("scrolls sideways")
            faults[name] = found
    await context.close()
    return Found(faults, said)


async def _stay(route: Route) -> None:
    """An empty script in place of the one that would leave the page at once."""
    await route.fulfill(content_type="text/javascript", body="")


def table(found: Mapping[View, Found]) -> str:
    """The table of the document: a line for each page and state, and how many faults each view has."""
    head = f"| page or state | {' | '.join(view.name for view in found)} |\n|---|{'---|' * len(found)}\n"
    rows = (f"| {name} | {' | '.join(str(len(one.faults[name])) for one in found.values())} |" for name in gallery())
    return head + "\n".join(rows) + "\n"


def written() -> str:
    """The table that the document has."""
    return DOCUMENT.read_text().partition(MARK)[2].lstrip("\n")


async def main() -> None:
    """Write the table anew."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found = {view: await examine(browser, view) for view in VIEWS}
        await browser.close()
    before = DOCUMENT.read_text().partition(MARK)[0]
    DOCUMENT.write_text(f"{before}{MARK}\n{table(found)}")


if __name__ == "__main__":
    asyncio.run(main())
