"""Connections over real sockets: what is no HTTP, and heads without an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from idp.cli.connection import MOST_BYTES, Answered, BoundedConnection
from idp.cli.serve import server_command
from idp.settings import load_settings
from idp.web.middleware import CSP, HEADERS
from tests.ports import free_port

REACHED: list[str] = []
HEADERS_MET: list[bytes] = []


class Impatient(BoundedConnection):
    """The connection with a time that a test can wait for."""

    head_seconds = 0.2


async def reached(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/fails half-way":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError
    REACHED.append(scope["path"])
    HEADERS_MET.extend(name for name, _ in scope["headers"])
    await PlainTextResponse("reached")(scope, receive, send)
    if scope["path"] == "/fails afterwards":
        raise RuntimeError


@pytest.fixture(params=[BoundedConnection])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    REACHED.clear()
    HEADERS_MET.clear()
    chosen = free_port()
    config = uvicorn.Config(
        Answered(reached),
        port=chosen,
        http=request.param,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="critical",
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield chosen
    server.should_exit = True
    await running


async def said(port: int, *sent: bytes) -> bytes:
    """All that the server says before it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        for part in sent:
            writer.write(part)
            try:
                await writer.drain()
            except ConnectionError:
                break
        try:
            return await asyncio.wait_for(reader.read(), 20)
        except ConnectionError:
            return b""


async def test_a_request_is_served_and_the_next_one_too(port: int) -> None:
    first, last = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert (await said(port, first, last)).count(b"HTTP/1.1 200 OK") == 2
    assert REACHED == ["/1", "/2"]


async def test_16_5_4_an_error_that_was_answered_cuts_no_connection(port: int) -> None:
    """The next request on it is served; one that was answered by half is cut, as the client could not tell."""
    last = b"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = await said(port, b"GET /fails%20afterwards HTTP/1.1\r\nHost: a\r\n\r\n", last)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    answer = await said(port, b"GET /fails%20half-way HTTP/1.1\r\nHost: a\r\n\r\n", last)
    assert answer.endswith(b"half")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked", id="both"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 5", id="both, the other way round"),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 6", id="two lengths"),
        pytest.param(b"Content-Length: 5, 6", id="a list of lengths"),
        pytest.param(b"Content-Length: +5", id="a signed length"),
        pytest.param(b"Content-Length : 5", id="a space before the colon"),
        pytest.param(b"Transfer-Encoding: chunked, identity", id="chunked is not last"),
        pytest.param(b"X: 1\r\n folded: 1", id="a folded line"),
    ],
)
async def test_what_two_servers_could_read_differently_is_refused(port: int, head: bytes) -> None:
    """Request smuggling (ASVS 4.2.1, 4.2.2, 4.2.3, 4.2.4)."""
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await said(port, b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n" + smuggled)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert "/smuggled" not in REACHED
    for name, value in {**HEADERS, "Content-Security-Policy": CSP}.items():
        assert f"\r\n{name}: {value}\r\n".encode() in answer


@pytest.mark.parametrize("parted", [False, True])
async def test_4_1_3_and_4_2_3_a_trailer_is_no_header(port: int, parted: bool) -> None:
    """What comes behind the body was not looked at by a proxy: no address, no host, no credentials (A-47)."""
    head = b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailers = b"X-Forwarded-For: 203.0.113.66\r\nHost: evil.test\r\nAuthorization: Bearer x\r\n\r\n"
    last = b"GET /2 HTTP/1.1\r\nHost: a\r\nX-Last: 1\r\nConnection: close\r\n\r\n"
    parts = (head, b"0\r\n" + trailers, last) if parted else (head + b"0\r\n" + trailers + last,)
    assert (await said(port, *parts)).count(b"HTTP/1.1 200 OK") == 2
    assert REACHED == ["/1", "/2"]
    assert HEADERS_MET == [b"host", b"transfer-encoding", b"host", b"x-last", b"connection"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", id="another version"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", id="CONNECT"),
    ],
)
async def test_what_is_no_request_is_refused_and_the_server_goes_on(port: int, line: bytes) -> None:
    assert (await said(port, line)).startswith(b"HTTP/1.1 400 ")
    assert b"reached" in await said(port, b"GET / HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"GET /", b"GET / HTTP/1.1\r\n"])
async def test_a_head_without_an_end_is_cut_off(port: int, start: bytes) -> None:
    endless = b"X: 1\r\n" if start.endswith(b"\n") else b"a"
    answer = await said(port, start, *[endless * (4096 // len(endless))] * (MOST_BYTES // 2048))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert REACHED == []


@pytest.mark.parametrize("port", [Impatient], indirect=True)
@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2"])
async def test_F19_a_head_that_does_not_come_is_cut(port: int, start: bytes) -> None:
    assert (await said(port, start)).count(b"HTTP/1.1") == start.count(b"\r\n\r\n")


async def test_F19_a_body_takes_no_time_of_the_heads(port: int) -> None:
    answer = await said(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\n", b"x")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_idp_serve_uses_it(tmp_path: Path) -> None:
    command = server_command(load_settings({"IDP_DATA_DIR": str(tmp_path)}))
    assert f"--http={BoundedConnection.__module__}:{BoundedConnection.__name__}" in command
