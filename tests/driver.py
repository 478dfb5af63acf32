"""Drivers that speak the protocol: a provider in this process, a browser of plain forms, and a relying party."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pyotp
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from idp.app import build
from idp.base.clock import system_clock
from idp.base.digest import sha256
from idp.model.client import Client
from idp.settings import load_settings
from idp.store import clients
from idp.store.database import transaction
from idp.store.outbox import text_of
from tests.doubles import FrozenClock, SeededEntropy

ISSUER = "http://localhost:8000"
CALLBACK = "https://rp.test/cb"
PASSWORD = "correct horse battery staple"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Rig:
    """A provider at work in this process, its clock, and the clients registered with it.

    It is two applications on one database that share nothing else, as two processes behind a proxy would be; they take
    the requests in turn, so that nothing works here which one of them merely remembers. `app` is the first.
    """

    app: Starlette
    clock: FrozenClock
    secret: str = "s" * 43
    issuer: str = ISSUER
    other: Starlette | None = None

    def __post_init__(self) -> None:
        self._turns = cycle(self.apps)

    @property
    def apps(self) -> tuple[Starlette, ...]:
        """All that take requests."""
        return (self.app,) if self.other is None else (self.app, self.other)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the application whose turn it is, and wait for what it does after its answer."""
        app = next(self._turns)
        await app(scope, receive, send)
        await app.state.provider.later.done()

    def browser(self, *, address: str = "127.0.0.1", raises: bool = True) -> "Browser":
        """A new browser with an empty cookie jar; an exception in the application is raised here too if it `raises`."""
        transport = httpx2.ASGITransport(app=self, client=(address, 50000), raise_app_exceptions=raises)
        http = httpx2.AsyncClient(transport=transport, base_url=self.issuer)
        return Browser(http, home=urlsplit(self.issuer).netloc)

    async def add_client(self, client_id: str = "web", **changes: Any) -> Client:
        """Register a client that authenticates by ``secret``."""
        metadata: dict[str, Any] = {
            "client_id": client_id,
            "client_name": "Example Bank",
            "token_endpoint_auth_method": "client_secret_basic",
            "created_at": self.clock(),
            "secret_hash": sha256(self.secret),
            "redirect_uris": (CALLBACK,),
            "post_logout_redirect_uris": ("https://rp.test/",),
            "grant_types": ("authorization_code", "refresh_token", "client_credentials"),
            "scope": ("openid", "profile", "email", "phone", "offline_access", "api"),
        }
        client = Client(**{**metadata, **changes})
        async with transaction(self.app.state.provider.pool) as conn:
            await clients.create(conn, client)
        return client


@asynccontextmanager
async def running(database: str, directory: Path, **environ: str) -> AsyncIterator[Rig]:
    """A provider of two applications on this database, with small keys to start at once, and with these settings."""
    settings = load_settings(
        {
            "IDP_ISSUER": ISSUER,
            "IDP_DATABASE_URL": database,
            "IDP_RSA_BITS": "2048",
            "IDP_KEYS_DIR": str(directory / "keys"),
            "IDP_DATA_DIR": str(directory / "data"),
            **environ,
        }
    )
    clock = FrozenClock()
    app, other = (build(settings, clock=clock, entropy=SeededEntropy(seed), spread=timedelta(0)) for seed in (7, 8))
    async with app.router.lifespan_context(app), other.router.lifespan_context(other):
        yield Rig(app, clock, issuer=settings.issuer, other=other)


@dataclass
class Browser:
    """Follows redirects within the provider and submits the forms of its pages."""

    http: httpx2.AsyncClient
    page: httpx2.Response | None = field(default=None)
    home: str = "localhost:8000"

    async def get(self, url: str) -> httpx2.Response:
        """Open an address and follow it while it stays with us."""
        return await self._follow(await self.http.get(url))

    async def submit(self, **fields: str) -> httpx2.Response:
        """Submit the first form that the page is about with these fields."""
        assert self.page is not None
        action = re.search(r'<form method="post"\s+action="([^"]+)"', self.page.text.partition("<main")[2])
        assert action, self.page.text
        return await self.post(unescape(action[1]), fields)

    async def post(self, url: str, fields: dict[str, str]) -> httpx2.Response:
        """Submit these fields to an address of ours."""
        if self.page is not None:
            url = str(self.page.url.join(url))
        # An empty form has its content type all the same, as browsers send it.
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return await self._follow(await self.http.post(url, data=fields, headers=headers))

    async def _follow(self, response: httpx2.Response) -> httpx2.Response:
        while response.is_redirect and urlsplit(response.headers["location"]).netloc in {"", self.home}:
            response = await self.http.get(str(response.url.join(response.headers["location"])))
        self.page = response
        return response

    async def register(self, username: str = "alice") -> httpx2.Response:
        """Make an account, and be signed in to it."""
        if self.page is None or "/register" not in str(self.page.url):
            await self.get("/register")
        return await self.submit(username=username, password=PASSWORD, email="", phone="")

    async def add_totp(self, rig: Rig) -> str:
        """Enrol an authenticator app, and return its seed."""
        page = await self.get("/account/authenticators/add-totp")
        uri = unescape(re.search(r'href="(otpauth://[^"]+)"', page.text)[1])  # type: ignore[index]
        secret = parse_qs(urlsplit(uri).query)["secret"][0]
        await self.submit(code=code_of(secret, rig))
        return secret


@dataclass(frozen=True)
class Mail:
    """A mail that waits to be sent."""

    recipient: str
    kind: str
    subject: str
    text: str

    @property
    def link(self) -> str:
        """The one link in it that does something."""
        [found] = re.findall(r"^(http\S+\?link=\S+)$", self.text, re.MULTILINE)
        return str(found)


async def mails(rig: Rig) -> list[Mail]:
    """What waits in the outbox, oldest first."""
    provider = rig.app.state.provider
    async with transaction(provider.pool) as conn:
        rows = await conn.fetch(
            """
            SELECT id, recipient, kind, subject, sealed_text FROM outbox
            WHERE channel = 'mail' AND sealed_text IS NOT NULL
            ORDER BY created_at, kind, recipient
            """
        )
    opened = ((row, text_of(row["id"], row["sealed_text"], provider.tools.master_key)) for row in rows)
    return [Mail(row["recipient"], row["kind"], row["subject"], text) for row, text in opened]


async def early_in_a_step() -> None:
    """Wait for a new TOTP step where this one ends soon: a server's own clock goes on while a code is on its way."""
    left = 30 - system_clock().timestamp() % 30
    if left < 12:
        await asyncio.sleep(left)


async def former_code(totp: pyotp.TOTP) -> str:
    """The code of the step before, still good by the clock of now; the present one is left for what comes next."""
    await early_in_a_step()
    return str(totp.at(system_clock(), counter_offset=-1))


def code_of(secret: str, rig: Rig) -> str:
    """The code that an authenticator app shows now."""
    return str(pyotp.TOTP(secret).at(rig.clock()))


def authorization(**changes: str | None) -> str:
    """The address of an authorization request of the client ``web``."""
    parameters = {
        "response_type": "code",
        "client_id": "web",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": "af0ifjsldkj",
        "nonce": "n-0S6_WzA2Mj",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    given = {name: value for name, value in {**parameters, **changes}.items() if value is not None}
    return "/oauth/authorize?" + str(httpx2.QueryParams(given))


def response_of(answer: httpx2.Response) -> dict[str, str]:
    """The parameters of the authorization response in the redirect to the client."""
    assert answer.status_code == 303, (answer.status_code, answer.text)
    location = answer.headers["location"]
    assert location.startswith(CALLBACK), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def exchange(rig: Rig, code: str, **changes: str) -> httpx2.Response:
    """Redeem a code as the client ``web``."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return await call(rig, "/oauth/token", {**form, **changes})


async def call(rig: Rig, path: str, form: dict[str, str]) -> httpx2.Response:
    """Post a form as the client ``web``, by client_secret_basic."""
    async with rig.browser().http as http:
        return await http.post(path, data=form, auth=("web", rig.secret))


def claims_of(token: str) -> dict[str, Any]:
    """The claims in a JWT, unverified."""
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
