"""One-time things raced over two processes on one database (G2, A-12, A-15, A-39): never two successes, no 5xx."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from idp.base.digest import sha256
from idp.model.client import Client
from idp.store import clients
from idp.store.database import Pool, transaction
from tests.cli.test_serve import ROOT, eventually, free_port
from tests.doubles import START
from tests.driver import CALLBACK, VERIFIER, Browser, authorization, response_of

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
