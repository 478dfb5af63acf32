"""Attacks on the edge: Host and client address, CSRF, fixation and frames, injection, floods, caches, CORS."""

import asyncio
import functools
import gc
import logging
import os
import re
import sys
import time
from asyncio.subprocess import DEVNULL
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from idp.cli.processes import accepts
from idp.store import interactions
from idp.store.database import Pool, transaction
from idp.web.middleware import CSP, HEADERS, HSTS
from tests.cli.test_serve import ROOT, eventually
from tests.driver import CALLBACK, CHALLENGE, PASSWORD, Browser, Rig, authorization, code_of, exchange, running
from tests.ports import free_port

ISSUER = "https://idp.test"
EVIL = "https://evil.test"
SCRIPT = '"><script>alert(1)</script>'
API = ("/oauth/token", "/oauth/userinfo", "/oauth/introspect", "/oauth/revoke")


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, IDP_ISSUER=ISSUER) as found:
        await found.add_client()
        yield found


@dataclass
class Recorder:
    """Keeps every answer that a browser got."""

    answers: list[httpx2.Response] = field(default_factory=list)

    async def __call__(self, answer: httpx2.Response) -> None:
        self.answers.append(answer)


def recording(rig: Rig) -> tuple[Browser, Recorder]:
    browser, recorder = rig.browser(), Recorder()
    browser.http.event_hooks = {"response": [recorder]}
    return browser, recorder


async def whole_journey(rig: Rig, browser: Browser) -> None:
    """Register, enrol a second step, sign in to an app with both, change things, sign out, sign in again."""
    await browser.get(authorization(prompt="create", scope="openid profile"))
    await browser.register()
    assert (await browser.submit(decision="allow")).is_redirect
    secret = await browser.add_totp(rig)
    rig.clock.advance(60)
    await browser.get(authorization(acr_values="mfa", prompt="login"))
    await browser.submit(username="alice", password=PASSWORD)
    await browser.submit(code=code_of(secret, rig))
    await browser.get("/account")
    await browser.post("/account/sign-out", {"sign": "out"})
    await browser.get("/login")
    await browser.submit(username="alice", password="wrong " + PASSWORD)
    await browser.submit(username="alice", password=PASSWORD)


def page_routes(rig: Rig) -> list[str]:
    """Every route of a page that takes a form: those of the protocol have other guards."""
    routes = [route for route in rig.app.routes if isinstance(route, Route) and "POST" in (route.methods or ())]
    return sorted({route.path for route in routes if not route.path.startswith("/oauth/")})


def every_path(rig: Rig) -> list[str]:
    return sorted({route.path for route in rig.app.routes if isinstance(route, Route)})


async def fingerprint(rig: Rig) -> dict[str, str]:
    """What is in the database, but for the audit trail and the counters."""
    async with transaction(rig.app.state.provider.pool) as conn:
        names = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [row["tablename"] for row in names if not re.match(r"audit|attempts|alembic", row["tablename"])]
        return {
            table: await conn.fetchval(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} AS t")
            for table in tables
        }


async def test_A_46_the_host_decides_nothing(rig: Rig) -> None:
    """A-46: no address that we write comes from Host or a header like it."""
    browser = rig.browser()
    login = await browser.get("/login")
    for path in ("/.well-known/openid-configuration", "/login", authorization(), "/account", "/nowhere"):
        answer = await browser.http.get(path, headers={"host": "evil.test"})
        assert (answer.status_code, "location" in answer.headers) == (421, False)
        assert "evil.test" not in answer.text
    form = {"username": "alice", "password": PASSWORD}
    assert (await browser.http.post(str(login.url), data=form, headers={"host": "evil.test"})).status_code == 421
    forged = {"x-forwarded-host": "evil.test", "forwarded": "host=evil.test", "x-host": "evil.test"}
    found = await browser.http.get("/.well-known/openid-configuration", headers=forged)
    assert found.json()["issuer"] == ISSUER
    assert "evil" not in found.text
    for path in ("/login", "/account", "/account/authenticators", authorization()):
        answer = await browser.http.get(path, headers=forged)
        assert answer.headers["location"].startswith("/")
        assert "evil" not in answer.headers["location"] + answer.text


async def test_A_46_a_slash_too_many_is_not_found_and_never_a_redirect(rig: Rig) -> None:
    """A-46: a redirect that mends the path would name the host that was asked for, and be a 307."""
    async with rig.browser().http as http:
        for path in (
            "/login/",
            "/oauth/token/",
            "/account/",
            "/static",
            "/.well-known/jwks.json/",
            "//evil.test/login",
        ):
            for method in ("GET", "POST"):
                answer = await http.request(method, f"{ISSUER}{path}")
                assert (answer.status_code, "location" in answer.headers) == (404, False), path


async def test_A_47_an_address_is_believed_of_a_trusted_proxy_alone(database: str, tmp_path: Path) -> None:
    """A-47 (ASVS 4.1.3, 15.3.4)."""

    async def whoami(request: Request) -> Response:
        return PlainTextResponse(request.client.host if request.client else "nobody")

    async with running(database, tmp_path, IDP_TRUSTED_PROXIES="10.0.0.1, 10.1.0.0/16") as rig:
        for app in rig.apps:
            app.routes.append(Route("/whoami", whoami))
        for peer, forwarded, client in (
            ("192.0.2.1", "203.0.113.5", "192.0.2.1"),
            ("10.0.0.2", "203.0.113.5", "10.0.0.2"),
            ("10.0.0.1", "203.0.113.66, 203.0.113.5", "203.0.113.5"),
            ("10.0.0.1", "203.0.113.66, 203.0.113.5, 10.1.2.3", "203.0.113.5"),
            ("10.0.0.1", "a", "10.0.0.1"),
        ):
            async with rig.browser(address=peer).http as http:
                answer = await http.get("/whoami", headers={"x-forwarded-for": forwarded})
            assert answer.text == client


@pytest.mark.parametrize(("proxies", "address"), [("", "127.0.0.1"), ("127.0.0.0/8", "203.0.113.5")])
async def test_A_47_over_the_wire(database: str, scratch: Path, pool: Pool, proxies: str, address: str) -> None:
    """A-47: the address that `idp serve` keeps with a session is the connection's, or that of the proxy's client."""
    port = free_port()
    environ = {
        **os.environ,
        "IDP_DATABASE_URL": database,
        "IDP_KEYS_DIR": str(scratch / f"keys-{port}"),
        "IDP_RSA_BITS": "2048",
        "IDP_TRUSTED_PROXIES": proxies,
    }
    command = [sys.executable, "-m", "idp", "serve", f"--port={port}"]
    server = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ, stdout=DEVNULL, stderr=DEVNULL)
    try:
        await asyncio.to_thread(eventually, lambda: accepts(port), "it serves")
        forged = {"x-forwarded-for": "a, 203.0.113.66, 203.0.113.5", "x-forwarded-host": "evil.test"}
        async with httpx2.AsyncClient(base_url=f"http://localhost:{port}", headers=forged) as http:
            browser = Browser(http, home=f"localhost:{port}")
            await browser.get("/register")
            assert (await browser.register()).url.path == "/account"
        async with transaction(pool) as conn:
            assert await conn.fetchval("SELECT address FROM sessions") == address
    finally:
        server.terminate()
        await server.wait()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": EVIL, "sec-fetch-site": "cross-site"},
        {"origin": "https://other.idp.test", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
    ],
    ids=str,
)
async def test_A_51_no_page_takes_a_form_from_another_site(rig: Rig, headers: dict[str, str]) -> None:
    """A-51: refused, and nothing changed, also with all the cookies of one who is signed in (ASVS 3.5.1, 3.5.3)."""
    browser = rig.browser()
    await browser.get(authorization(prompt="create"))
    await browser.register()
    await browser.add_totp(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        credential = await conn.fetchval("SELECT id FROM totp_credentials")
    waiting = (await browser.get(authorization(prompt="login"))).url.query.decode()
    before = await fingerprint(rig)
    form = {
        "username": "alice",
        "password": PASSWORD,
        "decision": "allow",
        "name": "mallory's",
        "method": "password",
    }
    for path in page_routes(rig):
        target = re.sub(r"\{\w+\}", str(credential), path)
        answer = await browser.http.post(f"{target}?{waiting}", data=form, headers=headers)
        assert (answer.status_code, 'data-error="cross_site"' in answer.text) == (403, True), path
        assert "set-cookie" not in answer.headers
    assert await fingerprint(rig) == before
    own = await browser.http.post(f"/login?{waiting}", data=form, headers={"origin": ISSUER})
    assert own.status_code == 303


async def test_4_1_2_no_endpoint_leads_from_http_to_https(rig: Rig) -> None:
    """A client that forgot the s would go on sending its secret in the clear, and never hear of it."""
    async with rig.browser().http as http:
        for path in API:
            answer = await http.post(f"http://idp.test{path}", data={"token": "x"}, auth=("web", rig.secret))
            assert (answer.is_redirect, "location" in answer.headers) == (False, False), path


async def test_A_51_nobody_is_signed_in_to_an_account_not_theirs(rig: Rig) -> None:
    """A-51: mallory's name and password are of no use without the interaction of the victim's own browser."""
    mallory, victim = rig.browser(), rig.browser()
    await mallory.get("/register")
    await mallory.register("mallory")
    stolen = str((await rig.browser().get("/login")).url)
    form = {"username": "mallory", "password": PASSWORD}
    await victim.get("/login")
    for address in ("/login", "/login?interaction=", stolen):
        answer = await victim.http.post(address, data=form)
        assert answer.status_code == 403, address
        assert "set-cookie" not in answer.headers
    assert (await victim.http.get("/account")).status_code == 303


async def test_A_53_cookies_cannot_be_fixed_read_or_framed(rig: Rig) -> None:
    """A-53: every cookie of a whole journey (ASVS 3.3.1, 3.3.2, 3.3.3, 3.3.4)."""
    browser, recorder = recording(rig)
    await whole_journey(rig, browser)
    told = [cookie for answer in recorder.answers for cookie in answer.headers.get_list("set-cookie")]
    assert len(told) > 5
    for cookie in told:
        name, _, attributes = cookie.partition("=")
        given = {part.strip().lower() for part in attributes.split(";")[1:]}
        assert name.startswith("__Host-idp_")
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= given
        assert not any(part.startswith("domain") for part in given)
        assert len(cookie) < 4096


async def test_A_53_a_session_has_a_new_id_whenever_it_rises(rig: Rig) -> None:
    """A-53: the cookie that was there before is worth nothing after (ASVS 7.2.4)."""
    browser, preset, name = rig.browser(), "p" * 43, "__Host-idp_session"
    browser.http.cookies.set(name, preset, domain="idp.test", path="/")
    seen = [preset]
    await browser.get("/register")
    await browser.register()
    seen.append(browser.http.cookies[name])
    await browser.add_totp(rig)
    seen.append(browser.http.cookies[name])
    rig.clock.advance(3600 * 13)
    await browser.get("/login")
    await browser.submit(username="alice", password=PASSWORD)
    assert len(set(seen)) == 3
    for old in seen[:-1]:
        async with rig.browser().http as http:
            answer = await http.get("/account", headers={"cookie": f"{name}={old}"})
        assert answer.status_code == 303


async def test_A_53_every_answer_has_the_headers_errors_included(rig: Rig) -> None:
    """A-53 (ASVS 3.2.1, 3.4.1, 3.4.3, 3.4.4, 3.4.5, 3.4.6)."""

    async def broken(_request: Request) -> Response:
        raise RuntimeError("the detail of the fault")

    for app in rig.apps:
        app.routes.append(Route("/broken", broken))
    browser, recorder = recording(rig)
    await whole_journey(rig, browser)
    http = rig.browser(raises=False).http
    html = {"accept": "text/html"}
    errors = {
        400: await http.get("/oauth/authorize", headers=html),
        401: await http.get("/oauth/userinfo"),
        403: await http.post("/logout", data={"a": "b"}, headers={"origin": EVIL}),
        404: await http.get("/nowhere", headers=html),
        405: await http.request("TRACE", "/oauth/token"),
        413: await http.post("/oauth/token", content=b"a" * 200000),
        414: await http.get("/login?" + "a" * 20000),
        421: await http.get("/login", headers={"host": "evil.test"}),
        431: await http.get("/login", headers={"x": "a" * 40000}),
        500: await http.get("/broken", headers=html),
    }
    assert [answer.status_code for answer in errors.values()] == list(errors)
    more = [
        await http.get(path) for path in ("/static/style.css", "/.well-known/jwks.json", "/health/live", "/nowhere")
    ]
    for answer in (*recorder.answers, *errors.values(), *more):
        for name, value in (HEADERS | HSTS).items():
            if name not in {"Cache-Control", "Cross-Origin-Resource-Policy"}:
                assert answer.headers[name] == value, (answer.url, name)
        assert answer.headers["Content-Security-Policy"].startswith(CSP)
        assert re.fullmatch("[a-z2-7]{12}", answer.headers["X-Request-Id"])
        assert "server" not in answer.headers
    assert "the detail" not in errors[500].text
    assert errors[500].headers["X-Request-Id"] in errors[500].text


async def test_A_57_what_was_sent_is_shown_as_text(rig: Rig) -> None:
    """A-57 (ASVS 1.2.1, 1.2.2, 1.2.3, 3.2.2)."""
    await rig.add_client("loud", client_name=SCRIPT[:40])
    browser, recorder = recording(rig)
    for name in ("state", "login_hint", "ui_locales", "scope", "nonce", "display", "acr_values", "claims", "prompt"):
        for mode in ("query", "form_post"):
            await browser.get(authorization(**{name: SCRIPT, "response_mode": mode}))
    for name in ("client_id", "redirect_uri", "response_type", "response_mode"):
        await browser.get(authorization(**{name: SCRIPT}))
    for path in ("/login", "/register", "/account/authenticators/add-totp", "/nowhere"):
        query = urlencode(dict.fromkeys(("interaction", "method", "return_to", "error", "next"), SCRIPT))
        await browser.get(f"{path}?{query}")
    await browser.get(authorization(client_id="loud", prompt="create", response_mode="form_post", state=SCRIPT))
    await browser.submit(username=SCRIPT, password=PASSWORD, email=SCRIPT, phone=SCRIPT)
    await browser.register()
    assert "alert(1)" in unescape((await browser.submit(decision="allow")).text)
    await browser.get("/account/authenticators/add-totp")
    assert browser.page is not None
    secret = re.search(r"secret=([A-Z2-7]+)", browser.page.text)
    assert secret
    await browser.submit(code=code_of(secret[1], rig), name=SCRIPT)
    shown = await browser.get("/account/authenticators")
    assert "alert(1)" in unescape(shown.text)
    assert len(recorder.answers) > 30
    for answer in recorder.answers:
        assert "<script>alert" not in answer.text, answer.url


@pytest.mark.parametrize("name", ["state", "login_hint", "scope", "nonce", "client_id", "redirect_uri", "ui_locales"])
async def test_A_57_no_header_is_planted(rig: Rig, name: str) -> None:
    """A-57: a line break in a parameter is refused, and adds nothing (ASVS 1.2.2)."""
    async with rig.browser().http as http:
        answer = await http.get(authorization(**{name: "x\r\nSet-Cookie:x=1"}))
    assert answer.status_code == 400
    assert 'data-error="invalid_request"' in answer.text
    assert not any("x=1" in value for value in answer.headers.values())


async def test_A_57_quotes_and_controls_in_every_field(rig: Rig) -> None:
    """A-57: in each field of each form (ASVS 1.2.4, 2.2.1)."""
    browser = rig.browser()
    await browser.get("/register")
    assert (await browser.submit(username="al\nice", password=PASSWORD)).status_code == 400
    await browser.get("/register")
    await browser.register()
    waiting = (await browser.get(authorization(prompt="login"))).url.query.decode()
    fields = ("username", "password", "email", "phone", "code", "credential", "method", "decision", "account", "name")
    for path in (*page_routes(rig), *API):
        target = re.sub(r"\{\w+\}", "'", path)
        for name in fields:
            for value in ("'", "' OR 1=1--", "\0", "\x1b[2J", '\\"', "{{7*7}}", "%s%n"):
                answer = await browser.http.post(f"{target}?{waiting}", data={name: value})
                assert answer.status_code < 500, (path, name, value)
                assert "49" not in re.findall(r'value="([^"]*)"', answer.text)


async def test_A_57_one_refusal_is_one_line_in_the_log(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A-57 (ASVS 16.4.1)."""
    forged = "web\nINFO signed in: admin"
    client = b64encode(b"web%0aINFO%20signed%20in%3A%20admin:x").decode()
    with caplog.at_level(logging.DEBUG, "idp"):
        async with rig.browser().http as http:
            form = {"grant_type": "client_credentials"}
            await http.post("/oauth/token", data=form, headers={"authorization": f"Basic {client}"})
            await http.get("/oauth/authorize", params={"client_id": forged})
            await http.get("/oauth/authorize", params={"client_id": "web", "redirect_uri": f"{CALLBACK}\u2028{forged}"})
            await http.post("/logout", data={"a": "b"}, headers=[(b"origin", b"https://a\x85INFO")])
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("idp")]
    assert len(lines) >= 4
    assert all(len(line.splitlines()) == 1 for line in lines), lines


async def test_A_61_a_long_password_is_refused_before_it_is_hashed(rig: Rig) -> None:
    """A-61 (ASVS 15.2.2)."""
    browser = rig.browser()
    page = await browser.get("/login")
    for size, status in ((1024 * 1024, 413), (100_000, 400), (9000, 400)):
        form = {"username": "alice", "password": "a" * size}
        before = time.process_time()
        answer = await browser.http.post(str(page.url), data=form)
        assert answer.status_code == status
        assert time.process_time() - before < 0.5


async def test_A_61_every_character_of_a_password_counts(rig: Rig) -> None:
    """A-61: two passwords of 100 characters that differ after the 72nd (ASVS 6.2.8, 6.2.9)."""
    browser = rig.browser()
    start = "correct horse battery staple " * 2 + "x" * 22
    await browser.get("/register")
    assert (await browser.submit(username="alice", password=start + "a" * 20, email="", phone="")).status_code == 200
    other = rig.browser()
    for tail, status in (("b" * 20, 400), ("a" * 20, 200)):
        await other.get("/login")
        assert (await other.submit(username="alice", password=start + tail)).status_code == status


@pytest.mark.parametrize(
    "value",
    [
        "a@" * 25000,
        "a" * 50000 + "@a.test",
        "a@" + "a." * 25000,
        "+" + "1" * 50000,
        "https://" + "a." * 25000,
        "(" * 50000,
        " " * 50000,
        "\u0300" * 8000,
        "ß" * 8000,
        "xn--" * 2000 + ".test",
    ],
    ids=lambda value: value[:6],
)
async def test_A_62_long_patterns_cost_nothing(rig: Rig, value: str) -> None:
    """A-62: 50 kB of what parsers choke on, in each field and parameter (ASVS 1.3.12)."""
    browser = rig.browser()
    page = await browser.get("/register")
    before = time.process_time()
    for field_name in ("username", "email", "phone"):
        form = {"username": "alice", "password": PASSWORD, "email": "", "phone": "", field_name: value}
        assert (await browser.http.post(str(page.url), data=form)).status_code in {400, 413}
    for name in ("redirect_uri", "claims", "acr_values", "ui_locales", "id_token_hint"):
        answer = await browser.http.post("/oauth/authorize", data={"client_id": "web", name: value})
        assert answer.status_code in {303, 400, 413}
    answer = await browser.http.post("/oauth/token", content=b"a=b", headers={"content-type": ascii(value)[:30000]})
    assert answer.status_code == 400
    assert time.process_time() - before < 2


async def test_A_62_a_hundred_thousand_fields(rig: Rig) -> None:
    """A-62: form limits hold."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    async with rig.browser().http as http:
        before = time.process_time()
        for body in (b"&".join(b"f%d=1" % number for number in range(100_000)), b"&" * 100_000, b"a&" * 50_000):
            answer = await http.post("/oauth/token", content=body, headers=headers)
            assert answer.status_code in {400, 401, 413}
        assert time.process_time() - before < 2


def cached() -> int:
    """How much is kept in the caches that know no bound."""
    kept = (one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper))
    return sum(one.cache_info().currsize for one in kept if one.cache_info().maxsize is None)


async def test_A_64_what_is_asked_for_is_not_remembered(rig: Rig) -> None:
    """A-64: languages, users and requests leave no trace in memory, and in the database until they expire."""
    browser = rig.browser()
    await browser.get(authorization(ui_locales="en"))
    before = cached()
    for number in range(1000):
        address = authorization(ui_locales=f"x-{number}", login_hint=f"user{number}")
        assert (await browser.http.get(address)).status_code == 303
    assert cached() - before < 50
    pool = rig.app.state.provider.pool
    async with transaction(pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM interactions") >= 1000 // 2
        rig.clock.advance(24 * 3600)
        await interactions.delete_expired(conn, now=rig.clock(), keep=timedelta(0), limit=2000)
        assert await conn.fetchval("SELECT count(*) FROM interactions") == 0


async def test_A_64_a_scope_of_ten_thousand_words(rig: Rig) -> None:
    """A-64: refused by its length, before it is taken apart."""
    scope = " ".join(f"s{number}" for number in range(10_000))
    parameters = {"client_id": "web", "redirect_uri": CALLBACK, "response_type": "code", "scope": scope}
    async with rig.browser().http as http:
        assert (await http.post("/oauth/authorize", data=parameters)).status_code == 400
        assert (await http.get("/oauth/authorize", params=parameters)).status_code == 414
        answer = await http.post(
            "/oauth/token", data={"grant_type": "client_credentials", "scope": scope}, auth=("web", rig.secret)
        )
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_A_68_nothing_personal_is_kept_by_a_cache(rig: Rig) -> None:
    """A-68 (ASVS 14.2.2, 14.2.5, 14.3.2)."""
    browser, recorder = recording(rig)
    await whole_journey(rig, browser)
    await browser.get("/login")
    await browser.submit(username="alice", password=PASSWORD)
    code = (await browser.http.get(authorization())).headers["location"].partition("code=")[2].partition("&")[0]
    if code:
        recorder.answers.append(await exchange(rig, code))
    async with rig.browser().http as http:
        recorder.answers += [await http.post(path, data={"a": "b"}) for path in API]
    for answer in recorder.answers:
        assert answer.headers["cache-control"] == "no-store", answer.url
    for path in ("/account/x.css", "/account/authenticators/x.css", "/login/x.js", "/oauth/userinfo/x.png"):
        assert (await browser.http.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["openid-configuration", "oauth-authorization-server", "jwks.json"])
async def test_A_68_what_is_public_is_kept_and_asked_for_again_cheaply(rig: Rig, path: str) -> None:
    """A-68: max-age, ETag and 304, and no cookie."""
    async with rig.browser().http as http:
        first = await http.get(f"/.well-known/{path}", headers={"cookie": "__Host-idp_session=" + "s" * 43})
        again = await http.get(f"/.well-known/{path}", headers={"if-none-match": first.headers["etag"]})
        head = await http.head(f"/.well-known/{path}")
    assert re.fullmatch(r"public, max-age=[1-9]\d*", first.headers["cache-control"])
    assert first.headers["content-type"] == "application/json"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(first.content))
    assert "set-cookie" not in first.headers


async def test_A_69_no_foreign_page_reads_an_answer(rig: Rig) -> None:
    """A-69: of our pages and endpoints, none is open to an unknown origin (ASVS 3.4.2)."""
    await rig.add_client(
        "spa", token_endpoint_auth_method="none", secret_hash=None, redirect_uris=("https://spa.test/cb",)
    )
    async with rig.browser().http as http:
        for path in every_path(rig):
            for origin in (
                EVIL,
                "null",
                "https://spa.test.evil.test",
                "https://xspa.test",
                "http://spa.test",
                CALLBACK[:15],
            ):
                for method in ("GET", "POST", "OPTIONS"):
                    headers = {"origin": origin, "access-control-request-method": "POST"}
                    answer = await http.request(method, path.replace("{id}", "x"), headers=headers)
                    open_to = answer.headers.get("access-control-allow-origin")
                    assert open_to == ("*" if path.startswith("/.well-known/") and method == "GET" else None), path
                    assert "access-control-allow-credentials" not in answer.headers
        preflight = await http.options("/oauth/authorize", headers={"origin": "https://spa.test"})
        assert preflight.status_code == 405
        assert "access-control-allow-origin" not in preflight.headers


async def test_A_69_the_pages_of_a_public_client_get_their_tokens(rig: Rig) -> None:
    """A-69: the exact origin of its redirect URIs, for the endpoints it calls, without credentials (RFC 9700 §2.6)."""
    uris = ("https://spa.test/cb", "http://localhost:3000/cb", "app.test:/cb")
    await rig.add_client("spa", token_endpoint_auth_method="none", secret_hash=None, redirect_uris=uris)
    async with rig.browser().http as http:
        for origin in ("https://spa.test", "http://localhost:3000"):
            asked = {"origin": origin, "access-control-request-method": "POST"}
            for path in ("/oauth/token", "/oauth/userinfo", "/oauth/revoke"):
                preflight = await http.options(path, headers=asked)
                refused = await http.post(path, data={"client_id": "spa"}, headers={"origin": origin})
                assert (preflight.status_code, refused.status_code in {400, 401}) == (204, True)
                assert preflight.headers["access-control-allow-headers"] == "Authorization, Content-Type"
                for answer in (preflight, refused):
                    assert answer.headers["access-control-allow-origin"] == origin
                    assert answer.headers["vary"] == "Origin"
                    assert "access-control-allow-credentials" not in answer.headers
            for path in ("/oauth/introspect", "/oauth/authorize", "/login", "/account"):
                answer = await http.get(path, headers=asked)
                assert "access-control-allow-origin" not in answer.headers


async def test_a_post_leads_on_by_303_alone(rig: Rig) -> None:
    """RFC 9700 §4.12: never 307, which would hand a password on (ASVS 3.7.2)."""
    browser, recorder = recording(rig)
    await whole_journey(rig, browser)
    parameters = {"client_id": "web", "redirect_uri": CALLBACK, "response_type": "code", "code_challenge": CHALLENGE}
    await browser.http.post("/oauth/authorize", data=parameters)
    for path in page_routes(rig):
        await browser.http.post(re.sub(r"\{\w+\}", "x", path), data={"a": "b"})
    led = [answer for answer in recorder.answers if answer.is_redirect]
    assert len([answer for answer in led if answer.request.method == "POST"]) > 5
    assert {answer.status_code for answer in led} == {303}


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "PROPFIND"])
async def test_no_other_method_is_answered(rig: Rig, method: str) -> None:
    """ASVS 4.1.4, 13.4.4."""
    async with rig.browser().http as http:
        for path in [*every_path(rig), "/static/style.css"]:
            answer = await http.request(method, path.replace("{id}", "x"), headers={"x-secret": "echoed"})
            assert answer.status_code == 405, path
            assert "echoed" not in answer.text


async def test_head_changes_nothing(rig: Rig) -> None:
    """HEAD stands for GET, also where a route tells GET and POST apart (ASVS 3.5.3)."""
    browser = rig.browser()
    await browser.get("/register")
    await browser.register()
    await browser.add_totp(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        credential = await conn.fetchval("SELECT id FROM totp_credentials")
    before = await fingerprint(rig)
    for act in ("rename", "remove"):
        answer = await browser.http.head(f"/account/authenticators/{credential}/{act}")
        assert (answer.status_code, answer.content) == (200, b"")
    assert await fingerprint(rig) == before
