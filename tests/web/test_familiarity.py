"""Sign-ins from a new browser or a new network: who is told, and of what (ASVS 6.3.5)."""

from datetime import timedelta
from pathlib import Path

import pytest

from idp.store.database import transaction
from idp.store.known_networks import MOST, remember_network
from tests.driver import PASSWORD, Browser, Rig, mails, running
from tests.web.recovering import alice, count

HOME, AWAY = "198.51.100.7", "203.0.113.9"


async def told(rig: Rig) -> list[str]:
    """The kinds of the notices about sign-ins, in no order."""
    return [mail.kind for mail in await mails(rig) if mail.kind.startswith("new_")]


async def again(browser: Browser) -> None:
    """Sign out and in again in this browser."""
    await browser.get("/account")
    await browser.post("/account/sign-out", {})
    await browser.get("/login")
    page = await browser.submit(username="alice", password=PASSWORD)
    assert page.url.path == "/account", page.text


def moved(rig: Rig, browser: Browser, address: str) -> Browser:
    """The same browser in another network."""
    there = rig.browser(address=address)
    there.http.cookies = browser.http.cookies
    return there


async def details(rig: Rig) -> list[dict[str, object]]:
    """What was new at each sign-in, oldest first."""
    async with transaction(rig.app.state.provider.pool) as conn:
        rows = await conn.fetch("SELECT details FROM audit_events WHERE event = 'sign_in' ORDER BY id")
    return [{name: value for name, value in row["details"].items() if name.startswith("new_")} for row in rows]


async def test_the_first_sign_in_and_one_in_the_same_place_are_no_news(rig: Rig) -> None:
    browser = await alice(rig)
    await again(browser)
    assert await told(rig) == []
    assert await details(rig) == [{}, {}]


async def test_6_3_5_a_new_browser_is_told_with_its_name_and_network(rig: Rig) -> None:
    await alice(rig)
    other = rig.browser(address=AWAY)
    other.http.headers["user-agent"] = (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )
    await other.get("/login")
    await other.submit(username="alice", password=PASSWORD)
    [mail] = [mail for mail in await mails(rig) if mail.kind == "new_device"]
    assert f"Firefox on Windows, network address {AWAY}" in mail.text
    assert await details(rig) == [{}, {"new_device": True}]
    await again(other)
    assert await told(rig) == ["new_device"], "it is known from now on"


async def test_6_3_5_a_known_browser_in_a_new_network_is_told_once_a_day(rig: Rig) -> None:
    browser = await alice(rig)
    browser = moved(rig, browser, AWAY)
    await again(browser)
    assert await told(rig) == ["new_network"]
    browser = moved(rig, browser, AWAY.replace(".9", ".200"))
    await again(browser)
    assert await told(rig) == ["new_network"], "the same network, /24"
    browser = moved(rig, browser, HOME)
    await again(browser)
    assert await told(rig) == ["new_network"], "one a day"
    assert await details(rig) == [{}, {"new_network": True}, {}, {"new_network": True}]
    rig.clock.advance(timedelta(days=1, seconds=1))
    browser = moved(rig, browser, "192.0.2.1")
    await again(browser)
    assert await told(rig) == ["new_network"] * 2


async def test_a_network_is_forgotten_after_90_days_whether_or_not_the_clean_up_was_there(rig: Rig) -> None:
    browser = await alice(rig)
    rig.clock.advance(timedelta(days=90))
    await again(browser)
    assert await told(rig) == ["new_network"]


async def test_nobody_is_told_where_that_is_switched_off_and_the_trail_knows_it_all_the_same(
    database: str, tmp_path: Path
) -> None:
    async with running(database, tmp_path, IDP_SIGN_IN_NOTICES="off") as rig:
        await alice(rig)
        other = rig.browser()
        await other.get("/login")
        await other.submit(username="alice", password=PASSWORD)
        assert await told(rig) == []
        assert await details(rig) == [{}, {"new_device": True}]


async def test_networks_are_kept_as_digests_in_bounds_and_go_with_the_account(rig: Rig) -> None:
    await alice(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        row = await conn.fetchrow("SELECT sub, network_digest, known_networks::text AS text FROM known_networks")
        assert row is not None
        assert len(row["network_digest"]) == 32
        assert "127.0.0" not in row["text"]
        for number in range(MOST + 5):
            now = rig.clock() + timedelta(seconds=number + 1)
            await remember_network(conn, row["sub"], bytes([number]) * 32, now=now)
    assert await count(rig, "SELECT count(*) FROM known_networks") == MOST
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("DELETE FROM users")
    assert await count(rig, "SELECT count(*) FROM known_networks") == 0


@pytest.mark.parametrize("kind", ["new_device"])
async def test_an_address_that_is_a_mere_claim_hears_nothing(rig: Rig, kind: str) -> None:
    browser = rig.browser()
    await browser.register()
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET email = 'x@mail.test', email_canonical = 'x@mail.test'")
    other = rig.browser()
    await other.get("/login")
    await other.submit(username="alice", password=PASSWORD)
    assert kind not in await told(rig)
