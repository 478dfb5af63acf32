"""What somebody else can do through a user's browser, or after the user has left it."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from idp.store.database import transaction
from idp.store.sessions import end_sessions_of
from tests.attacks.test_login_flow import enrolled, every_route, halfway, only, silent
from tests.cluster import BASIC, Cluster
from tests.driver import PASSWORD, Browser, Rig, authorization, code_of, response_of, running


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client(scope=("openid", "profile", "offline_access"))
        yield found


def secret_of(browser: Browser) -> str:
    """The cookie of the browser's session."""
    return browser.http.cookies["idp_session"]


def with_cookies(rig: Rig, **cookies: str) -> Browser:
    """A new browser in which somebody has planted these cookies."""
    browser = rig.browser()
    for name, value in cookies.items():
        browser.http.cookies.set(f"idp_{name}", value, domain="localhost.local", path="/")
    return browser


async def test_A_52_nothing_of_a_flow_can_be_handed_on(rig: Rig) -> None:
    """Every route with mallory's interaction, in the browser of alice, who is signed in (ASVS 7.6.2, 3.5.3)."""
    alice, _ = await enrolled(rig)
    await alice.get(authorization())
    await alice.submit(decision="allow")
    mallory = rig.browser()
    await mallory.get(authorization(prompt="consent"))
    begun = mallory.page.url.query.decode() if mallory.page else ""
    for method, path in every_route("/login*") + every_route("/consent") + every_route("/register"):
        fields = {"username": "mallory", "password": PASSWORD, "email": "", "decision": "allow", "method": "totp"}
        answer = await alice.http.request(method, f"{path}?{begun}", data=fields if method == "POST" else None)
        chosen = (method, path) == ("POST", "/login/another-way")
        assert answer.status_code in {400, 403} or (chosen and answer.headers["location"].startswith("/login?")), path
        assert "set-cookie" not in answer.headers, path
    assert (await silent(alice))["code"], "alice is signed in as before"
    assert (await silent(mallory))["error"] == "login_required"
    assert 'data-method="password"' in (await mallory.get(f"/login?{begun}")).text


async def test_A_53_what_was_planted_is_worth_nothing_afterwards(rig: Rig) -> None:
    """All three cookies are mallory's choice; she keeps copies, and knows the address of the flow."""
    planted = {"session": "s" * 43, "browser": "b" * 43, "device": "d" * 43}
    victim, thief = with_cookies(rig, **planted), with_cookies(rig, **planted)
    page = await thief.get(authorization())
    await victim.get(f"/register?{page.url.query.decode()}")
    assert (await victim.register()).url.path == "/consent"
    for path in (f"/login?{page.url.query.decode()}", f"/consent?{page.url.query.decode()}", "/account"):
        answer = await thief.http.get(path)
        assert "idp_session" not in answer.cookies, path
        assert thief.http.cookies["idp_session"] == planted["session"], path
    assert (await silent(thief))["error"] == "login_required"


async def test_A_53_each_rise_and_each_return_has_a_secret_of_its_own(rig: Rig) -> None:
    """Sign-in, enrolment, step-up, sign-out and sign-in again: none is reissued, and all before are dead (G13).

    ASVS 7.2.4.
    """
    browser = rig.browser()
    await browser.register()
    seen = [secret_of(browser)]
    seed = await browser.add_totp(rig)
    seen.append(secret_of(browser))
    rig.clock.advance(21 * 60)
    await browser.get("/account/authenticators/add-passkey")
    await browser.submit(code=code_of(seed, rig))
    seen.append(secret_of(browser))
    await browser.post("/account/sign-out", {"x": "y"})
    assert "idp_session" not in browser.http.cookies
    rig.clock.advance(60)
    await halfway(rig, browser=browser)
    await browser.submit(code=code_of(seed, rig))
    seen.append(secret_of(browser))
    assert len(set(seen)) == 4
    for number, secret in enumerate(seen, start=1):
        alive = (await with_cookies(rig, session=secret).get("/account")).url.path == "/account"
        assert alive is (number == len(seen)), number


async def test_A_70_what_waits_does_not_outlast_the_sign_out(rig: Rig) -> None:
    """A second tab still asks for consent: who allows it after the sign-out is asked to sign in (ASVS 7.4.1)."""
    browser = rig.browser()
    await browser.get(authorization(prompt="create"))
    await browser.register()
    waiting = browser.page
    assert waiting is not None
    await browser.post("/account/sign-out", {"x": "y"})
    answer = await browser.post(f"/consent?{waiting.url.query.decode()}", {"decision": "allow"})
    assert "idp_session" not in browser.http.cookies
    assert answer.url.path == "/login"
    assert 'data-method="password"' in answer.text
    assert (await silent(browser))["error"] == "login_required"


async def test_A_70_a_session_that_ends_during_a_step_up_stays_ended(rig: Rig) -> None:
    """It was there when the request came, and is not when it is to be raised (ASVS 7.4.1, 15.4.2)."""
    alice, seed = await enrolled(rig)
    rig.clock.advance(21 * 60)
    page = await alice.get("/account/authenticators/add-passkey")
    assert 'data-method="totp"' in page.text
    pool, target = rig.app.state.provider.pool, f"/login?{page.url.query.decode()}&method=totp"
    async with transaction(pool) as conn:
        await end_sessions_of(conn, await only(rig, "sub", "users"), rig.clock())
        step_up = asyncio.create_task(alice.http.post(target, data={"code": code_of(seed, rig)}))
        for _ in range(500):
            if await conn.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                break
            await asyncio.sleep(0.01)
    answer = await step_up
    assert "idp_session" not in answer.cookies
    assert (await alice.get("/account")).url.path == "/login"


async def test_A_72_a_new_password_ends_sign_ins_under_way_by_the_old_one(rig: Rig) -> None:
    """Whoever knew the old one, and waits at the second step, starts over."""
    alice, seed = await enrolled(rig)
    thief = await halfway(rig)
    rig.clock.advance(1)
    changed = "another horse, another staple"
    page = await alice.post("/account/password", {"current_password": PASSWORD, "password": changed})
    assert (page.status_code, page.url.path) == (200, "/account/authenticators")
    rig.clock.advance(60)
    page = await thief.submit(code=code_of(seed, rig))
    assert "idp_session" not in thief.http.cookies
    assert 'data-method="password"' in page.text
    assert (await silent(thief))["error"] == "login_required"


EVIL = (
    "https://evil.test",
    "//evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "/\t/evil.test",
    "///evil.test",
    "javascript:alert(1)",
    "https:evil.test",
    "http://localhost:8000@evil.test/",
)
TARGETS = ("return_to", "next", "return", "returnTo", "redirect", "redirect_uri", "continue", "url", "target", "rd")


def leads_astray(location: str) -> bool:
    """Whether a browser on our page would leave us by this address."""
    parts = urlsplit(location.strip().replace("\\", "/").replace("\t", ""))
    return bool(parts.scheme or parts.netloc) and parts.netloc != "localhost:8000"


async def test_A_54_after_a_sign_in_nobody_is_sent_astray(rig: Rig) -> None:
    """Every name that such a parameter has elsewhere, at every page, in the step-up too (ASVS 3.7.2)."""
    browser, everything = rig.browser(), "&".join(f"{name}=//evil.test" for name in TARGETS)
    await browser.get(f"/register?{everything}")
    assert (await browser.register()).url.path == "/account"
    seed = await browser.add_totp(rig)
    for evil in EVIL:
        rig.clock.advance(60)
        query = "&".join(f"{name}={quote(evil, safe='')}" for name in TARGETS)
        other = rig.browser()
        await other.get(f"/login?{query}")
        await other.submit(username="alice", password=PASSWORD)
        assert (await other.submit(code=code_of(seed, rig))).url.path == "/account", evil
        for path in ("/account", "/account/authenticators", "/account/authenticators/add-totp", "/account/password"):
            page = await other.get(f"{path}?{query}")
            links = [unescape(link) for link in re.findall(r'(?:href|action)="([^"]+)"', page.text)]
            assert [link for link in links if leads_astray(link) and not link.startswith("otpauth:")] == [], path
        # An app is added, with the way back that the address names.
        page = await other.get(f"/account/authenticators/add-totp?{query}")
        new = re.search(r"secret=([A-Z2-7]+)", page.text)
        assert new
        assert (await other.submit(code=code_of(new[1], rig))).url.path == "/account/authenticators", evil
        # The step-up, which remembers where it was asked for.
        rig.clock.advance(21 * 60)
        page = await other.post(f"/account/confirm?{query}", {"x": "y"})
        assert page.url.path == "/login", evil
        page = await other.submit(code=code_of(seed, rig))
        assert (page.status_code, page.url.path) == (200, "/account/authenticators"), evil


async def test_A_70_a_sign_out_reaches_every_process(cluster: Cluster) -> None:
    """Cookie, refresh token, access token, on each server, also while another session goes on.

    G17 (ASVS 7.4.1); what was granted for offline use is meant to stay.
    """
    leaving, staying = await cluster.signed_in("bob"), await cluster.signed_in("bob")
    copies = [secret_of(leaving), secret_of(staying)]
    tokens = []
    async with leaving.http, staying.http:
        for one in (leaving, staying):
            code = await cluster.code(one, scope="openid profile")
            tokens.append((await cluster.exchange(code)).json())
        assert (await leaving.http.post("/account/sign-out", data={"x": "y"})).status_code == 303
    for worker in cluster.workers:
        async with cluster.http(worker) as http:
            for number, alive in enumerate((False, True)):
                account = await http.get("/account", headers={"cookie": f"idp_session={copies[number]}"})
                bearer = tokens[number]["access_token"]
                told = await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {bearer}"})
                known = await http.post("/oauth/introspect", data={"token": bearer}, headers={"authorization": BASIC})
                assert account.status_code == (200 if alive else 303)
                assert told.status_code == (200 if alive else 401)
                assert known.json()["active"] is alive
    statuses = [(await cluster.refresh(one["refresh_token"])).status_code for one in tokens]
    assert statuses == [400, 200]


async def test_10_6_2_an_app_signs_nobody_out_without_asking(rig: Rig) -> None:
    """ASVS 10.6.2: neither by a link with its own hint of another session, nor by asking for another account."""
    alice, _ = await enrolled(rig)
    await alice.get(authorization())
    await alice.submit(decision="allow")
    for address in (
        "/oauth/logout?client_id=web",
        authorization(prompt="select_account"),
        authorization(prompt="login"),
        authorization(prompt="create"),
        authorization(max_age="0"),
        "/login/other-account",
        "/login/other-account?interaction=guessed",
        "/login/cancel?interaction=guessed",
    ):
        answer = await alice.http.get(address, headers={"Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"})
        assert answer.status_code in {200, 303, 400}, address
        assert "code" in await silent(alice), address
    assert response_of(await alice.http.get(authorization(prompt="none")))["code"]
