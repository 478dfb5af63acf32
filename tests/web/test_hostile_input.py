"""No input whatever gives a 5xx (ASVS 2.2.1): every route of the table, fed with what nobody should send."""

import asyncio
import json
import os
import re
from base64 import b64encode
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote_from_bytes
from zlib import crc32

import httpx2
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from starlette.routing import Route

from idp.web.middleware import HEADERS
from idp.web.routes import ROUTES
from tests.driver import CALLBACK, CHALLENGE, PASSWORD, VERIFIER, running
from tests.web.stage import ENVIRON, Parameters, Stage

EXAMPLES = int(os.environ.get("IDP_FUZZ_EXAMPLES", "0"))
USUAL_EXAMPLES = 1200
FORM = "application/x-www-form-urlencoded"

NAMES = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
    "claims", "acr_values", "max_age", "prompt", "display", "ui_locales", "id_token_hint", "login_hint",
    "response_mode", "request", "request_uri", "registration", "resource",
    "grant_type", "code", "code_verifier", "refresh_token", "client_secret", "client_assertion",
    "client_assertion_type", "token", "token_type_hint", "access_token", "post_logout_redirect_uri",
    "interaction", "method", "return_to", "username", "password", "current_password", "new_password", "email", "phone",
    "credential", "decision", "account", "name", "link", "trust", "confirmation", "end_others", "another", "before",
    "given_name", "family_name", "locale", "zoneinfo", "birthdate", "website",
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
TABLE = tuple(
    (route.path, method)
    for route in ROUTES
    if isinstance(route, Route)
    for method in sorted(route.methods or ())
    if method != "HEAD"
)
BESIDE = (("/static/style.css", "GET"), ("/nowhere", "GET"))

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
    st.integers(0, 30),
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

    @property
    def route(self) -> tuple[str, str]:
        """The path and the method that it goes to: all of the table equally often, which a strategy does not give."""
        routes = (*TABLE, *BESIDE)
        return routes[crc32(repr(self).encode("utf-8", "surrogatepass")) % len(routes)]


hostile = st.builds(
    Hostile,
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


async def send(stage: Stage, hostile: Hostile) -> httpx2.Response:
    """Send the request to the stage, as it is, and count what is answered."""
    stage.sent += 1
    if stage.sent % 75 == 0:
        await stage.set()
    route, usual = hostile.route
    path, query, body = stage.honest(route, hostile.base)
    content = hostile.raw or _encoded(stage, body, hostile.body, hostile).encode()
    token, method = stage.values["access_token"], hostile.method or usual
    headers = [(name, value.replace("{access_token}", token)) for name, value in hostile.headers]
    if not headers or hostile.repeats:
        headers += stage.headers(route)
    browser = stage.browser if hostile.signed_in else stage.stranger
    answer = await browser.http.request(
        method,
        f"{path}?{_encoded(stage, query, hostile.query, hostile)}",
        content=content if method == "POST" else None,
        headers=[
            (b"content-type", hostile.kind.encode()),
            *((name.encode(), value.encode("latin-1", "replace")) for name, value in headers),
        ],
    )
    stage.count(route, method, answer)
    return answer


def _encoded(stage: Stage, base: Parameters, given: list[tuple[str, bytes | int]], hostile: Hostile) -> str:
    """The honest parameters, with the hostile ones in their place, or beside them where names are repeated."""
    stock = list(stage.values.values())
    replaced = set() if hostile.repeats else {name for name, _ in given}
    pairs = [(name, value.encode()) for name, value in base if name not in hostile.left_out | replaced]
    pairs += [(name, stock[value % len(stock)].encode() if isinstance(value, int) else value) for name, value in given]
    return "&".join(f"{quote_from_bytes(_bytes(name))}={quote_from_bytes(value, safe='')}" for name, value in pairs)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


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
        rig = runner.run(stack.enter_async_context(running(database, tmp_path, **ENVIRON)))
        runner.run(rig.add_client())
        runner.run(rig.add_client("spa", token_endpoint_auth_method="none", secret_hash=None))
        stage = Stage(rig, rig.browser(), rig.browser())
        runner.run(stage.set())

        @settings(
            max_examples=EXAMPLES or USUAL_EXAMPLES,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(hostile)
        def hold_out(sent: Hostile) -> None:
            note(f"sent to {sent.route}")
            judge(runner.run(send(stage, sent)))

        try:
            hold_out()
        finally:
            runner.run(stack.aclose())
    assert stage.sent >= (EXAMPLES or USUAL_EXAMPLES)
    # What is sent arrives at every route, and not only at its door: most of them have given what they give.
    assert set(stage.met) >= set(TABLE)
    opened = {route for route, answers in stage.met.items() if min(answers) < 400}
    assert len(opened & set(TABLE)) > 0.8 * len(TABLE), set(TABLE) - opened
