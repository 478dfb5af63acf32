"""The page of the browsers in which one is signed in."""

import re
from datetime import timedelta

from idp.store.database import transaction
from tests.driver import Browser, Rig
from tests.web.account.people import error_on, sign_in, text_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"


async def two(rig: Rig) -> tuple[Browser, Browser]:
    """Alice's browser at her desk and the one on her phone, where she signs in an hour later."""
    desk, phone = rig.browser(address="192.0.2.7"), rig.browser(address="2001:db8::7")
    desk.http.headers["user-agent"], phone.http.headers["user-agent"] = FIREFOX, IPHONE
    await desk.register()
    rig.clock.advance(timedelta(minutes=50))
    await sign_in(phone)
    await desk.get("/account")
    return desk, phone


def ids_on(page_text: str) -> list[str]:
    """The sessions that a page offers to end."""
    return re.findall(r"/account/sessions/(\w+)/end\"", page_text)


async def live(rig: Rig) -> set[str]:
    async with transaction(rig.app.state.provider.pool) as conn:
        return {row[0] for row in await conn.fetch("SELECT id FROM sessions WHERE ended_at IS NULL")}


async def test_7_5_2_one_sees_where_one_is_signed_in(rig: Rig) -> None:
    """Where, when, with which browser and by what; this one first; all that the database has."""
    desk, phone = await two(rig)
    text = text_of(await phone.get("/account/sessions"))
    here, _, there = text.partition("This device")
    assert "Safari on iPhone" in here
    assert "2001:db8::7 · signed in 2 January, 03:54 UTC with your password · active now" in here
    assert "Firefox on Linux" in there
    assert "192.0.2.7 · signed in 2 January, 03:04 UTC with your password · last active 2 January, 03:54 UTC" in there
    offered = ids_on((await desk.get("/account/sessions")).text) + ids_on((await phone.get("/account/sessions")).text)
    assert set(offered) == await live(rig)
    assert len(offered) == 2
    assert "Signed in on 2 devices" in text_of(await desk.get("/account"))


async def test_7_5_2_one_session_is_ended(rig: Rig) -> None:
    desk, phone = await two(rig)
    (other,) = ids_on((await desk.get("/account/sessions")).text)
    after = await desk.post(f"/account/sessions/{other}/end", {})
    assert after.url.path == "/account/sessions"
    assert ids_on(after.text) == []
    assert "end-others" not in after.text
    assert (await phone.get("/account")).url.path == "/login"
    assert (await desk.get("/account")).url.path == "/account"
    assert "Only this one" in text_of(await desk.get("/account"))


async def test_7_5_2_all_other_sessions_are_ended(rig: Rig) -> None:
    """(ASVS 7.4.3) The page of the ways to sign in offers it, and other browsers are known no more."""
    desk, phone = await two(rig)
    third = rig.browser()
    await sign_in(third)
    offered = await desk.get("/account/authenticators")
    assert "You are signed in on 2 other devices." in text_of(offered)
    await desk.post("/account/sessions/end-others", {})
    assert (await phone.get("/account")).url.path == (await third.get("/account")).url.path == "/login"
    assert (await desk.get("/account")).url.path == "/account"
    assert "other device" not in text_of(await desk.get("/account/authenticators"))
    async with transaction(rig.app.state.provider.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM known_devices") == 1
        told = await conn.fetch("SELECT event, details FROM audit_events ORDER BY id DESC LIMIT 1")
    assert [(row["event"], row["details"]) for row in told] == [("sessions_ended", {"count": 2})]


async def test_ones_own_session_may_be_ended_too(rig: Rig) -> None:
    desk, phone = await two(rig)
    (here,) = ids_on((await phone.get("/account/sessions")).text)
    await desk.get("/account/sessions")
    assert (await desk.post(f"/account/sessions/{here}/end", {})).url.path == "/signed-out"
    assert "idp_session" not in desk.http.cookies
    assert (await phone.get("/account")).url.path == "/account"


async def test_what_is_over_is_neither_shown_nor_ended(rig: Rig) -> None:
    desk, phone = await two(rig)
    (idle,) = ids_on((await phone.get("/account/sessions")).text)
    rig.clock.advance(timedelta(minutes=59))
    await phone.get("/account")
    rig.clock.advance(timedelta(minutes=2))
    assert ids_on((await phone.get("/account/sessions")).text) == []
    refused = await phone.post(f"/account/sessions/{idle}/end", {})
    assert (refused.status_code, error_on(refused)) == (404, "not_found")
    assert desk


async def test_A_74_nobody_ends_the_session_of_another(rig: Rig) -> None:
    desk, phone = await two(rig)
    (other,) = ids_on((await desk.get("/account/sessions")).text)
    mallory = rig.browser()
    await mallory.register("mallory")
    refused = await mallory.post(f"/account/sessions/{other}/end", {})
    assert (refused.status_code, error_on(refused)) == (404, "not_found")
    await mallory.post("/account/sessions/end-others", {})
    assert (await phone.get("/account")).url.path == (await desk.get("/account")).url.path == "/account"


async def test_nobody_at_all_ends_nothing(rig: Rig) -> None:
    desk, phone = await two(rig)
    stranger = rig.browser()
    for path in ("/account/sessions/end-others", f"/account/sessions/{(await live(rig)).pop()}/end"):
        assert (await stranger.post(path, {})).url.path == "/login"
    assert len(await live(rig)) == 2
    assert desk
    assert phone


async def test_what_a_browser_says_of_itself_is_text(rig: Rig) -> None:
    browser = rig.browser()
    browser.http.headers["user-agent"] = "<script>alert(1)</script>"
    await browser.register()
    page = await browser.get("/account/sessions")
    assert "alert(1)" not in page.text
    assert "Another browser" in page.text


async def test_A_64_of_very_many_browsers_those_used_last_are_shown(rig: Rig) -> None:
    """This one first, and the one that is left out can be ended all the same."""
    browser = rig.browser()
    await browser.register()
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(
            """
            INSERT INTO sessions (id, secret_hash, sub, evidence, created_at, seen_at, expires_at)
            SELECT 's' || n, sha256(n::text::bytea), sub, '[]', created_at, $1::timestamptz + n * interval '1 second',
                $1::timestamptz + interval '1 day'
            FROM users, generate_series(1, 120) AS n
            """,
            rig.clock(),
        )
    page = await browser.get("/account/sessions")
    assert ids_on(page.text) == [f"s{n}" for n in range(120, 21, -1)]
    assert "Only the devices you used last are listed." in text_of(page)
    assert text_of(page).index("This device") < text_of(page).index("End")
    assert "Signed in on 121 devices" in text_of(await browser.get("/account"))
    assert (await browser.post("/account/sessions/s1/end", {})).url.path == "/account/sessions"
    assert "s1" not in await live(rig)
    await browser.post("/account/sessions/end-others", {})
    page = await browser.get("/account/sessions")
    assert ids_on(page.text) == []
    assert "Only the devices" not in text_of(page)
