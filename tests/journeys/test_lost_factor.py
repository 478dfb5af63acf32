"""Somebody who has lost the second factor, in a real browser: the password, three days, a mail, and the password."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.driver import Rig
from tests.journeys.people import add_app, enter_password, on_loopback, register
from tests.web.losing import link_in, remind_ripe
from tests.web.recovering import prove_address

pytestmark = pytest.mark.browser


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with on_loopback(database, tmp_path) as found:
        yield found


async def test_lost_factors_are_replaced_after_the_delay(page: Page, browser: Browser, rig: Rig) -> None:
    await register(page, rig.issuer)
    await prove_address(rig)
    await add_app(page, rig)

    later = await (await browser.new_context()).new_page()
    await later.goto(f"{rig.issuer}/account")
    await enter_password(later)
    await later.click("#use-another-way")
    await later.click("#lost-factors")
    await expect(later.locator("main")).to_contain_text("3 days")
    await later.click("button.main")
    await expect(later).to_have_url(f"{rig.issuer}/recover/factor/asked")

    rig.clock.advance(timedelta(hours=72))
    await remind_ripe(rig)
    await later.goto(await link_in(rig, "factor_recovery_ripe"))
    await later.fill("#password", "not the right password")
    await later.click("button.danger")
    await expect(later.locator("#error")).to_have_attribute("data-error", "password_wrong")
    await later.fill("#password", "correct horse battery staple")
    await later.click("button.danger")
    await expect(later).to_have_url(f"{rig.issuer}/recover/factor/done")
    await later.click("main a.btn")
    await enter_password(later)
    await expect(later).to_have_url(f"{rig.issuer}/account/authenticators")
    await add_app(later, rig)
    await page.goto(f"{rig.issuer}/account")
    await expect(page).to_have_url(f"{rig.issuer}/login?interaction={page.url.partition('interaction=')[2]}")
    await later.context.close()


async def test_the_owner_stops_it_by_the_link_in_the_mail_without_a_sign_in(
    page: Page, browser: Browser, rig: Rig
) -> None:
    await register(page, rig.issuer)
    await prove_address(rig)
    await add_app(page, rig)
    thief = await (await browser.new_context()).new_page()
    await thief.goto(f"{rig.issuer}/account")
    await enter_password(thief)
    await thief.click("#use-another-way")
    await thief.click("#lost-factors")
    await thief.click("button.main")
    await expect(thief).to_have_url(f"{rig.issuer}/recover/factor/asked")
    await thief.context.close()

    owner = await (await browser.new_context()).new_page()
    await owner.goto(await link_in(rig, "factor_recovery_asked"))
    await owner.click("button.main")
    await expect(owner).to_have_url(f"{rig.issuer}/recover/factor/cancelled")
    await owner.context.close()
