"""The published keys over HTTP: true cache headers, conditional requests, every origin, no cookie."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from idp.base import jwk
from idp.base.entropy import system_entropy
from idp.base.seal import MasterKey
from idp.keys.ring import Ring, build, seal_private
from idp.model.signing_key import SigningKey
from idp.web.jwks import jwks

MASTER = MasterKey(bytes(32))


def ring() -> Ring:
    key = jwk.generate("ES256", rsa_bits=2048)
    now = datetime(2026, 11, 24, tzinfo=UTC)
    row = SigningKey(key.kid, "ES256", key.public_jwk, now, seal_private(key, MASTER, system_entropy), now)
    return build((row,), MASTER, max_age=3600)


@dataclass
class Keys:
    """As much of the provider as the endpoint reads."""

    ring: Ring


@dataclass
class Provider:
    """As much of the provider as the endpoint reads."""

    keys: Keys


RING = ring()


@pytest.fixture(scope="module")
def browser() -> TestClient:
    app = Starlette(routes=[Route("/.well-known/jwks.json", jwks)])
    app.state.provider = Provider(Keys(RING))
    return TestClient(app)


def test_the_set_with_true_headers(browser: TestClient) -> None:
    answer = browser.get("/.well-known/jwks.json")
    assert (answer.status_code, answer.content) == (200, RING.jwks)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.headers["ETag"] == RING.etag
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param(RING.etag, id="the same"),
        pytest.param(f"W/{RING.etag}", id="RFC 9110 §8.8.3.2 weak comparison"),
        pytest.param(f'"other", {RING.etag}', id="RFC 9110 §13.1.2 a list"),
        pytest.param(f'"other",W/{RING.etag} , "more"', id="a loose list"),
        pytest.param("*", id="RFC 9110 §13.1.2 any"),
    ],
)
def test_not_modified(browser: TestClient, condition: str) -> None:
    answer = browser.get("/.well-known/jwks.json", headers={"If-None-Match": condition})
    assert (answer.status_code, answer.content) == (304, b"")
    # RFC 9110 §15.4.5: what a 200 would have said of caching is said again.
    assert answer.headers["ETag"] == RING.etag
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "condition",
    ['"other"', RING.etag.strip('"'), "", "W/", '"*"'],
    ids=["another", "unquoted", "empty", "weak and empty", "quoted asterisk"],
)
def test_modified(browser: TestClient, condition: str) -> None:
    assert browser.get("/.well-known/jwks.json", headers={"If-None-Match": condition}).status_code == 200


def test_head_tells_the_same_without_the_body(browser: TestClient) -> None:
    answer = browser.head("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == RING.etag
    assert answer.headers["Content-Length"] == str(len(RING.jwks))


def test_nothing_else_is_allowed(browser: TestClient) -> None:
    assert browser.post("/.well-known/jwks.json").status_code == 405
