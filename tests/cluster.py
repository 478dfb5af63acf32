"""A pytest plugin: two `idp serve` processes on one database behind a plain round-robin proxy, and who uses them.

The fixture `cluster` is what attack cases are sent to. The processes are started once for each test process; before
every test the database is emptied (but for the signing keys and the audit trail) and filled with the same clients and
people, so that tests do not meet one another's counters, sessions and tokens.

Clients: `spa` (public), `web` (client_secret_basic), `m2m` (private_key_jwt only) and `native` (public, on a loopback
address). People: alice (password and authenticator app), bob and mallory (password).
"""

import asyncio
import base64
import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from itertools import count, cycle
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import asyncpg
import httpx2
import pyotp
import pytest_asyncio

from idp.base import jwk
from idp.base.clock import system_clock
from idp.base.digest import PasswordHasher, sha256
from idp.base.entropy import identifier, system_entropy, token
from idp.base.jose import sign
from idp.base.lifeline import die_with_parent
from idp.base.seal import MasterKey, seal
from idp.keys.custody import read_ring
from idp.keys.ring import build
from idp.model.assurance import Evidence
from idp.model.client import Client
from idp.model.credential import TotpCredential
from idp.model.event import Event
from idp.model.user import User
from idp.oauth.client_auth.private_key_jwt import ASSERTION_TYPE
from idp.store import clients, totp_credentials, users
from idp.store.audit_events import list_events
from idp.store.consents import record_consent
from idp.store.database import Connection, Pool, open_pool, transaction
from idp.store.embedded import EmbeddedPostgres
from idp.store.sessions import create_session
from tests.driver import CHALLENGE, PASSWORD, VERIFIER, Browser
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
SECRET = "s" * 43
"""The client secret of `web`."""
BASIC = "Basic " + base64.b64encode(f"web:{SECRET}".encode()).decode()
TOTP_SEED = b"alice's authenticator"[:20]
REDIRECT_URIS = {"spa": "https://rp-a.test/cb", "web": "https://rp-b.test/cb", "native": "http://127.0.0.1/cb"}
SCOPE = "openid profile offline_access"
PEOPLE = ("alice", "bob", "mallory")

_MASTER = MasterKey(b"m" * 32)
_SECRETS = {
    "password": PASSWORD,
    "password in a form": quote_plus(PASSWORD),
    "client secret": SECRET,
    "verifier": VERIFIER,
    "seed": base64.b32encode(TOTP_SEED).decode(),
    "master key": base64.b64encode(_MASTER.secret).decode(),
}
_KEPT = ("alembic_version", "signing_keys", "audit_events", "audit_anchors", "audit_seals")
_MANY_REFUSALS = 400
_NUMBERS = count()
# Nothing here is https; a context for each client would take longer than all else.
_UNUSED = ssl.create_default_context()


@cache
def key() -> jwk.PrivateKey:
    """The key with which `m2m` signs its assertions."""
    return jwk.generate("ES256", rsa_bits=2048)


class Proxy:
    """Hands each request to the next of its upstreams in turn, and closes the connection after the answer.

    Upstream it comes from the address that the client has: any in 127.0.0.0/8 (see `Cluster.http`).
    """

    def __init__(self, ports: tuple[int, ...]) -> None:
        self._turns = cycle(ports)
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> asyncio.Server:
        """Listen on this port of 127.0.0.1."""
        return await asyncio.start_server(self._accept, "127.0.0.1", port)

    async def close(self) -> None:
        """Drop what is still under way."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            head = await reader.read(2**16)
            client = (writer.get_extra_info("peername")[0], 0)
            answer, request = await asyncio.open_connection("127.0.0.1", next(self._turns), local_addr=client)
            with contextlib.closing(request):
                line, end, rest = head.partition(b"\r\n")
                request.write(line + end + (b"Connection: close\r\n" if end else b"") + rest)
                ways = {asyncio.ensure_future(_copy(reader, request)), asyncio.ensure_future(_copy(answer, writer))}
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(2**16):
        writer.write(chunk)
        await writer.drain()


@dataclass
class Cluster:
    """Two servers behind their proxy.

    `issuer` is the proxy's address, `workers` are those of the servers themselves (`http://localhost:PORT`), `pool` is
    on their database, `log` is what they have said, and `environ` is what they are started with.
    """

    issuer: str
    workers: tuple[str, str]
    pool: Pool
    postgres: EmbeddedPostgres
    log: Path
    environ: Mapping[str, str] = field(repr=False)
    password_hash: str = field(repr=False)
    refusals: int = 0
    minute: int = 0
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    async def start(self) -> None:
        """Start both servers, and return when both take requests."""
        self.refusals = 0
        begun = self.said().count("Application startup complete")
        self.processes = [self._launch(worker) for worker in self.workers]
        async with asyncio.timeout(90):
            while self.said().count("Application startup complete") < begun + len(self.workers):
                assert all(process.poll() is None for process in self.processes), self.said()
                await asyncio.sleep(0.05)

    def _launch(self, worker: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "idp", "serve", f"--port={urlsplit(worker).port}"]
        # A test process that is killed takes its servers with it.
        bound = partial(die_with_parent, signal.SIGKILL, os.getpid())
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self.environ, stdout=log, stderr=log, preexec_fn=bound)

    async def stop(self) -> None:
        """End both servers in order."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            await asyncio.to_thread(process.wait, 40)
        self.processes = []

    async def restart(self, *, database: bool = False) -> None:
        """End both servers and start them again, and the database in between if so wished."""
        await self.stop()
        if database:
            await self.pool.expire_connections()
            self.postgres.stop()
            # In this thread, the main one, with which the database ends.
            self.postgres.start()
        await self.start()

    async def command(self, *arguments: str) -> str:
        """Run `idp` with these arguments on the same installation, and return what it prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "idp", *arguments, cwd=ROOT, env=self.environ, stdout=PIPE, stderr=STDOUT
        )
        told, _ = await process.communicate()
        assert process.returncode == 0, told.decode()
        return told.decode()

    def said(self) -> str:
        """All that the servers have written to their log."""
        return self.log.read_text() if self.log.exists() else ""

    # What is sent.

    def http(self, base: str | None = None, *, address: str = "127.0.0.1", faults: bool = False) -> httpx2.AsyncClient:
        """A client of the proxy (or of ``base``) that calls from this address; any in 127.0.0.0/8 will do.

        An answer of 500 or more fails the test, unless ``faults`` are expected.
        """
        return httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(
                local_address=address, limits=httpx2.Limits(max_connections=200), verify=_UNUSED
            ),
            base_url=base or self.issuer,
            timeout=60,
            event_hooks={"response": [self._count] if faults else [self._count, _no_fault]},
        )

    def browser(self, *, address: str = "127.0.0.1") -> Browser:
        """A browser of plain forms with an empty cookie jar, at the proxy."""
        return Browser(self.http(address=address), home=urlsplit(self.issuer).netloc)

    async def signed_in(self, username: str = "bob", *, consent: tuple[str, ...] = ("spa", "web", "native")) -> Browser:
        """A browser in which this user is signed in, alice with both factors, and has allowed these clients."""
        now, secret, sub = system_clock(), token(system_entropy), sub_of(username)
        evidence = [Evidence("password", now)]
        if username == "alice":
            evidence.append(Evidence("totp", now, "app-of-alice"))
        async with transaction(self.pool) as conn:
            await create_session(
                conn, identifier(system_entropy), secret, sub, evidence, now=now, life=timedelta(hours=1)
            )
            for client_id in consent:
                await record_consent(conn, sub, client_id, SCOPE.split(), now=now)
        browser = self.browser()
        # The domain under which the jar keeps what a host without a dot sets.
        browser.http.cookies.set("idp_session", secret, domain="localhost.local")
        return browser

    async def code(self, browser: Browser, client_id: str = "web", **changes: str | None) -> str:
        """A code for this client, from a browser that is signed in and has allowed it."""
        answer = await browser.get(authorization(client_id, **changes))
        return answer_of(answer, changes.get("redirect_uri") or REDIRECT_URIS[client_id])["code"]

    async def exchange(self, code: str, client_id: str = "web", **changes: str | None) -> httpx2.Response:
        """Redeem a code as this client."""
        return await self.post("/oauth/token", client_id, **(code_grant(code, client_id) | changes))

    async def tokens(self, username: str = "bob", client_id: str = "web", **changes: str | None) -> dict[str, Any]:
        """The token response for this user and client."""
        browser = await self.signed_in(username)
        async with browser.http:
            answer = await self.exchange(await self.code(browser, client_id, **changes), client_id)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refresh(self, refresh_token: str, client_id: str = "web", **more: str) -> httpx2.Response:
        """Present a refresh token as this client."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self.post("/oauth/token", client_id, **(form | more))

    async def introspect(self, presented: str, client_id: str = "web") -> dict[str, Any]:
        """What this client is told of a token."""
        answer = await self.post("/oauth/introspect", client_id, token=presented)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def userinfo(self, bearer: str) -> httpx2.Response:
        """Ask userinfo with this token."""
        async with self.http() as http:
            return await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {bearer}"})

    async def post(self, path: str, client_id: str = "web", **form: str | None) -> httpx2.Response:
        """Post a form as this client, authenticated by its own method; fields that are None are left out."""
        fields = self.credentials(client_id) | {name: value for name, value in form.items() if value is not None}
        headers = {"authorization": BASIC} if client_id == "web" else {}
        async with self.http() as http:
            return await http.post(path, data=fields, headers=headers)

    def credentials(self, client_id: str) -> dict[str, str]:
        """The fields by which this client is known: none for `web`, whose credentials are in a header."""
        if client_id == "m2m":
            return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion()}
        return {} if client_id == "web" else {"client_id": client_id}

    def assertion(self, **changes: object) -> str:
        """A new client assertion of `m2m`, with these claims in place of the right ones."""
        now = int(system_clock().timestamp())
        claims: dict[str, object] = {"iss": "m2m", "sub": "m2m", "aud": self.issuer, "jti": f"jti-{next(_NUMBERS)}"}
        return sign({**claims, "iat": now, "exp": now + 60, **changes}, key=key(), typ="JWT")

    async def signing_key(self, alg: str = "RS256") -> jwk.PrivateKey:
        """The servers' own key that signs now: what somebody would have who needs no forgery."""
        return build(await read_ring(self.pool), _MASTER, max_age=0).signer(alg)

    async def metadata(self) -> dict[str, Any]:
        """The discovery document."""
        async with self.http() as http:
            return dict((await http.get("/.well-known/openid-configuration")).json())

    # What is left behind.

    async def last_event(self) -> int:
        """The place in the audit trail behind which new events come."""
        async with transaction(self.pool) as conn:
            return int(await conn.fetchval("SELECT coalesce(max(id), 0) FROM audit_events"))

    async def events(self, after: int) -> tuple[Event, ...]:
        """What the audit trail has behind this place."""
        async with transaction(self.pool) as conn:
            return await list_events(conn, after=after, limit=10_000)

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        async with transaction(self.pool) as conn:
            return int(await conn.fetchval(f"SELECT count(*) FROM {table}"))

    async def everything_kept(self) -> dict[str, str]:
        """Every row of every table as text, and the log of the servers."""
        return {"log": self.said(), **await tables_of(self.pool)}

    async def find_secrets(self, log_from: int) -> list[tuple[str, str]]:
        """Which of the secrets that all tests use are in which table, or in the log behind that place (A-75)."""
        kept = {"log": self.said()[log_from:], **await tables_of(self.pool)}
        return [(name, place) for name, secret in _SECRETS.items() for place, text in kept.items() if secret in text]

    async def _count(self, answer: httpx2.Response) -> None:
        minute = int(system_clock().timestamp()) // 60
        if minute != self.minute:
            self.minute, self.refusals = minute, 0
        self.refusals += answer.status_code >= 400 or "error=" in answer.headers.get("location", "")

    async def reset(self) -> None:
        """Empty the database and put the clients and people in.

        Each server keeps so many refusals a minute in the audit trail and no more; after many of them within a minute
        both start anew, so that those of the next test are kept.
        """
        if self.refusals > _MANY_REFUSALS:
            await self.restart()
        async with transaction(self.pool) as conn:
            await _empty(conn)
            for client in _clients():
                await clients.create(conn, client)
            for username in PEOPLE:
                await _add_user(conn, username, self.password_hash)


async def _no_fault(answer: httpx2.Response) -> None:
    if answer.status_code >= 500:
        await answer.aread()
        raise AssertionError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")


def sub_of(username: str) -> str:
    """The subject of one of the people."""
    return f"sub-of-{username}"


def totp_code(*, steps: int = 0) -> str:
    """What alice's authenticator app shows now, or so many steps later."""
    return str(pyotp.TOTP(base64.b32encode(TOTP_SEED).decode()).at(system_clock(), counter_offset=steps))


def authorization(client_id: str = "web", **changes: str | None) -> str:
    """The address of an authorization request of this client; parameters that are None are left out."""
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT_URIS.get(client_id),
        "scope": SCOPE,
        "state": "af0ifjsldkj",
        "nonce": "n-0S6_WzA2Mj",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    given = {name: value for name, value in {**parameters, **changes}.items() if value is not None}
    return "/oauth/authorize?" + str(httpx2.QueryParams(given))


def code_grant(code: str, client_id: str = "web") -> dict[str, str | None]:
    """The form that redeems a code of this client."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT_URIS.get(client_id),
        "code_verifier": VERIFIER,
    }


def answer_of(answer: httpx2.Response, redirect_uri: str = REDIRECT_URIS["web"]) -> dict[str, str]:
    """The parameters of the authorization response in the redirect to this very address."""
    assert answer.status_code == 303, (answer.status_code, answer.text)
    location = answer.headers["location"]
    assert location.partition("?")[0] == redirect_uri, location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def is_error_page(answer: httpx2.Response) -> bool:
    """Whether this is an error page: 4xx HTML of ours, no Location, no script of its own and no meta redirect."""
    return (
        400 <= answer.status_code < 500
        and answer.headers["content-type"].startswith("text/html")
        and "location" not in answer.headers
        and 'id="error"' in answer.text
        and re.search(r"http-equiv|<script(?![^>]* src=\"/static/)", answer.text, re.IGNORECASE) is None
    )


def error_of(answer: httpx2.Response) -> tuple[int, str]:
    """Status and error of a refusal in JSON, which nobody may keep."""
    assert answer.headers["cache-control"] == "no-store", answer.headers
    return answer.status_code, answer.json()["error"]


# How it is set up.


def _clients() -> tuple[Client, ...]:
    blank = Client("", "", "none", system_clock(), redirect_uris=())
    named = {
        "spa": replace(blank, redirect_uris=(REDIRECT_URIS["spa"],), post_logout_redirect_uris=("https://rp-a.test/",)),
        "web": replace(
            blank,
            token_endpoint_auth_method="client_secret_basic",
            secret_hash=sha256(SECRET),
            redirect_uris=(REDIRECT_URIS["web"], "https://rp-b.test/cb2"),
            post_logout_redirect_uris=("https://rp-b.test/",),
            grant_types=("authorization_code", "refresh_token", "client_credentials"),
            scope=("openid", "profile", "email", "phone", "offline_access", "api"),
        ),
        "m2m": replace(
            blank,
            token_endpoint_auth_method="private_key_jwt",
            jwks={"keys": [key().public_jwk]},
            grant_types=("client_credentials",),
            scope=("api",),
        ),
        "native": replace(blank, redirect_uris=(REDIRECT_URIS["native"],)),
    }
    return tuple(replace(client, client_id=name, client_name=f"App {name}") for name, client in named.items())


async def _empty(conn: Connection) -> None:
    names = [table for table in await _tables(conn) if table not in _KEPT]
    await conn.execute(f"TRUNCATE {', '.join(names)} CASCADE")


async def tables_of(pool: Pool) -> dict[str, str]:
    """Every row of every table as text."""
    async with transaction(pool) as conn:
        return {
            table: "\n".join(row["t"] for row in await conn.fetch(f'SELECT kept::text AS t FROM "{table}" kept'))
            for table in await _tables(conn)
        }


async def _tables(conn: Connection) -> list[str]:
    rows = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [row["tablename"] for row in rows]


async def _hash_password() -> str:
    hasher = PasswordHasher()
    try:
        return await hasher.hash(PASSWORD)
    finally:
        hasher.close()


async def _add_user(conn: Connection, username: str, password_hash: str) -> None:
    now = system_clock()
    email = f"{username}@example.test"
    user = User(
        sub=sub_of(username),
        username=username,
        created_at=now,
        updated_at=now,
        email=email,
        email_verified=True,
        password_hash=password_hash,
        password_changed_at=now,
    )
    await users.create(conn, user, username_canonical=username, email_canonical=email)
    if username == "alice":
        await _add_totp(conn)


async def _add_totp(conn: Connection) -> None:
    now, app = system_clock(), "app-of-alice"
    sealed = seal(_MASTER, TOTP_SEED, context=f"totp_credentials/{app}", entropy=system_entropy)
    await totp_credentials.create(conn, TotpCredential(app, sub_of("alice"), "App", sealed, now, 0, now))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def serving_cluster(postgres: EmbeddedPostgres, scratch: Path) -> AsyncIterator[Cluster]:
    """The two servers and their proxy, as the tests of this process have left them; tests want `cluster`."""
    front, *ports = (free_port() for _ in range(3))
    async with contextlib.AsyncExitStack() as stack:
        dsn = await _make_database(postgres)
        pool = await open_pool(dsn)
        stack.push_async_callback(pool.close)
        proxy = Proxy(tuple(ports))
        await stack.enter_async_context(await proxy.start(front))
        stack.push_async_callback(proxy.close)
        environ = {
            **os.environ,
            "IDP_DATABASE_URL": dsn,
            "IDP_ISSUER": f"http://localhost:{front}",
            "IDP_RSA_BITS": "2048",
            "IDP_MASTER_KEY": base64.b64encode(_MASTER.secret).decode(),
            "IDP_DATA_DIR": str(scratch / "cluster"),
        }
        addresses = (f"http://localhost:{ports[0]}", f"http://localhost:{ports[1]}")
        log, password_hash = scratch / f"cluster-{front}.log", await _hash_password()
        running = Cluster(environ["IDP_ISSUER"], addresses, pool, postgres, log, environ, password_hash)
        stack.push_async_callback(running.stop)
        await running.start()
        yield running


async def _make_database(postgres: EmbeddedPostgres) -> str:
    connection = await asyncpg.connect(postgres.dsn())
    try:
        await connection.execute("CREATE DATABASE cluster TEMPLATE template_idp STRATEGY file_copy")
    finally:
        await connection.close()
    return postgres.dsn("cluster")


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(serving_cluster: Cluster) -> AsyncIterator[Cluster]:
    """Two servers behind a proxy, with the clients and people above and nothing else.

    Whatever the test does, none of the secrets of these is in the log or in any table afterwards.
    """
    await serving_cluster.reset()
    said = len(serving_cluster.said())
    yield serving_cluster
    assert await serving_cluster.find_secrets(said) == []
