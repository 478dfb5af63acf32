"""No input whatever gives a 5xx (ASVS 2.2.1): every route of the table, fed with what nobody should send."""

import asyncio
import json
import os
import re
from base64 import b64encode
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, quote_from_bytes, urlsplit

import httpx2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from idp.web.middleware import HEADERS
from tests.driver import (
    CALLBACK,
    CHALLENGE,
    PASSWORD,
    VERIFIER,
    Browser,
    Rig,
    authorization,
    code_of,
    exchange,
    running,
)

EXAMPLES = int(os.environ.get("IDP_FUZZ_EXAMPLES", "0"))
USUAL_EXAMPLES = 1500
FORM = "application/x-www-form-urlencoded"

NAMES = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
    "claims", "acr_values", "max_age", "prompt", "display", "ui_locales", "id_token_hint", "login_hint",
    "response_mode", "request", "request_uri", "registration", "resource",
    "grant_type", "code", "code_verifier", "refresh_token", "client_secret", "client_assertion",
    "client_assertion_type", "token", "token_type_hint", "access_token", "post_logout_redirect_uri",
    "interaction", "method", "return_to", "username", "password", "current_password", "new_password", "email", "phone",
    "credential", "decision", "account", "name", "session", "others",
)  # fmt: skip
PLAUSIBLE = (
    "web", "spa", CALLBACK, "https://evil.test/cb", "http://127.0.0.1:0/cb", "openid offline_access", "api", "code",
    "token", "S256", "plain", CHALLENGE, VERIFIER, "none", "login", "consent", "create", "select_account", "none login",
    "0", "-1", "1e999", "9" * 400, "mfa", "phr", "phrh", "1fa urn:x", "query", "form_post", "fragment",
    "authorization_code", "refresh_token", "client_credentials", "password", "totp", "webauthn", "recovery", "allow",
    "deny", "alice", PASSWORD, "000000", "a@b.test", "+4930123456", "/account", "//evil.test", "/\\evil.test",
    "https://rp.test/", "null", "true", "[]", "{}", '{"userinfo":{"email":null},"id_token":{"acr":{"essential":true}}}',
    "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AAAA", "a" * 9000, "'", '"',
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", '"><script>alert(1)</script>', "x\r\nSet-Cookie: x=1",
    "\0", "\x7f", "\x85", "\u2028", "\ud800", "\U0001f600", "ü", "ＡＬＩＣＥ", "%00", "%s%n", "{{7*7}}", "${x}",
)  # fmt: skip

BASICS = ("!!!", "AAAA", "d2ViOnNzcw==", "d2ViJTAwOng=", "d2ViJTBhOng=", "/////w==", "")
T = TypeVar("T")


def rarely(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    """One time in ten."""
    return st.integers(0, 9).flatmap(lambda chance: strategy if chance == 9 else st.none())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner),
    max_leaves=6,
)
anything = st.one_of(
    st.sampled_from(PLAUSIBLE).map(lambda text: text.encode("utf-8", "surrogatepass")),
    # The values of the stage: an interaction that waits, a live code, a token.
    st.integers(0, 20),
    st.text(st.characters(), max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=24),
    json_values.map(lambda value: json.dumps(value).encode()),
)
parameters = st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=6), anything), max_size=4)
KINDS = (*[FORM] * 8, f"{FORM}; charset=utf-16", "multipart/form-data; boundary=x", "application/json")
latin = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
header = st.one_of(
    st.tuples(st.just("authorization"), st.sampled_from(BASICS).map("Basic {}".format)),
    st.tuples(st.just("authorization"), st.just("Basic " + b64encode(b"web:" + b"s" * 43).decode())),
    st.tuples(st.just("authorization"), st.just("Bearer {access_token}")),
    st.tuples(st.just("authorization"), st.sampled_from(PLAUSIBLE[:60]).map("Bearer {}".format)),
    st.tuples(
        st.just("origin"), st.sampled_from(("null", "https://evil.test", "http://localhost:8000", "https://rp.test"))
    ),
    st.tuples(st.just("accept"), st.just("text/html")),
    st.tuples(st.sampled_from(("accept-language", "user-agent", "cookie", "referer", "x-forwarded-for")), latin),
    st.tuples(st.just("if-none-match"), st.sampled_from(("*", '"x"', "W/"))),
)


@dataclass(frozen=True)
class Hostile:
    """A request that may be anything; a whole number as a value stands for one of the stage's.

    Most begin as an honest one, ``base``, some of whose parameters are then left out, replaced or repeated.
    """

    route: int
    method: str | None
    base: int
    left_out: set[str]
    repeats: bool
    query: list[tuple[str, bytes | int]]
    body: list[tuple[str, bytes | int]]
    kind: str
    headers: list[tuple[str, str]]
    signed_in: bool
    raw: bytes | None


hostile = st.builds(
    Hostile,
    route=st.integers(0, 1000),
    method=rarely(st.sampled_from(("HEAD", "PUT", "OPTIONS", "DELETE", "TRACE", "POST", "GET"))),
    base=st.integers(0, 1000),
    left_out=st.sets(st.sampled_from(NAMES), max_size=3),
    repeats=rarely(st.just(True)).map(bool),
    query=rarely(parameters).map(lambda found: found or []),
    body=parameters,
    kind=st.sampled_from(KINDS),
    headers=st.lists(header, max_size=2),
    signed_in=st.sampled_from((True, True, True, False)),
    raw=rarely(st.binary(max_size=64)),
)


Parameters = list[tuple[str, str]]


@dataclass
class Stage:
    """A provider with a user at work, set anew now and then, as hostile requests sign out and use up what waits."""

    rig: Rig
    browser: Browser
    stranger: Browser
    values: dict[str, str] = field(default_factory=dict)
    sent: int = 0

    async def set(self) -> None:
        """A new user with a second step, waiting interactions, a live code and tokens."""
        self.browser = self.rig.browser()
        scope = "openid offline_access"
        await self.browser.get(authorization(prompt="create", scope=scope))
        await self.browser.register(f"user{self.sent}")
        tokens = (await exchange(self.rig, _part("code", await self.browser.submit(decision="allow")))).json()
        secret = await self.browser.add_totp(self.rig)
        self.rig.clock.advance(60)
        page = await self.browser.get("/account/authenticators")
        credential = re.search(r"/account/authenticators/(\w+)/remove", page.text)
        assert credential
        self.values = {
            **{name: tokens[name] for name in ("access_token", "id_token", "refresh_token")},
            "credential": credential[1],
            "secret": secret,
            "username": f"user{self.sent}",
            "totp": code_of(secret, self.rig),
        }
        for name, prompt in (("code", None), ("login", "login"), ("consent", "consent"), ("chooser", "select_account")):
            answer = await self.browser.http.get(authorization(prompt=prompt))
            self.values[name] = _part("code" if prompt is None else "interaction", answer)

    async def send(self, hostile: Hostile) -> httpx2.Response:
        """The request, as it is."""
        self.sent += 1
        if self.sent % 50 == 1:
            await self.set()
        path, usual = self._route(hostile.route)
        query, body = self._base(path, hostile.base)
        path = re.sub(r"\{\w+\}", ("%00x", "'", *[self.values["credential"]] * 3)[hostile.base % 5], path)
        content = hostile.raw or self._encoded(body, hostile.body, hostile).encode()
        token, method = self.values["access_token"], hostile.method or usual
        headers = [(name, value.replace("{access_token}", token)) for name, value in hostile.headers]
        browser = self.browser if hostile.signed_in else self.stranger
        return await browser.http.request(
            method,
            f"{path}?{self._encoded(query, hostile.query, hostile)}",
            content=content if method == "POST" else None,
            headers=[
                (b"content-type", hostile.kind.encode()),
                *((name.encode(), value.encode("latin-1", "replace")) for name, value in headers),
            ],
        )

    def _route(self, choice: int) -> tuple[str, str]:
        """A path of the table with a method of its own, or one beside the table."""
        routes = [route for route in self.rig.app.routes if isinstance(route, Route)]
        table = [(route.path, method) for route in routes for method in sorted(route.methods or ())]
        return [*table, ("/static/style.css", "GET"), ("/nowhere", "GET")][choice % (len(table) + 2)]

    def _base(self, path: str, choice: int) -> tuple[Parameters, Parameters]:
        """The query and the body of an honest request, which fit the path more often than not."""
        good = parse_qsl(authorization().partition("?")[2])
        if path == "/oauth/authorize":
            return good, good
        if path.startswith("/oauth/"):
            token = self.values[("access_token", "id_token", "refresh_token")[choice % 3]]
            code = [("code", self.values["code"]), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)]
            client = [("client_id", "spa")] if choice % 5 == 0 else []
            bodies: tuple[Parameters, ...] = (
                [("grant_type", "authorization_code"), *code],
                [("grant_type", "refresh_token"), ("refresh_token", self.values["refresh_token"])],
                [("grant_type", "client_credentials"), ("scope", "api")],
                [("token", token), ("id_token_hint", token), ("post_logout_redirect_uri", "https://rp.test/")],
            )
            return (bodies[3] if path == "/oauth/logout" else []), [*client, *bodies[choice % 4]]
        waiting = ("login", "consent" if "consent" in path else "chooser" if "choose" in path else "login")[choice % 2]
        user = [("username", self.values["username"]), ("password", PASSWORD)]
        forms: tuple[Parameters, ...] = (
            user,
            [("code", self.values["totp"]), ("name", "phone")],
            [("decision", ("allow", "deny")[choice % 2]), ("method", "totp"), ("account", "x")],
            [*[("username", f"new{self.sent}"), user[1]], ("email", "a@b.test"), ("phone", "+4930123456")],
            [("credential", "{}"), ("name", "key")],
        )
        method = [("method", ("totp", "password", "webauthn")[choice % 3])] if choice % 4 == 0 else []
        return [("interaction", self.values[waiting]), *method], forms[3 if path == "/register" else choice % 5]

    def _encoded(self, base: Parameters, given: list[tuple[str, bytes | int]], hostile: Hostile) -> str:
        """The honest parameters, with the hostile ones in their place, or beside them where names are repeated."""
        stock = list(self.values.values())
        replaced = set() if hostile.repeats else {name for name, _ in given}
        pairs = [(name, value.encode()) for name, value in base if name not in hostile.left_out | replaced]
        pairs += [
            (name, stock[value % len(stock)].encode() if isinstance(value, int) else value) for name, value in given
        ]
        return "&".join(f"{quote_from_bytes(_bytes(name))}={quote_from_bytes(value, safe='')}" for name, value in pairs)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _part(name: str, answer: httpx2.Response) -> str:
    """A parameter of the address to which an answer leads."""
    parameters = dict(parse_qsl(urlsplit(answer.headers.get("location", "")).query))
    assert name in parameters, (answer.status_code, answer.headers, answer.text)
    return parameters[name]


def judge(answer: httpx2.Response) -> None:
    """What holds for every answer; an exception in the application has been raised already."""
    assert answer.status_code < 500
    for name in HEADERS | {"Content-Security-Policy": "", "X-Request-Id": ""}:
        assert name in answer.headers
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "<script>alert" not in answer.text
    assert not any(cookie.startswith("x=") for cookie in answer.headers.get_list("set-cookie"))
    if "location" in answer.headers:
        target = answer.headers["location"]
        assert answer.status_code in {302, 303}
        assert re.match(r"/(?![/\\])|https://rp\.test/(cb(\?|$)|$|\?)", target), target


def test_no_input_gives_a_server_error(database: str, tmp_path: Path) -> None:
    """Nor an answer without its headers, nor a redirect to an unknown place (ASVS 2.1.1, 2.2.1, 2.2.2, 3.7.2)."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        rig = runner.run(stack.enter_async_context(running(database, tmp_path, IDP_RATE_LIMITS="off")))
        runner.run(rig.add_client())
        runner.run(rig.add_client("spa", token_endpoint_auth_method="none", secret_hash=None))
        stage = Stage(rig, rig.browser(), rig.browser())

        @settings(
            max_examples=EXAMPLES or USUAL_EXAMPLES,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(hostile)
        def hold_out(sent: Hostile) -> None:
            judge(runner.run(stage.send(sent)))

        try:
            hold_out()
        finally:
            runner.run(stack.aclose())
    assert stage.sent >= (EXAMPLES or USUAL_EXAMPLES)
