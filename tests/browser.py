"""A real Chromium for tests, as a pytest plugin, and a server of pages under the real headers."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest
import pytest_asyncio
from playwright.async_api import Browser, CDPSession, Page, async_playwright

from idp.web.pages import STATIC

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The Chromium of this machine; without it the test is skipped, which continuous integration refuses."""
    if not CHROMIUM.exists():
        pytest.skip(f"NO BROWSER: {CHROMIUM} is missing, so nothing was tested in a real browser")
    return CHROMIUM


@pytest_asyncio.fixture(scope="session")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """One Chromium for all tests of a session."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page in a context of its own, so without cookies of other tests."""
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


class Authenticator:
    """A virtual authenticator of a page's browser: it keeps passkeys and verifies its user, as a laptop does."""

    def __init__(self, devtools: CDPSession, id_: str) -> None:
        self._devtools, self._id = devtools, id_

    @classmethod
    async def of(cls, page: Page) -> Self:
        """A new one, which is touched by itself whenever a page asks for it."""
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        added = await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return cls(devtools, added["authenticatorId"])

    async def touch(self, enabled: bool) -> None:
        """Whether somebody touches it from now on."""
        await self._send("setAutomaticPresenceSimulation", enabled=enabled)

    async def verify_user(self, verified: bool) -> None:
        """Whether it recognizes its user from now on."""
        await self._send("setUserVerified", isUserVerified=verified)

    async def credentials(self) -> list[dict[str, Any]]:
        """What it keeps."""
        return list((await self._send("getCredentials"))["credentials"])

    async def add(self, credential: dict[str, Any]) -> None:
        """Let it keep one more."""
        await self._send("addCredential", credential=credential)

    async def _send(self, command: str, **values: object) -> dict[str, Any]:
        parameters = {"authenticatorId": self._id, **values}
        answer: dict[str, Any] = await self._devtools.send(f"WebAuthn.{command}", parameters)
        return answer


@contextmanager
def serving(pages: Mapping[str, str]) -> Iterator[str]:
    """Serve pages by their paths, and the static files, on a free port of loopback; yields the site's address.

    The address has the name localhost, which WebAuthn accepts, and no slash at its end. What is posted is answered
    with 204, which leaves a browser where it is.
    """
    with _Server(pages) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


class _Server(ThreadingHTTPServer):
    def __init__(self, pages: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in self.server.pages:
            self._answer("text/html; charset=utf-8", self.server.pages[path].encode())
        elif (file := STATIC / Path(path).name) in STATIC.iterdir():
            self._answer(TYPES[file.suffix], file.read_bytes())
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def _answer(self, media_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing: the tests look at what the browser got."""
