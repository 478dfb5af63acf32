"""Around the second factor, past the steps of a sign-in, and at an account from a session that shows too little."""

import base64
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path

import httpx2
import pyotp
import pytest
from starlette.routing import Mount, Route

from idp.authn.throttle import FREE
from idp.base.clock import system_clock
from idp.base.entropy import identifier, system_entropy, token
from idp.model.assurance import Evidence
from idp.model.user import User
from idp.store import users
from idp.store.attempts import find_misses
from idp.store.database import transaction
from idp.store.sessions import create_session
from idp.web.routes import ROUTES
from tests.attacks.passkeys import add_passkey, authenticator, use_passkey
from tests.cluster import Cluster, totp_code
from tests.cluster import authorization as over_http
from tests.driver import (
    CALLBACK,
    PASSWORD,
    Browser,
    Rig,
    authorization,
    claims_of,
    code_of,
    early_in_a_step,
    exchange,
    response_of,
    running,
)

LATER = timedelta(minutes=21)
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found


async def enrolled(rig: Rig, username: str = "alice") -> tuple[Browser, str]:
    """A browser signed in with both factors a minute ago, and the seed of the user's app."""
    browser = rig.browser()
    await browser.register(username)
    seed = await browser.add_totp(rig)
    rig.clock.advance(60)
    return browser, seed


async def halfway(rig: Rig, username: str = "alice", browser: Browser | None = None) -> Browser:
    """A browser in which the password of an account with an app was right, and no more was shown."""
    browser = browser or rig.browser()
    await browser.get(authorization())
    page = await browser.submit(username=username, password=PASSWORD)
    assert 'data-method="totp"' in page.text
    return browser


async def silent(browser: Browser) -> dict[str, str]:
    """The answer to a request that may ask nothing of the user."""
    return response_of(await browser.http.get(authorization(prompt="none")))


async def only(rig: Rig, column: str, table: str) -> str:
    """The one value of this column."""
    async with transaction(rig.app.state.provider.pool) as conn:
        rows = await conn.fetch(f"SELECT {column} AS found FROM {table}")
    assert len(rows) == 1
    return str(rows[0]["found"])


async def protection(rig: Rig) -> list[object]:
    """Everything that protects the accounts, as the database has it; not when it was used."""
    tables = {
        "users": "sub, username, email, password_hash",
        "totp_credentials": "id, sub, name, sealed_seed, confirmed_at",
        "webauthn_credentials": "id, sub, name",
        "recovery_codes": "sub, code_hash",
        "sessions": "id, sub, ended_at",
    }
    async with transaction(rig.app.state.provider.pool) as conn:
        return [
            sorted(tuple(map(str, row)) for row in await conn.fetch(f"SELECT {columns} FROM {table}"))
            for table, columns in tables.items()
        ]


def every_route(pattern: str = "*") -> list[tuple[str, str]]:
    """Method and path of each route that fits the pattern."""
    return [
        (method, route.path)
        for route in ROUTES
        if isinstance(route, Route) and fnmatch(route.path, pattern)
        for method in sorted((route.methods or {"GET"}) - {"HEAD", "OPTIONS"})
    ]


EVERYTHING = {
    "username": "alice",
    "password": PASSWORD,
    "code": "000000",
    "decision": "allow",
    "method": "password",
    "name": "Mine",
    "current_password": PASSWORD,
}


async def test_A_29_no_route_leads_past_the_second_factor(rig: Rig) -> None:
    """With what the password alone gives, every route that there is (ASVS 6.3.3, 6.3.4)."""
    _, seed = await enrolled(rig)
    credential, before = await only(rig, "id", "totp_credentials"), await protection(rig)
    sent = 0
    for method, path in every_route():
        browser = await halfway(rig)
        assert browser.page is not None
        url = f"{path.replace('{id}', credential)}?{browser.page.url.query.decode()}"
        answer = await browser.http.request(method, url, data=EVERYTHING if method == "POST" else None)
        leads = answer.headers.get("location", "")
        assert "idp_session" not in browser.http.cookies, url
        assert not leads.startswith(CALLBACK) or "error=" in leads, url
        assert seed not in answer.text, url
        if path.startswith("/account"):
            silent_no = answer.status_code == 403 and not answer.content
            assert silent_no or leads.startswith(("/login?", "/signed-out")), url
        assert (await silent(browser))["error"] == "login_required", url
        sent += 1
        # What was guessed on the way counts, and would end the walk.
        async with transaction(rig.app.state.provider.pool) as conn:
            await conn.execute("DELETE FROM attempts")
    assert sent > 40
    assert any(isinstance(route, Mount) for route in ROUTES), "the static files, which know no cookie, are left out"
    assert await protection(rig) == before


async def half(cluster: Cluster, browser: Browser | None = None, **asked: str) -> tuple[Browser, str]:
    """A browser at the cluster after alice's password, and the query that names its interaction."""
    browser = browser or cluster.browser()
    await browser.get(over_http(**asked))
    page = await browser.submit(username="alice", password=PASSWORD)
    assert 'data-method="totp"' in page.text
    return browser, page.url.query.decode()


async def refused_silently(browser: Browser) -> bool:
    """Whether a request that may ask nothing of the user gets no code at the cluster."""
    answer = await browser.http.get(over_http(prompt="none"))
    return "error=login_required" in answer.headers["location"] and "code=" not in answer.headers["location"]


async def test_A_29_no_route_of_two_servers_leads_past_the_second_factor(cluster: Cluster) -> None:
    """The same over HTTP (ASVS 6.3.4)."""
    browser, query = await half(cluster)
    form = {name: value for name, value in EVERYTHING.items() if name != "code"}
    for method, path in every_route():
        url = path.replace("{id}", "app-of-alice").replace("{client_id}", "web") + f"?{query}"
        answer = await browser.http.request(method, url, data=form if method == "POST" else None)
        leads = answer.headers.get("location", "")
        assert "idp_session" not in answer.cookies, url
        assert "code=" not in leads, url
        if path.startswith("/account"):
            silent_no = answer.status_code == 403 and not answer.content
            assert silent_no or leads.startswith(("/login?", "/signed-out")), url
    assert await refused_silently(browser)
    assert await cluster.count("sessions") == 0
    assert await cluster.count("authorization_codes") == 0
    await browser.http.aclose()


ODD = {
    "no type": (None, b""),
    "nothing": (FORM, b""),
    "empty": (FORM, b"code="),
    "twice": (FORM, b"code=000000&code=111111"),
    "a list": (FORM, b"code[]=000000"),
    "no string": ("application/json", b'{"code": null}'),
    "NUL": (FORM, b"code=%00"),
    "no credential": (FORM, b"credential="),
    "null for a credential": (FORM, b"credential=null"),
}


@pytest.mark.parametrize("odd", ODD)
async def test_A_30_an_odd_second_step_over_http(cluster: Cluster, odd: str) -> None:
    """By every method there is and some that there are not, to two servers."""
    browser, query = await half(cluster)
    type_, body = ODD[odd]
    headers = {} if type_ is None else {"content-type": type_}
    for method in ("totp", "recovery", "sms", "webauthn", "password", "nonsense", "", "TOTP"):
        answer = await browser.http.post(f"/login?{query}&method={method}", content=body, headers=headers)
        assert (answer.status_code, "idp_session" in answer.cookies) == (400, False), method
    assert await refused_silently(browser)
    if odd in {"nothing", "empty", "a list"}:
        async with transaction(cluster.pool) as conn:
            counted = await find_misses(conn, "sub-of-alice")
        assert (counted["totp"], counted["recovery"]) == (1, 1)
    await browser.http.aclose()


async def test_A_30_an_odd_second_step_counts_as_a_miss(rig: Rig) -> None:
    """Nothing at all, an empty code, two codes, no code: nothing is proved, and what is judged is counted."""
    await enrolled(rig)
    browser, sub = await halfway(rig), await only(rig, "sub", "users")
    assert browser.page is not None
    here = f"/login?{browser.page.url.query.decode()}&method=totp"
    judged = (b"code=", b"x=y", b"code=12345", b"code=%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6")
    unread = (b"", b"code=000000&code=111111", b"\xff\xfe", b"code[]=000000&code[]=1&code[]=2")
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for body in (*judged, *unread):
        answer = await browser.http.post(here, content=body, headers=headers)
        assert answer.status_code == 400, body
        assert 'id="error"' in answer.text, body
        assert (await silent(browser))["error"] == "login_required"
    async with transaction(rig.app.state.provider.pool) as conn:
        assert (await find_misses(conn, sub))["totp"] >= len(judged)


async def test_A_31_two_tabs_make_no_third_person(rig: Rig) -> None:
    """One browser, mallory's two factors in one tab and alice's password in the other."""
    await enrolled(rig)
    _, seed = await enrolled(rig, "mallory")
    browser = await halfway(rig, "mallory")
    mallorys = str(browser.page.url) if browser.page else ""
    await halfway(rig, "alice", browser)
    page = await browser.submit(code=code_of(seed, rig), username="mallory", sub="mallory")
    assert 'data-error="code_wrong"' in page.text
    assert (await silent(browser))["error"] == "login_required"
    # Mallory's own tab still makes nobody but mallory of that browser.
    await browser.get(mallorys)
    await browser.submit(code=code_of(seed, rig), username="alice")
    assert "mallory" in (await browser.get("/account")).text
    # And alice's flow, sent on from another browser, is nobody's.
    alices = await halfway(rig)
    assert alices.page is not None
    answer = await browser.http.post(f"/login?{alices.page.url.query.decode()}&method=totp", data={"code": "000000"})
    assert answer.status_code == 403


async def test_A_31_another_name_beside_the_code_over_http(cluster: Cluster) -> None:
    """Mallory's password, then alice's code with alice's name and her flow; in the other tab, her password alone."""
    alice, hers = await half(cluster)
    browser = cluster.browser()
    await browser.get(over_http(acr_values="mfa"))
    page = await browser.submit(username="mallory", password=PASSWORD)
    added = {"code": totp_code(), "username": "alice", "sub": "sub-of-alice", "interaction": hers.partition("=")[2]}
    answer = await browser.http.post(f"/login?{page.url.query.decode()}&method=totp", data=added)
    assert answer.status_code == 400
    assert (await browser.http.post(f"/login?{hers}&method=totp", data=added)).status_code == 403
    await half(cluster, browser, prompt="login")
    assert "sub-of-alice" not in await subjects_signed_in(cluster)
    assert "mallory" in (await browser.get("/account")).text
    for one in (alice, browser):
        await one.http.aclose()


async def subjects_signed_in(cluster: Cluster) -> set[str]:
    """Who has a session at the cluster."""
    async with transaction(cluster.pool) as conn:
        return {row["sub"] for row in await conn.fetch("SELECT sub FROM sessions WHERE ended_at IS NULL")}


async def test_A_32_an_older_session_is_raised_and_tells_the_truth(rig: Rig) -> None:
    """ASVS 6.3.3: bob's session shows a password; only then is an app added, elsewhere."""
    browser = rig.browser()
    await browser.get(authorization(prompt="create"))
    await browser.register("bob")
    first = response_of(await browser.submit(decision="allow"))
    told = claims_of((await exchange(rig, first["code"])).json()["id_token"])
    assert (told["acr"], told["amr"]) == ("1fa", ["pwd"])
    other = rig.browser()
    await other.get("/login")
    await other.submit(username="bob", password=PASSWORD)
    seed = await other.add_totp(rig)
    rig.clock.advance(60)
    for wish in ("mfa", "1fa"):
        refused = response_of(await browser.http.get(authorization(prompt="none", acr_values=wish)))
        assert "code" not in refused
        assert refused["error"] in {"login_required", "unmet_authentication_requirements"}
    page = await browser.get(authorization(acr_values="mfa"))
    assert 'data-method="totp"' in page.text
    answer = response_of(await browser.submit(code=code_of(seed, rig)))
    told = claims_of((await exchange(rig, answer["code"])).json()["id_token"])
    assert (told["acr"], told["amr"], told["auth_time"]) == ("mfa", ["pwd", "otp", "mfa"], rig.clock().timestamp())


READABLE = (
    "/account",
    "/account/confirm",
    "/account/sign-out",
    "/account/sessions*",
    "/account/email/send-again",
    "/account/profile",
    "/account/apps*",
    "/account/activity",
)
"""What changes nothing that one signs in with: it may be seen and done in an old session too."""


PLACES = (
    "/account",
    "/account/authenticators",
    "/account/recovery-codes",
    "/account/sessions",
    "/account/profile",
    "/account/apps",
    "/account/activity",
    "/account/data",
)


def changing_routes() -> list[tuple[str, str]]:
    """The routes that change what protects an account, or show what has to be secret."""
    shown = {("GET", "/account/authenticators"), ("GET", "/account/recovery-codes"), ("GET", "/account/data")}
    found = [one for one in every_route("/account*") if one not in shown]
    return [one for one in found if not any(fnmatch(one[1], pattern) for pattern in READABLE)]


async def refused_all(rig: Rig, browser: Browser, credential: str) -> set[int]:
    """Send each change from this browser; answers the statuses of the POSTs."""
    before, statuses = await protection(rig), set()
    for method, path in changing_routes():
        url = path.replace("{id}", credential)
        if method == "GET":
            assert (await browser.get(url)).url.path == "/login", path
            continue
        answer = await browser.http.post(url, data=EVERYTHING)
        assert answer.status_code == 403 or answer.headers["location"].startswith("/login?"), path
        statuses.add(answer.status_code)
    assert await protection(rig) == before
    assert len(changing_routes()) >= 11
    return statuses


async def test_A_33_an_old_session_changes_nothing(rig: Rig) -> None:
    """Both factors were shown, but 21 minutes ago: all changes ask for a step-up (ASVS 7.5.1)."""
    browser, seed = await enrolled(rig)
    rig.clock.advance(LATER)
    assert await refused_all(rig, browser, await only(rig, "id", "totp_credentials")) == {403}
    page = await browser.get("/account/authenticators/add-passkey")
    assert 'data-method="totp"' in page.text
    shown = await browser.submit(code=code_of(seed, rig))
    assert shown.url.path == "/account/authenticators/add-passkey"


async def test_A_33_an_old_session_changes_nothing_over_http(cluster: Cluster) -> None:
    """Both factors were shown to the cluster, 21 minutes ago."""
    now, secret = system_clock(), token(system_entropy)
    shown = [Evidence("password", now - LATER), Evidence("totp", now - LATER, "app-of-alice")]
    async with transaction(cluster.pool) as conn:
        await create_session(conn, "old", secret, "sub-of-alice", shown, now=now, life=timedelta(hours=1))
    browser = cluster.browser()
    browser.http.cookies.set("idp_session", secret, domain="localhost.local")
    assert (await browser.get("/account")).url.path == "/account"
    before = await cluster.last_event()
    for method, path in changing_routes():
        form = EVERYTHING if method == "POST" else None
        answer = await browser.http.request(method, path.replace("{id}", "app-of-alice"), data=form)
        assert answer.status_code == 403 or answer.headers["location"].startswith("/login?"), path
    assert {event.event for event in await cluster.events(before)} <= {"request_refused"}
    await browser.http.aclose()


async def test_A_33_a_session_of_a_password_alone_changes_nothing(rig: Rig) -> None:
    """It dates from before the second factor, and does not even see the account now (A-29, ASVS 7.5.1)."""
    weak = rig.browser()
    await weak.register()
    strong = rig.browser()
    await strong.get("/login")
    await strong.submit(username="alice", password=PASSWORD)
    await strong.add_totp(rig)
    await refused_all(rig, weak, await only(rig, "id", "totp_credentials"))
    for path in PLACES:
        assert (await weak.get(path)).url.path == "/login", path


async def test_A_33_a_password_alone_is_asked_for_again(rig: Rig) -> None:
    """Where there is no second factor yet, an unlocked browser is not enough to plant one (ASVS 7.5.1)."""
    browser = rig.browser()
    await browser.register()
    rig.clock.advance(LATER)
    assert await refused_all(rig, browser, "none") == {403}
    page = await browser.get("/account/authenticators/add-passkey")
    assert 'data-method="password"' in page.text
    page = await browser.submit(username="alice", password=PASSWORD)
    assert page.url.path == "/account/authenticators/add-passkey"


async def test_A_34_a_passkey_that_knows_nobody_is_no_sign_in(rig: Rig) -> None:
    """A passkey that did not verify its user, of an account with more (ASVS 6.5.7)."""
    browser, _ = await enrolled(rig)
    device = authenticator(rig.issuer)
    await add_passkey(browser, device)
    other = rig.browser()
    await other.get(authorization())
    page = await use_passkey(other, device, user_verified=False)
    assert page.status_code == 400
    assert 'data-error="webauthn_uv"' in page.text
    assert (await silent(other))["error"] == "login_required"


async def test_A_34_registering_in_a_flow_of_alices_makes_no_alice(rig: Rig) -> None:
    """Her password was right in it; what comes of it is the new account and nothing else."""
    await enrolled(rig)
    browser = await halfway(rig)
    assert browser.page is not None
    await browser.get(f"/register?{browser.page.url.query.decode()}")
    answer = response_of(await _allow(await browser.register("mallory"), browser))
    sub = claims_of((await exchange(rig, answer["code"])).json()["id_token"])["sub"]
    async with transaction(rig.app.state.provider.pool) as conn:
        found = await users.get_user(conn, sub)
    assert found.username == "mallory"


async def _allow(page: httpx2.Response, browser: Browser) -> httpx2.Response:
    assert page.url.path == "/consent"
    return await browser.submit(decision="allow")


async def test_A_34_a_browser_that_is_known_is_not_a_factor(rig: Rig) -> None:
    """The cookie by which a browser is remembered spares no step."""
    known, _ = await enrolled(rig)
    await known.get(authorization())
    await known.submit(decision="allow")
    other = rig.browser()
    other.http.cookies.set("idp_device", known.http.cookies["idp_device"], domain="localhost.local", path="/")
    assert (await silent(other))["error"] == "login_required"
    await halfway(rig, browser=other)
    assert (await silent(other))["error"] == "login_required"


async def test_A_35_what_a_form_adds_is_not_believed(rig: Rig) -> None:
    """Whose step it is, what was proved, and where it goes (ASVS 15.3.3); the interaction is that of the address."""
    await enrolled(rig)
    browser, other = await halfway(rig), await halfway(rig)
    assert other.page is not None
    added = {
        "code": "000000",
        "sub": await only(rig, "sub", "users"),
        "evidence": '[{"method": "totp"}]',
        "acr": "mfa",
        "user_verified": "true",
        "chosen": "true",
        "approved": "openid",
        "interaction": other.page.url.query.decode().partition("=")[2],
        "return_to": "https://evil.test/",
        "phone": "+447700900123",
    }
    page = await browser.submit(**added)
    assert 'data-error="code_wrong"' in page.text
    assert (await silent(browser))["error"] == "login_required"


async def test_A_35_there_is_no_first_run_set_up(rig: Rig) -> None:
    """Neither before somebody is there nor after; whoever comes first is a user like any other."""
    for _ in range(2):
        async with rig.browser().http as http:
            for path in ("/setup", "/install", "/admin", "/admin/setup", "/init", "/if/flow/initial-setup/"):
                for method in ("GET", "POST"):
                    assert (await http.request(method, path, headers={"accept": "*/*"})).status_code == 404
        await rig.browser().register()


async def test_A_36_forms_of_one_name_over_http(cluster: Cluster) -> None:
    """Taken for both servers, and counted as one when they are guessed at (A-37)."""
    browser = cluster.browser()
    for spelling in SAME:
        taken = await browser.register(spelling)
        assert 'data-error="username_taken"' in taken.text, spelling
    for spelling in ("alice\u200b", "alice\ufe0f", "alice\u034f", "al\u00adice", "alice\u115f"):
        refused = await browser.register(spelling)
        assert 'data-error="username_characters"' in refused.text, "letters that nobody sees"
    before = await cluster.last_event()
    await browser.get("/login")
    for spelling in SAME * 3:
        await browser.submit(username=spelling, password="x" * 600)
    names = [event.event for event in await cluster.events(before)]
    assert (names.count("sign_in_failed"), names.count("sign_in_held_back")) == (FREE, 3 * len(SAME) - FREE)
    await browser.http.aclose()


SAME = ["Alice", "ＡＬＩＣＥ", "alice ", " alice", "ａlice", "\u00a0alice"]


async def test_A_36_forms_of_one_name_are_one_name(rig: Rig) -> None:
    """Case, width, spaces and composition, at registration and at sign-in."""
    await rig.browser().register("alice")
    await rig.browser().register("j\u00fcrgen")
    for spelling in (*SAME, "ju\u0308rgen", "J\u00dcRGEN"):
        taken = await rig.browser().register(spelling)
        assert taken.status_code == 400, spelling
        assert 'data-error="username_taken"' in taken.text, spelling
    for spelling, username in (*((one, "alice") for one in SAME), ("JU\u0308RGEN", "j\u00fcrgen")):
        browser = rig.browser()
        await browser.get("/login")
        page = await browser.submit(username=spelling, password=PASSWORD)
        assert page.url.path == "/account", spelling
        assert username in page.text


LOOK_ALIKES = ("alıce", "alİce", "ali\u0307ce", "aIice", "a1ice", "AL1CE", "ALICE", "аІісе")
"""Whole names that are taken for ``alice``, or for ``ALICE``: the last one is Cyrillic from end to end."""

MADE_ALIKE = {
    "аlice": "username_scripts",
    "alicе": "username_scripts",
    "αlice": "username_scripts",
    "ᎪLICE": "username_scripts",
    "alice.": "username_ending",
    "alice..": "username_ending",
}


async def test_A_78_a_name_that_looks_like_another_is_taken(rig: Rig) -> None:
    """The page tells what it tells of the very name; and a name of one script that is its own is welcome."""
    for owned in ("alice", "ALlCE"):
        assert (await rig.browser().register(owned)).status_code == 200
    for name in LOOK_ALIKES:
        taken = await rig.browser().register(name)
        assert (taken.status_code, 'data-error="username_taken"' in taken.text) == (400, True), name
    for name, cause in MADE_ALIKE.items():
        refused = await rig.browser().register(name)
        assert (refused.status_code, f'data-error="{cause}"' in refused.text) == (400, True), name
    for name in ("алиса", "αλίκη", "アリス", "愛麗絲", "엘리스", "أليس", "alice-", "alicia", "ınanç"):
        assert (await rig.browser().register(name)).url.path == "/account", name


async def test_6_2_8_and_6_2_9_a_password_is_compared_whole(rig: Rig) -> None:
    """64 and 128 characters, with spaces at both ends, to the last one."""
    for username, length in (("alice", 64), ("bob22", 128)):
        password = " Aé" + "xY3 " * 40
        password = password[: length - 2] + "z "
        browser = rig.browser()
        await browser.get("/register")
        page = await browser.submit(username=username, password=password, email="", phone="")
        assert page.url.path == "/account", page.text
        wrong = (password.strip(), password[:-1], password.swapcase(), password[:-2] + "y ", password[:50])
        for given in (*wrong, password):
            other = rig.browser()
            await other.get("/login")
            page = await other.submit(username=username, password=given)
            assert (page.url.path == "/account") is (given == password), given
    too_long = rig.browser()
    await too_long.get("/register")
    page = await too_long.submit(username="carol", password=password + "!", email="", phone="")
    assert 'data-error="password_long"' in page.text


async def test_6_2_1_and_6_2_4_and_6_2_5_and_6_2_9_what_a_sign_up_takes_over_http(cluster: Cluster) -> None:
    """Fifteen characters of any kind and up to 128; none that many people have, and not the words of the place."""
    refused = {
        "fourteen chars": "password_short",
        "password1234567": "password_known",
        "qwertyuiopasdfgh": "password_known",
        "localhost-localhost": "password_context",
        "x1" * 64 + "y": "password_long",
    }
    taken = (" " * 15, "830417295664128", "🦔🌿" * 8, "zwölf Ölkännchen", "aB3 é" * 25 + "end")
    browser = cluster.browser()
    for password, cause in refused.items():
        await browser.get("/register")
        page = await browser.submit(username="newcomer", password=password, email="", phone="")
        assert error_of_page(page) == cause, password
    for number, password in enumerate(taken):
        fresh = cluster.browser()
        await fresh.get("/register")
        page = await fresh.submit(username=f"newcomer{number}", password=password, email="", phone="")
        assert page.url.path == "/account", (password, error_of_page(page))
        await fresh.http.aclose()
    assert len(taken[-1]) == 128
    for password in (taken[-1][:-1] + "x", taken[-1]):
        await browser.get("/login")
        page = await browser.submit(username=f"newcomer{len(taken) - 1}", password=password)
    assert page.url.path == "/account"
    await browser.http.aclose()


async def test_A_40_a_code_has_its_time(rig: Rig) -> None:
    """G7, and by our own clock, whatever the browser says it is (ASVS 6.5.5, 6.5.8)."""
    _, seed = await enrolled(rig)
    present, browser = rig.clock(), await halfway(rig)
    for steps in (-2, 1, 2):
        claimed = present + timedelta(seconds=30 * steps)
        rig.clock.now = claimed
        code = code_of(seed, rig)
        rig.clock.now = present
        said = f"{claimed:%a, %d %b %Y %H:%M:%S} GMT"
        browser.http.headers["date"] = said
        page = await browser.submit(code=code, time=said, now=said, timestamp=said)
        assert 'data-error="code_wrong"' in page.text, steps
    assert (await silent(browser))["error"] == "login_required"


async def test_A_40_a_code_has_its_time_over_http(cluster: Cluster) -> None:
    """By the clocks of two servers: the steps that are one later and two earlier are refused (G7)."""
    browser, _ = await half(cluster)
    await early_in_a_step()
    for step in (1, 2, -2):
        assert error_of_page(await browser.submit(code=totp_code(steps=step))) == "code_wrong", step
    assert await refused_silently(browser)
    assert (await browser.submit(code=totp_code())).url.path == "/consent"
    again, _ = await half(cluster)
    assert error_of_page(await again.submit(code=totp_code(steps=-1))) in {"code_used", "code_wrong"}
    for one in (browser, again):
        await one.http.aclose()


def error_of_page(page: httpx2.Response) -> str | None:
    """The cause of the error on a page, if there is one."""
    found = re.search(r'data-error="(\w+)"', page.text)
    return found and found[1]


async def test_A_40_the_step_before_is_good_and_dead_after_a_later_one(rig: Rig) -> None:
    """G7: t-1 counts once; after t was used it does not (ASVS 6.5.1)."""
    _, seed = await enrolled(rig)
    before = code_of(seed, rig)
    rig.clock.advance(30)
    late = await halfway(rig)
    page = await late.submit(code=before)
    assert page.url.path == "/consent"
    rig.clock.advance(30)
    before = code_of(seed, rig)
    rig.clock.advance(30)
    prompt = await halfway(rig)
    assert (await prompt.submit(code=code_of(seed, rig))).url.path == "/consent"
    again = await halfway(rig)
    page = await again.submit(code=before)
    assert 'data-error="code_used"' in page.text


async def test_A_42_a_seed_is_shown_while_it_is_new_and_never_again(rig: Rig) -> None:
    """Abandoned, not confirmed, replaced, confirmed: only the last of these counts, and none is readable later."""
    browser = rig.browser()
    await browser.register()
    abandoned = _seed_on(await browser.get("/account/authenticators/add-totp"))
    replaced = _seed_on(await browser.get("/account/authenticators/add-totp"))
    assert abandoned != replaced
    # A wrong code, and the right one of a seed that is not offered any more: nothing is added.
    for code in ("000000", code_of(abandoned, rig)):
        page = await browser.submit(code=code)
        assert page.status_code == 400
        assert _seed_on(page) == replaced
    plain = rig.browser()
    await plain.get("/login")
    assert (await plain.submit(username="alice", password=PASSWORD)).url.path == "/account"
    # Eleven minutes later it is no seed of alice's at all.
    rig.clock.advance(11 * 60)
    page = await browser.post("/account/authenticators/add-totp", {"code": code_of(replaced, rig)})
    assert page.status_code == 400
    kept = _seed_on(await browser.get("/account/authenticators/add-totp"))
    await browser.submit(code=code_of(kept, rig))
    credential = await only(rig, "id", "totp_credentials")
    sealed = bytes.fromhex(await only(rig, "encode(sealed_seed, 'hex')", "totp_credentials"))
    assert base64.b32decode(kept) not in sealed
    assert kept.encode() not in sealed
    for _, path in every_route("/account*"):
        text = (await browser.get(path.replace("{id}", credential))).text
        assert not any(seed in text for seed in (abandoned, replaced, kept)), path


async def test_A_42_a_seed_that_waits_is_no_factor_over_http(cluster: Cluster) -> None:
    """Nor does another account's session confirm it; and a wrong code leaves it waiting."""
    bob, mallory = await cluster.signed_in("bob"), await cluster.signed_in("mallory")
    seed = _seed_on(await bob.get("/account/authenticators/add-totp"))
    assert error_of_page(await bob.submit(code="000000")) == "code_wrong"
    code = pyotp.TOTP(seed).now()
    assert (await mallory.post("/account/authenticators/add-totp", {"code": code})).status_code == 400
    other = cluster.browser()
    page = await other.get(over_http(acr_values="mfa"))
    await other.submit(username="bob", password=PASSWORD)
    answer = await other.http.post(f"/login?{page.url.query.decode()}&method=totp", data={"code": code})
    assert answer.status_code == 400
    async with transaction(cluster.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM totp_credentials WHERE confirmed_at IS NOT NULL") == 1
    for one in (bob, mallory, other):
        await one.http.aclose()


def _seed_on(page: httpx2.Response) -> str:
    found = re.search(r'id="totp-secret">(.*?)</code>', page.text, re.DOTALL)
    assert found, page.text
    return re.sub(r"<[^>]+>|\s", "", found[1])


async def test_6_5_6_what_was_taken_away_is_refused_at_once(rig: Rig) -> None:
    """Also in a sign-in that had begun: an app, a passkey."""
    browser, seed = await enrolled(rig)
    device = authenticator(rig.issuer)
    await add_passkey(browser, device)
    waiting, other = await halfway(rig), rig.browser()
    await other.get(authorization())
    for method in ("totp", "webauthn"):
        async with transaction(rig.app.state.provider.pool) as conn:
            wanted = await conn.fetchval(f"SELECT id FROM {method}_credentials")
        answer = await browser.http.post(f"/account/authenticators/{wanted}/remove", data={"x": "y"})
        assert answer.status_code == 303
    assert waiting.page is not None
    url = f"/login?{waiting.page.url.query.decode()}&method=totp"
    answer = await waiting.http.post(url, data={"code": code_of(seed, rig)})
    assert answer.status_code in {303, 400}
    assert "idp_session" not in answer.cookies
    page = await use_passkey(other, device)
    assert 'data-error="webauthn_unknown"' in page.text


async def test_7_4_2_an_account_that_is_removed_takes_all_with_it(rig: Rig) -> None:
    """Session, refresh token, access token, sign-in under way (ASVS 7.4.1); a new one of its name is somebody else."""
    browser, _ = await enrolled(rig)
    await browser.get(authorization(scope="openid offline_access"))
    tokens = (await exchange(rig, response_of(await browser.submit(decision="allow"))["code"])).json()
    waiting = await halfway(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await users.remove(conn, await conn.fetchval("SELECT sub FROM users"))
    assert (await silent(browser))["error"] == "login_required"
    assert (await browser.get("/account")).url.path == "/login"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert waiting.page is not None
    async with rig.browser().http as http:
        assert (await http.post("/oauth/token", data=form, auth=("web", rig.secret))).status_code == 400
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        assert (await http.get("/oauth/userinfo", headers=headers)).status_code == 401
    page = await waiting.post(str(waiting.page.url), {"code": "000000"})
    assert "idp_session" not in waiting.http.cookies
    assert page.status_code in {200, 400, 403}
    now, entropy = rig.clock(), rig.app.state.provider.entropy
    async with transaction(rig.app.state.provider.pool) as conn:
        await users.create(conn, User(identifier(entropy), "alice", now, now), username_canonical="alice")
    assert (await silent(browser))["error"] == "login_required"
    assert (await silent(waiting))["error"] == "login_required"


async def test_7_4_4_signing_out_is_in_plain_sight(rig: Rig) -> None:
    """On every page of the account (ASVS 7.4.4)."""
    browser, _ = await enrolled(rig)
    for path in PLACES:
        page = await browser.get(path)
        assert 'id="sign-out"' in page.text, path
    assert (await browser.post("/account/sign-out", {})).url.path == "/signed-out"
    assert (await browser.get("/account")).url.path == "/login"
