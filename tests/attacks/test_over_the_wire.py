"""The attacks of a browser, of forms and of floods once more, over real HTTP against two servers behind their proxy.

Each also has its finer tests elsewhere, mostly in test_edge.py and test_browser_attacks.py; what only the wire, a log
that was written or a second process could spoil is here.
"""

import asyncio
import json
import re
from base64 import b64encode
from dataclasses import replace
from html import unescape
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.routing import Route

from idp.base.digest import PasswordHasher
from idp.oauth.client_auth.private_key_jwt import ASSERTION_TYPE
from idp.store import clients
from idp.store.database import transaction
from idp.store.outbox import text_of
from idp.web.middleware import CSP, HEADERS
from idp.web.routes import ROUTES
from tests.attacks.test_tokens import cpu_seconds, pids, resident_bytes
from tests.cluster import (
    _MASTER,
    REDIRECT_URIS,
    SECRET,
    Cluster,
    answer_of,
    authorization,
    error_of,
    is_error_page,
    sub_of,
)
from tests.driver import PASSWORD, Browser
from tests.web.account.people import error_on

EVIL = "https://evil.test"
SCRIPT = '"><script>alert(1)</script>'
FORM = {"content-type": "application/x-www-form-urlencoded"}
ODD = ("/login", "/account", "/oauth/token", "/oauth/userinfo", "/nowhere")
PAGES = sorted(
    {(method, route.path) for route in ROUTES if isinstance(route, Route) for method in (route.methods or ())}
)


async def mails(cluster: Cluster) -> list[str]:
    """The text of all mails that wait, once those that are written a little later have been."""
    for _ in range(60):
        async with transaction(cluster.pool) as conn:
            rows = await conn.fetch(
                "SELECT id, sealed_text FROM outbox WHERE channel = 'mail' AND sealed_text IS NOT NULL"
            )
        if rows:
            break
        await asyncio.sleep(0.05)
    return [text_of(row["id"], row["sealed_text"], _MASTER) for row in rows]


async def open_login(cluster: Cluster) -> tuple[Browser, str]:
    """A browser on the sign-in page, and the address of its form."""
    browser = cluster.browser()
    return browser, str((await browser.get("/login")).url)


async def test_A_46_no_address_comes_from_a_header(cluster: Cluster) -> None:
    """Discovery, the sign-in and the mail of a reset name the issuer, whatever Host and its relatives say."""
    names = (
        "x-forwarded-host",
        "x-host",
        "x-forwarded-server",
        "x-original-host",
        "x-forwarded-prefix",
        "x-original-url",
    )
    forged = dict.fromkeys(names, "evil.test") | {
        "forwarded": "host=evil.test;proto=https",
        "x-forwarded-proto": "https",
    }
    before = await cluster.last_event()
    async with cluster.http() as http:
        for headers, status in (({"host": "evil.test"}, 421), (forged, None)):
            told = [
                await http.get("/.well-known/openid-configuration", headers=headers),
                await http.get("/login", headers=headers),
                await http.get(authorization(), headers=headers),
                await http.post("/recover", data={"username": "bob"}, headers=headers),
            ]
            assert status is None or {answer.status_code for answer in told} == {status}
            for answer in told:
                assert "evil.test" not in answer.text + str(answer.headers)
                assert answer.headers.get("location", "/").startswith("/")
        assert told[0].json()["issuer"] == cluster.issuer
    [mail] = await mails(cluster)
    links = re.findall(r"https?://[^\s]+", mail)
    assert links
    assert all(link.startswith(f"{cluster.issuer}/") for link in links), links
    assert [event.event for event in await cluster.events(before)] == ["recovery_started"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        [("origin", "{issuer}"), ("origin", EVIL)],
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ],
    ids=str,
)
async def test_A_51_mallorys_credentials_from_another_site(
    cluster: Cluster, headers: dict[str, str] | list[tuple[str, str]]
) -> None:
    """Refused in the very browser that has the sign-in page open, and kept as an event (ASVS 3.5.1)."""
    browser, address = await open_login(cluster)
    before = await cluster.last_event()
    pairs = headers.items() if isinstance(headers, dict) else headers
    sent = [(name, value.replace("{issuer}", cluster.issuer)) for name, value in pairs]
    form = {"username": "mallory", "password": PASSWORD}
    answer = await browser.http.post(address, data=form, headers=sent)
    assert (answer.status_code, error_on(answer)) == (403, "cross_site")
    assert "set-cookie" not in answer.headers
    [event] = await cluster.events(before)
    assert (event.event, event.details["error"]) == ("request_refused", "cross_site")
    assert await cluster.count("sessions") == 0


async def test_A_51_without_the_pre_session_or_with_anothers(cluster: Cluster) -> None:
    """No cookie, no interaction, another browser's interaction: 403 each (ASVS 3.5.3)."""
    mallory, hers = await open_login(cluster)
    victim, _ = await open_login(cluster)
    form = {"username": "mallory", "password": PASSWORD}
    for browser, address in (
        (cluster.browser(), "/login"),
        (cluster.browser(), hers),
        (victim, hers),
        (victim, "/login"),
    ):
        answer = await browser.http.post(address, data=form, headers={"origin": cluster.issuer})
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), address
    assert await cluster.count("sessions") == 0
    assert (await mallory.http.post(hers, data=form)).status_code == 303


async def test_A_52_mallorys_addresses_in_alices_browser(cluster: Cluster) -> None:
    """Each page and form of a flow that mallory began, once with her password in it: nobody gains (ASVS 7.6.2)."""
    alice, mallory = await cluster.signed_in("alice"), cluster.browser()
    await mallory.get(authorization(prompt="login"))
    assert mallory.page is not None
    begun = mallory.page.url.query.decode()
    for password in (None, PASSWORD):
        if password:
            await mallory.submit(username="alice", password=password)
        for method, path in PAGES:
            if not path.startswith(("/login", "/consent", "/register")) or method == "HEAD":
                continue
            fields = urlencode({"username": "alice", "password": PASSWORD, "decision": "allow", "method": "totp"})
            answer = await alice.http.request(
                method, f"{path}?{begun}", content=fields if method == "POST" else None, headers=FORM
            )
            led_on = (method, path) == ("POST", "/login/another-way")
            assert answer.status_code in {400, 403} or (led_on and answer.status_code == 303), (method, path)
            assert "set-cookie" not in answer.headers, (method, path)
    assert "code" in answer_of(await alice.http.get(authorization(prompt="none")))
    assert answer_of(await mallory.http.get(authorization(prompt="none")))["error"] == "login_required"
    assert (await mallory.http.get("/account")).status_code == 303


async def test_A_53_a_planted_session_is_neither_kept_nor_reissued(cluster: Cluster) -> None:
    """A new id at each sign-in, on whichever server, and the old one dead after a sign-out (ASVS 7.2.4)."""
    browser, planted = cluster.browser(), "p" * 43
    browser.http.cookies.set("idp_session", planted, domain="localhost.local", path="/")
    seen = [planted]
    for _ in range(3):
        await browser.get("/login")
        await browser.submit(username="bob", password=PASSWORD)
        seen.append(browser.http.cookies["idp_session"])
        for secret in seen:
            for worker in cluster.workers:
                async with cluster.http(worker) as http:
                    answer = await http.get("/account", headers={"cookie": f"idp_session={secret}"})
                assert (answer.status_code == 200) is (secret == seen[-1])
        await browser.post("/account/sign-out", {})
        assert "idp_session" not in browser.http.cookies
    assert len(set(seen)) == 4


async def test_A_53_and_A_68_every_answer_is_dressed(cluster: Cluster) -> None:
    """No frame, no guessing of types, nothing kept, a type for what has content, by every method (ASVS 3.4.3-3.4.6).

    ASVS 4.1.1, 14.2.2, 14.3.2: of a user who is signed in, errors included.
    """
    bob = await cluster.signed_in("bob")
    async with bob.http:
        for path in sorted(
            {path for _, path in PAGES} | {"/nowhere", "/account/x.css", "/login/x.css", "/static/none"}
        ):
            for method in ("GET", "POST", "PUT", "TRACE", "OPTIONS") if path in ODD else ("GET", "POST"):
                answer = await bob.http.request(method, re.sub(r"\{[\w:]+\}", "x", path))
                policy, kind = answer.headers["content-security-policy"], answer.headers.get("content-type", "")
                assert policy.startswith(CSP), (method, path)
                for name in HEADERS.keys() - {"Cache-Control", "Cross-Origin-Resource-Policy"}:
                    assert answer.headers[name] == HEADERS[name], (method, path, name)
                assert not answer.content or kind == "application/json" or "charset=utf-8" in kind, (method, path, kind)
                public = path.startswith(("/.well-known/", "/static/"))
                assert "no-store" in answer.headers["cache-control"] or public, (method, path)
                assert "server" not in answer.headers
                assert not (answer.is_success and method in {"PUT", "TRACE"}), (method, path)


async def test_A_54_targets_from_the_address(cluster: Cluster) -> None:
    """Whatever is asked for, on the way through the sign-in and back from a step-up: a page of ours (ASVS 3.7.2)."""
    astray = (
        EVIL,
        "//evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "javascript:alert(1)",
    )
    names = ("return_to", "next", "return", "redirect", "redirect_uri", "continue", "url", "RelayState")
    given = urlencode([(name, target) for target in astray for name in names[1:]])
    browser = cluster.browser()
    for target in astray:
        asked = f"{urlencode({'return_to': target})}&{given}"
        await browser.get(f"/login?{asked}")
        await browser.submit(username="bob", password=PASSWORD)
        assert browser.page is not None
        assert (browser.page.url.host, browser.page.url.path) == ("localhost", "/account"), target
        confirmed = await browser.http.post(f"/account/confirm?{asked}", headers=FORM)
        adding = await browser.http.get(f"/account/authenticators/add-totp?{asked}")
        assert re.search(r'(?:href|action)="[^"?]*(?:evil|javascript:)', adding.text) is None, target
        assert re.fullmatch(r"/login\?interaction=\w+", confirmed.headers["location"]), target
        page = await browser.get(confirmed.headers["location"])
        if page.url.path == "/login":
            page = await browser.submit(username="bob", password=PASSWORD)
        assert page.url.path == "/account/authenticators", target
        assert (await browser.post(f"/logout?{asked}", {})).url.path == "/signed-out", target


async def test_A_57_scripts_line_ends_and_quotes(cluster: Cluster) -> None:
    """In parameters, a client's and a user's name, and a password's neighbours: text in pages and in one log line."""
    said, before = len(cluster.said()), await cluster.last_event()
    async with transaction(cluster.pool) as conn:
        spa = await clients.get_client(conn, "spa")
        await clients.update(conn, replace(spa, client_name=f"App {SCRIPT}"))
    bob = await cluster.signed_in("bob", consent=())
    asked = {"state": SCRIPT, "login_hint": SCRIPT, "ui_locales": SCRIPT, "nonce": SCRIPT}
    page = await bob.get(authorization("spa", scope=f"openid {SCRIPT}", **asked))
    assert page.url.path == "/consent"
    pages = [page, await bob.http.get(authorization("spa", response_mode="form_post", prompt="none", **asked))]
    answer = await bob.submit(decision="allow")
    assert answer_of(answer, REDIRECT_URIS["spa"])["state"] == SCRIPT
    await bob.get("/account/authenticators/add-totp")
    pages += [await bob.submit(code=code, name=SCRIPT) for code in ("'", "000000")]
    fields = ("name", "given_name", "website")
    pages += [await bob.post("/account/profile", {"name": "Bob", name: SCRIPT}) for name in fields]
    pages += [await bob.http.get(path) for path in ("/account", "/account/profile", "/account/apps", "/account/data")]
    for told in pages:
        assert "<script>alert" not in told.text, told.url
    assert any(unescape(told.text).count(SCRIPT) for told in pages), "it is shown, as text"
    # Line ends, in what goes back in a header and in what is typed.
    planted = await bob.http.get(authorization("spa", prompt="none") + "%0d%0aSet-Cookie:x=1")
    assert "x" not in planted.cookies
    stranger, address = await open_login(cluster)
    for name in ("username", "password"):
        for value in ("al\r\nice", "al\0ice", "al\x85ice"):
            refused = await stranger.http.post(address, data={"username": "a", "password": "b", name: value})
            assert refused.status_code == 400, (name, value)
    for name in ("username", "password", "code", "email", "phone", "credential", "method"):
        assert (await stranger.http.post(address, data={"username": "a", "password": "b", name: "'"})).status_code < 500
    assert await cluster.count("users") == 3
    lines = cluster.said()[said:].splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines), lines
    assert len([event for event in await cluster.events(before) if event.event == "request_refused"]) >= 7


async def test_A_57_and_15_3_5_what_no_database_takes(cluster: Cluster) -> None:
    """NUL and half characters, in a path, in the names and values of JSON, and in what a client shows."""
    bob = await cluster.signed_in("bob")
    async with bob.http:
        for _, path in (each for each in PAGES if "{" in each[1]):
            for odd in ("%00", "a%00b", "%C2%85", "%0a"):
                address = re.sub(r"\{[\w:]+\}", odd, path)
                for answer in (await bob.http.get(address), await bob.http.post(address, headers=FORM)):
                    assert answer.status_code == 400, address
        for name in ("\\u0000", "\\ud800", "a\\u0000b"):
            for member in ("id_token", "userinfo"):
                asked = f'"{name}": null, "acr": {{"values": ["{name}", "1fa"]}}, "name": {{"value": "{name}"}}'
                told = answer_of(await bob.http.get(authorization(claims=f'{{"{member}": {{{asked}}}}}')))
                assert (await cluster.exchange(told["code"])).status_code == 200, (member, name)
            forged = f'{{"sub": "{name}", "iss": "{name}"}}'.encode()
            assertion = ".".join(b64encode(part).rstrip(b"=").decode() for part in (b'{"alg":"RS256"}', forged, b"x"))
            form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, "grant_type": "x"}
            assert error_of(await bob.http.post("/oauth/token", data=form)) == (401, "invalid_client")
        for basic in (b"\0:x", b"web%00:x", b"%ED%A0%80:x", b"web:%ff", b"\xff:x"):
            headers = {"authorization": "Basic " + b64encode(basic).decode()}
            refused = await bob.http.post("/oauth/token", data={"grant_type": "x"}, headers=headers)
            assert error_of(refused) == (401, "invalid_client"), basic


async def test_A_57_a_mail_shows_what_was_typed_as_text(cluster: Cluster) -> None:
    """And no header of it is planted: the name of an authenticator (ASVS 1.3.11)."""
    alice = await cluster.signed_in("alice")
    async with alice.http:
        for name in (SCRIPT, "x\u2028Bcc: all@evil.test", "{{7*7}} ${7*7} %(link)s"):
            await alice.post("/account/authenticators/app-of-alice/rename", {"name": name})
            page = await alice.get("/account/authenticators")
            assert "<script>alert" not in page.text
            assert "49" not in unescape(re.sub(r'href="[^"]*"|src="[^"]*"', "", page.text.partition("<main")[2]))
        await alice.post("/account/authenticators/app-of-alice/remove", {})
    [mail] = await mails(cluster)
    assert "{{7*7}} ${7*7} %(link)s" in mail


FORBIDDEN = {
    **{"is_admin": "true", "role": "admin", "email_verified": "true", "phone_verified": "true", "sub": sub_of("alice")},
    **{"mfa_enabled": "true", "min_acr": "1fa", "disabled_at": "", "password_hash": "x", "groups": "staff", "id": "x"},
}


async def test_A_60_extra_fields_at_sign_up_and_in_the_profile(cluster: Cluster) -> None:
    """Every column is as without them (ASVS 15.3.3)."""
    async with transaction(cluster.pool) as conn:
        before = await conn.fetch("SELECT * FROM users ORDER BY sub")
    browser = cluster.browser()
    await browser.get("/register")
    own = {"username": "newcomer", "password": PASSWORD, "email": "new@mail.example", "phone": "+447700900123"}
    assert (await browser.submit(**own, **FORBIDDEN)).url.path == "/account"
    for path, fields in (("/account/profile", {"name": "New"}), ("/account/email", {"email": "x@mail.example"})):
        await browser.get(path)
        await browser.submit(**{**FORBIDDEN, **fields})
    async with transaction(cluster.pool) as conn:
        after = await conn.fetch("SELECT * FROM users ORDER BY sub")
        assert await conn.fetchval("SELECT count(*) FROM user_groups") == 0
    [made] = [row for row in after if row["username"] == "newcomer"]
    assert [row for row in after if row is not made] == before
    assert (made["email_verified"], made["phone_verified"], made["disabled_at"]) == (False, False, None)
    assert made["profile"] == {"name": "New"}
    assert (made["email"], made["password_hash"][:9]) == ("new@mail.example", "$argon2id")
    assert made["sub"] not in {row["sub"] for row in before}


async def test_A_60_no_page_that_bob_can_read_holds_a_secret(cluster: Cluster) -> None:
    """Of his own neither: every GET of the table, and his data to take away (ASVS 15.3.1)."""
    alice, bob = await cluster.signed_in("alice"), await cluster.signed_in("bob")
    tokens = (await cluster.exchange(await cluster.code(bob))).json()
    told = [await bob.http.get(re.sub(r"\{[\w:]+\}", "web", path)) for method, path in PAGES if method == "GET"]
    told.append(await bob.http.post("/account/data", data={"password": PASSWORD}))
    told += [await cluster.post("/oauth/introspect", token=tokens[kind]) for kind in ("access_token", "refresh_token")]
    told.append(await cluster.userinfo(tokens["access_token"]))
    async with transaction(cluster.pool) as conn:
        rows = await conn.fetch("SELECT secret_hash FROM clients UNION SELECT secret_hash FROM sessions")
        others = await conn.fetch("SELECT sub, email FROM users WHERE username <> 'bob'")
    hashes = [row["secret_hash"].hex() for row in rows if row["secret_hash"]]
    secrets = ["argon2", SECRET, *hashes, alice.http.cookies["idp_session"], tokens["refresh_token"], "sealed"]
    secrets += [value for row in others for value in row]
    assert [(secret, str(one.url)) for one in told for secret in secrets if secret in one.text] == []
    shown = [one for one in told if bob.http.cookies["idp_session"] in one.text]
    assert shown == []


async def test_A_61_long_passwords(cluster: Cluster) -> None:
    """A megabyte costs no hash; two that are equal up to the 72nd byte are two (ASVS 6.2.8, 6.2.9, 15.2.2)."""
    start = "x" * 72
    hasher = PasswordHasher(workers=1)
    try:
        hashed = await hasher.hash(start + "a" * 28)
    finally:
        hasher.close()
    async with transaction(cluster.pool) as conn:
        await conn.execute("UPDATE users SET password_hash = $1 WHERE username = 'bob'", hashed)
    browser, address = await open_login(cluster)
    before = cpu_seconds(cluster)
    for size, status in ((2**20, 413), (100_000, 400), (8193, 400), (4000, 400)):
        # The proxy may meet a connection that was closed before all was sent.
        try:
            answer = await browser.http.post(address, data={"username": "bob", "password": "a" * size})
        except httpx2.TransportError:
            assert status == 413
            continue
        assert answer.status_code == status, size
    assert cpu_seconds(cluster) - before < 0.4
    for tail, status in (("b" * 28, 400), ("", 400), ("a" * 27, 400), ("a" * 28, 303)):
        answer = await browser.http.post(address, data={"username": "bob", "password": start + tail})
        assert answer.status_code == status, tail


PATTERNS = (
    "a@" * 25_000,
    "a@" + "a." * 25_000,
    "+" + "1" * 50_000,
    "https://" + "a." * 25_000,
    "xn--" * 12_500,
    "(" * 50_000,
)


async def test_A_62_patterns_and_fields_without_end(cluster: Cluster) -> None:
    """50 kB of them in each field, and 100,000 fields, for 50 ms of a processor each (ASVS 1.3.12, 15.2.2)."""
    browser = cluster.browser()
    address = str((await browser.get("/register")).url)
    fields = (
        {"username": "newcomer", "password": PASSWORD, "email": "", "phone": "", name: value}
        for name in ("username", "email", "phone")
        for value in PATTERNS
    )
    asked = ({"client_id": "web", name: value} for name in ("redirect_uri", "claims", "scope") for value in PATTERNS)
    # As long as such a field may be, so that its parser meets it.
    short = (
        {"username": "newcomer", "password": PASSWORD, "email": "", "phone": "", name: value[:8000]}
        for name in ("username", "email", "phone")
        for value in PATTERNS
    )
    sent = [(address, urlencode(form)) for form in (*fields, *short)]
    sent += [("/oauth/authorize", urlencode(form)) for form in asked]
    sent += [
        ("/oauth/token", body) for body in ("&".join(f"f{n}=1" for n in range(100_000)), "&" * 100_000, "a&" * 50_000)
    ]
    before = cpu_seconds(cluster)
    for path, content in sent:
        try:
            answer = await browser.http.post(path, content=content, headers=FORM)
        except httpx2.TransportError:
            continue
        assert answer.status_code in {400, 401, 413}, (path, content[:60], answer.status_code)
    for value in PATTERNS:
        answer = await browser.http.post("/oauth/token", content=b"a=b", headers={"content-type": value})
        assert answer.status_code in {400, 431}
    assert cpu_seconds(cluster) - before < 0.05 * (len(sent) + len(PATTERNS))


async def test_A_64_languages_scopes_and_abandoned_requests(cluster: Cluster) -> None:
    """Hundreds of different ones leave nothing in memory; what is kept of each is bounded (ASVS 15.2.2)."""
    async with cluster.http(cluster.workers[0]) as http:

        async def ask(number: int) -> None:
            asked = {"ui_locales": f"x-{number} de-{number}", "login_hint": f"u{number}", "padding": "x" * 6000}
            headers = {"accept-language": f"y-{number}"}
            assert (await http.get(authorization("spa", **asked), headers=headers)).status_code == 303

        await asyncio.gather(*map(ask, range(100)))
        before = resident_bytes(pids(cluster)[0])
        for first in range(100, 300, 100):
            await asyncio.gather(*map(ask, range(first, first + 100)))
        assert resident_bytes(pids(cluster)[0]) - before < 20_000_000
        scope = " ".join(f"s{number}" for number in range(10_000))
        assert (await http.get(authorization("spa", scope=scope))).status_code == 414
        assert is_error_page(await http.post("/oauth/authorize", data={"client_id": "spa", "scope": scope}))
    refused = await cluster.post("/oauth/token", grant_type="client_credentials", scope=scope)
    assert error_of(refused) == (400, "invalid_request")
    async with transaction(cluster.pool) as conn:
        assert await conn.fetchval("SELECT max(length(parameters::text)) FROM interactions") < 2000
