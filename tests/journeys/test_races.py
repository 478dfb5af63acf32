"""One-time things raced over two processes on one database (G2, A-12, A-15, A-39): never two successes, no 5xx."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx2
import pyotp
import pytest

from idp.base.digest import sha256
from idp.model.client import Client
from idp.store import clients
from idp.store.database import Pool, transaction
from tests.cli.test_serve import ROOT, eventually, free_port
from tests.doubles import START
from tests.driver import CALLBACK, PASSWORD, VERIFIER, Browser, authorization, response_of

ROUNDS = 100
AT_ONCE = 50
SECRET = "s" * 43


@dataclass
class Pair:
    """Two servers on one database, asked in turn."""

    ports: tuple[int, int]

    def address(self, number: int) -> str:
        """The address of the server whose turn it is."""
        return f"http://localhost:{self.ports[number % 2]}"


@pytest.fixture
def pair(database: str, scratch: Path) -> Iterator[Pair]:
    ports = (free_port(), free_port())
    environ = {
        **os.environ,
        "IDP_DATABASE_URL": database,
        "IDP_ISSUER": f"http://localhost:{ports[0]}",
        "IDP_RSA_BITS": "2048",
        "IDP_KEYS_DIR": str(scratch / f"keys-{ports[0]}"),
    }
    log = scratch / f"race-{ports[0]}.log"
    with log.open("wb") as opened:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "idp", "serve", f"--port={port}"],
                cwd=ROOT,
                env=environ,
                stdout=opened,
                stderr=opened,
            )
            for port in ports
        ]
    try:
        eventually(lambda: log.read_text().count("Application startup complete") == 2, "both serve", within=60)
        yield Pair(ports)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(40)


async def prepared(pair: Pair, pool: Pool, http: httpx2.AsyncClient) -> Browser:
    """A client, and a user who is signed in and has allowed it."""
    client = Client(
        client_id="web",
        client_name="Web",
        token_endpoint_auth_method="client_secret_basic",
        created_at=START,
        secret_hash=sha256(SECRET),
        redirect_uris=(CALLBACK,),
        scope=("openid", "offline_access"),
    )
    async with transaction(pool) as conn:
        await clients.create(conn, client)
    browser = Browser(http, home=f"localhost:{pair.ports[0]}")
    await browser.get(pair.address(0) + authorization(prompt="create", scope="openid offline_access"))
    await browser.register()
    response_of(await browser.submit(decision="allow"))
    return browser


async def raced(attempt: Callable[[int], Awaitable[httpx2.Response]]) -> list[int]:
    """The statuses of so many attempts at once, half of them by each process."""
    answers = await asyncio.gather(*(attempt(number) for number in range(AT_ONCE)))
    return sorted(answer.status_code for answer in answers)


def connections() -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    return httpx2.AsyncClient(limits=limits, timeout=60)


async def test_A_12_and_A_15_codes_and_refresh_tokens(pair: Pair, pool: Pool) -> None:
    async with connections() as http, connections() as machines:
        browser = await prepared(pair, pool, http)

        async def redeem(number: int, form: dict[str, str]) -> httpx2.Response:
            return await machines.post(f"{pair.address(number)}/oauth/token", data=form, auth=("web", SECRET))

        for _ in range(ROUNDS):
            scope = "openid offline_access"
            raced_code, other = [
                {
                    "grant_type": "authorization_code",
                    "code": response_of(await browser.get(pair.address(0) + authorization(scope=scope)))["code"],
                    "redirect_uri": CALLBACK,
                    "code_verifier": VERIFIER,
                }
                for _ in range(2)
            ]
            statuses = await raced(lambda number, form=raced_code: redeem(number, form))  # type: ignore[misc]
            assert statuses == [200] + [400] * (AT_ONCE - 1)
            token = (await redeem(0, other)).json()["refresh_token"]
            form = {"grant_type": "refresh_token", "refresh_token": token}
            statuses = await raced(lambda number, form=form: redeem(number, form))  # type: ignore[misc]
            assert statuses == [200] + [400] * (AT_ONCE - 1)


async def test_A_39_totp_steps(pair: Pair, pool: Pool) -> None:
    async with connections() as http:
        browser = await prepared(pair, pool, http)
        page = await browser.get(f"{pair.address(0)}/account/authenticators/add-totp")
        uri = re.search(r'href="(otpauth://[^"]+)"', page.text)
        assert uri
        totp = pyotp.parse_uri(unescape(uri[1]))
        assert isinstance(totp, pyotp.TOTP)
        await browser.submit(code=totp.now())
        for _ in range(ROUNDS):
            waiting = await waiting_for_a_code(pair, pool)
            # The same step again and again, as if each round were the first.
            async with transaction(pool) as conn:
                await conn.execute("UPDATE totp_credentials SET last_step = NULL")
            code = totp.now()

            async def enter(number: int, ids: list[str] = waiting, code: str = code) -> httpx2.Response:
                address = f"{pair.address(number)}/login?interaction={ids[number]}&method=totp"
                return await http.post(address, data={"code": code}, headers=BROWSER)

            statuses = await raced(enter)
            assert statuses == [303] + [400] * (AT_ONCE - 1)


BROWSER = {"cookie": f"idp_browser={'b' * 43}"}


async def waiting_for_a_code(pair: Pair, pool: Pool) -> list[str]:
    """So many interactions of one browser in which the password was right a moment ago."""
    async with connections() as http:
        start = await http.get(f"{pair.address(0)}/login", headers=BROWSER)
        location = start.headers["location"]
        form = {"username": "alice", "password": PASSWORD}
        await http.post(f"{pair.address(0)}{location}", data=form, headers=BROWSER)
    async with transaction(pool) as conn:
        rows = await conn.fetch(
            """
            INSERT INTO interactions
                (id, browser_hash, parameters, return_to, fresh, sub, evidence, created_at, expires_at)
            SELECT id || number, browser_hash, parameters, return_to, fresh, sub, evidence, created_at, expires_at
            FROM interactions, generate_series(1, $2) AS number WHERE id = $1 AND sub IS NOT NULL
            RETURNING id
            """,
            location.partition("interaction=")[2],
            AT_ONCE,
        )
    return [row["id"] for row in rows]
