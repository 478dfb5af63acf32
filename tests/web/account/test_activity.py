"""The page of what happened to the account."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from idp.model.event import Event
from idp.store.audit_events import record_event
from idp.store.database import transaction
from idp.web.account.activity import ACTS, PER_PAGE
from tests.driver import Browser, Rig, authorization, code_of, running
from tests.web.account.people import OTHER_PASSWORD, sign_in, text_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def acts_on(page: str) -> list[tuple[str, str]]:
    """Each act that a page lists with its facts, from the top."""
    found = re.findall(r'<b dir="auto">([^<]*)</b><small>([^<]*)</small>', page.partition("<main")[2])
    return [(unescape(title), unescape(facts)) for title, facts in found]


async def titles(browser: Browser, query: str = "") -> list[str]:
    return [title for title, _ in acts_on((await browser.get(f"/account/activity{query}")).text)]


async def record(rig: Rig, *events: str, sub: str | None = None, **details: object) -> list[int]:
    """Write these events of alice's into the trail, a second apart; answers their ids."""
    async with transaction(rig.app.state.provider.pool) as conn:
        whose = sub or await conn.fetchval("SELECT sub FROM users WHERE username = 'alice'")
        for event in events:
            rig.clock.advance(1)
            await record_event(conn, Event(event, "user", rig.clock(), sub=whose, details=details))
        rows = await conn.fetch("SELECT id FROM audit_events ORDER BY id DESC LIMIT $1", len(events))
    return [row["id"] for row in reversed(rows)]


async def test_one_sees_what_happened_when_where_and_with_what(rig: Rig) -> None:
    browser, stranger = rig.browser(address="192.0.2.7"), rig.browser(address="198.51.100.9")
    browser.http.headers["user-agent"] = FIREFOX
    await browser.register()
    rig.clock.advance(60)
    await sign_in(stranger, OTHER_PASSWORD)
    rig.clock.advance(60)
    seed = await browser.add_totp(rig)
    rig.clock.advance(60)
    again = rig.browser(address="192.0.2.7")
    again.http.headers["user-agent"] = FIREFOX
    await again.get(authorization())
    await again.submit(username="alice", password="correct horse battery staple")
    await again.submit(code=code_of(seed, rig))
    await again.submit(decision="allow")
    shown = acts_on((await browser.get("/account/activity")).text)
    assert shown == [
        ("App allowed", "2 January 2026, 03:07 UTC · Example Bank · Firefox on Linux · 192.0.2.7"),
        ("Signed in to Example Bank", "2 January 2026, 03:07 UTC · Firefox on Linux · 192.0.2.7"),
        ("Authenticator app added", "2 January 2026, 03:06 UTC · Firefox on Linux · 192.0.2.7"),
        ("A sign-in failed", "2 January 2026, 03:05 UTC · Password · 198.51.100.9"),
        ("Signed in", "2 January 2026, 03:04 UTC · Firefox on Linux · 192.0.2.7"),
        ("Account made", "2 January 2026, 03:04 UTC · 192.0.2.7"),
    ]


@pytest.mark.parametrize("event", ACTS)
async def test_each_act_has_its_words(rig: Rig, event: str) -> None:
    browser = rig.browser()
    await browser.register()
    await record(rig, event, method="quantum", detail="a detail that is ours")
    page = await browser.get("/account/activity")
    title, _ = acts_on(page.text)[0]
    assert title == ACTS[event][1].message % {"kind": "Way to sign in"}
    assert "detail that is ours" not in page.text
    assert "quantum" not in page.text


async def test_what_has_no_words_is_not_shown(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    before = await titles(browser)
    await record(rig, "factor_proved", "token_refused", "something_new")
    assert await titles(browser) == before


async def test_fifty_a_page_and_the_older_ones_behind(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await record(rig, *["password_changed"] * (PER_PAGE - 2))
    page = await browser.get("/account/activity")
    assert len(acts_on(page.text)) == PER_PAGE
    assert "before=" not in page.text, "that is all"
    (newest,) = await record(rig, "recovery_codes_renewed")
    page = await browser.get("/account/activity")
    older = re.search(r'href="(/account/activity\?before=\d+)"', page.text)
    assert older
    assert acts_on(page.text)[0][0] == "New recovery codes made"
    assert len(acts_on(page.text)) == PER_PAGE
    page = await browser.get(older[1])
    assert [title for title, _ in acts_on(page.text)] == ["Account made"]
    assert 'href="/account/activity">Newest' in page.text
    assert await titles(browser, f"?before={newest}") != await titles(browser)


@pytest.mark.parametrize("before", ["", "x", "-1", "1.5", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 40, "1' OR '1'='1"])
async def test_a_place_that_is_none_leads_to_the_newest(rig: Rig, before: str) -> None:
    browser = rig.browser()
    await browser.register()
    page = await browser.http.get("/account/activity", params={"before": before})
    assert (page.status_code, len(acts_on(page.text))) == (200, 2)


async def test_there_is_an_end_to_it(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    page = await browser.get("/account/activity?before=0")
    assert "Nothing older" in text_of(page)


async def test_after_ninety_days_it_is_shown_no_more(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    rig.clock.advance(timedelta(days=90))
    await sign_in(browser)
    assert await titles(browser) == ["Signed in", "Signed in", "Account made"]
    rig.clock.advance(1)
    assert await titles(browser) == ["Signed in"]


async def test_A_74_one_sees_what_is_ones_own(rig: Rig) -> None:
    """Whatever place in the trail one names."""
    browser, mallory, stranger = rig.browser(), rig.browser(), rig.browser()
    await browser.register()
    await mallory.register("mallory")
    places = await record(rig, "password_changed", "recovery_codes_renewed")
    await record(rig, "password_changed", sub="s0")
    assert await titles(mallory) == ["Signed in", "Account made"]
    for place in places:
        assert await titles(mallory, f"?before={place + 1}") == ["Signed in", "Account made"]
    assert (await stranger.get("/account/activity")).url.path == "/login"
    assert (await titles(browser))[:2] == ["New recovery codes made", "Password changed"]


async def test_one_sees_that_a_code_a_link_or_a_mail_was_held_back(database: str, tmp_path: Path) -> None:
    """Whoever asked for it: the row has the account in its own column, and nowhere else."""
    async with running(database, tmp_path, IDP_SMS_URL="outbox:") as rig:
        browser, stranger = rig.browser(), rig.browser(address="198.51.100.9")
        await browser.register()
        for _ in range(4):
            await browser.post("/account/authenticators/add-phone", {"phone": "+447700900123"})
            await browser.post("/account/email", {"email": "alice@mail.test"})
            await stranger.post("/recover", {"username": "alice"})
        assert {title for title in await titles(browser) if ": too many had been" in title} == {
            "No code was sent: too many had been",
            "No link was sent to confirm an e-mail address: too many had been",
            "No mail was sent to recover the account: too many had been asked for",
        }
        query = "SELECT sub, details::text AS details FROM audit_events WHERE event LIKE '%held_back'"
        async with transaction(rig.app.state.provider.pool) as conn:
            rows = await conn.fetch(query)
    assert rows
    assert all(row["sub"] and row["sub"] not in row["details"] for row in rows)
