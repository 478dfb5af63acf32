"""The Python of docs/integration-validators.md does what its text says."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import uvicorn
from starlette.responses import JSONResponse

from tests.cli.demo.provider import KEY, sign

PAGE = Path(__file__).parents[2] / "docs" / "integration-validators.md"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The address of a server on loopback that publishes the key under which the tests sign."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse({"keys": [KEY.as_dict(private=False)]})(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def snippet(issuer: str) -> dict[str, Any]:
    """What the page's Python defines, with the issuer of the tests in the place of the example's."""
    [source] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(source.replace("https://id.example", issuer), names)  # noqa: S102
    return names


def token(issuer: str, claims: dict[str, Any], **header: Any) -> str:
    return sign({"iss": issuer, "aud": issuer, **claims}, **header)


def test_an_access_token_is_believed(snippet: dict[str, Any], issuer: str) -> None:
    claims = snippet["validate"](token(issuer, {"acr": "phr"}))
    assert claims["sub"] == "alice-sub"
    assert snippet["strong_enough"](claims, "mfa")
    assert not snippet["strong_enough"](claims, "phrh")
    assert not snippet["strong_enough"]({}, "1fa")


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        pytest.param({}, {"typ": "JWT"}, id="RFC9068-4-typ"),
        pytest.param({"iss": "https://evil.example"}, {}, id="RFC9068-4-iss"),
        pytest.param({"aud": "other"}, {}, id="RFC9068-4-aud"),
        pytest.param({"exp": 1_700_000_000}, {}, id="RFC9068-4-exp"),
        pytest.param({"client_id": None}, {}, id="RFC9068-2.2"),
        pytest.param({}, {"kid": "k2"}, id="unknown-kid"),
    ],
)
def test_others_are_not(snippet: dict[str, Any], issuer: str, claims: dict[str, Any], header: dict[str, Any]) -> None:
    with pytest.raises(jwt.PyJWTError):
        snippet["validate"](token(issuer, claims, **header))
