"""Breached passwords: what is asked, what is told, and that nobody has to wait for who answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path

import pytest

from idp.authn.breaches import LARGEST_ANSWER
from idp.settings import SettingsError, load_settings
from idp.store.database import transaction
from tests.driver import PASSWORD, Rig, running
from tests.notify.gateways import eventually
from tests.web.account.people import error_on, sign_in
from tests.web.recovering import NEW, alice, events, follow, link_for

OTHER = "0018A45C4D1DEF81644B54AB7F969B88D65:1"


def digest(password: str) -> str:
    """The digest by which the list is sorted."""
    return sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


@dataclass
class Service:
    """A range API on this machine, and what it was asked."""

    status: int = 200
    seconds: float = 0.0
    lines: list[str] = field(default_factory=lambda: [OTHER])
    body: bytes | None = None
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split()[1])
        self.heads.append(head.lower())
        await asyncio.sleep(self.seconds)
        body = "\r\n".join(self.lines).encode() if self.body is None else self.body
        writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(body)
        writer.close()


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Service]:
    """The service at work."""
    server = await asyncio.start_server(service.answer, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/range/"
    try:
        yield service
    finally:
        server.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving(Service()) as found:
        yield found


@pytest.fixture
async def rig(database: str, tmp_path: Path, service: Service) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, IDP_BREACHED_PASSWORDS_URL=service.url) as found:
        await found.add_client()
        yield found


async def test_6_2_12_a_breached_password_is_refused_at_registration_and_five_characters_of_its_digest_are_told(
    rig: Rig, service: Service
) -> None:
    found = digest(PASSWORD)
    service.lines += [f"{found[5:]}:42"]
    browser = rig.browser()
    page = await browser.register()
    assert (page.status_code, error_on(page)) == (400, "password_known")
    assert service.asked == [f"/range/{found[:5]}"]
    assert "add-padding: true" in service.heads[0]
    assert found[5:].lower() not in service.heads[0]
    service.lines = [OTHER]
    assert (await browser.register()).url.path == "/account"


async def test_what_pads_the_answer_was_in_no_breach(rig: Rig, service: Service) -> None:
    service.lines += [f"{digest(PASSWORD)[5:]}:0", "not a line", "", ":"]
    assert (await rig.browser().register()).url.path == "/account"


async def test_a_change_and_a_reset_ask_and_a_sign_in_does_not(rig: Rig, service: Service) -> None:
    owner = await alice(rig)
    service.asked.clear()
    service.lines += [f"{digest(NEW)[5:]}:3"]
    await sign_in(rig.browser())
    assert service.asked == []
    await owner.get("/account/password")
    refused = await owner.submit(current_password=PASSWORD, password=NEW)
    assert (refused.status_code, error_on(refused)) == (400, "password_known")
    browser = rig.browser()
    await follow(browser, await link_for(rig))
    refused = await browser.submit(password=NEW)
    assert (refused.status_code, error_on(refused)) == (400, "password_known")
    service.lines = [OTHER]
    assert (await browser.submit(password=NEW)).url.path == "/recover/done", "the link was not used up"


async def test_the_form_in_which_it_is_kept_is_looked_up(rig: Rig, service: Service) -> None:
    await rig.browser().get("/register")
    browser = rig.browser()
    await browser.get("/register")
    await browser.submit(username="alice", password="ﬁve unrelated sentences", email="", phone="")
    assert service.asked == [f"/range/{digest('five unrelated sentences')[:5]}"]


@pytest.mark.parametrize(
    "broken",
    [
        {"status": 500},
        {"status": 302},
        {"status": 429},
        {"body": b"\xff\xfe\xfd"},
        {"body": b"A" * (LARGEST_ANSWER + 1)},
    ],
)
async def test_a_service_that_fails_keeps_nobody_out_and_is_noted_once_a_minute(
    rig: Rig, service: Service, broken: dict[str, object]
) -> None:
    for name, value in broken.items():
        setattr(service, name, value)
    for username in ("alice", "bob-1"):
        assert (await rig.browser().register(username)).url.path == "/account"
    assert (await events(rig)).count("breach_check_failed") == 1
    rig.clock.advance(61)
    await rig.browser().register("carol")
    assert (await events(rig)).count("breach_check_failed") == 2


async def test_a_service_that_is_not_there_keeps_nobody_out(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path, IDP_BREACHED_PASSWORDS_URL="http://127.0.0.1:9/range") as rig:
        assert (await rig.browser().register()).url.path == "/account"
        assert "breach_check_failed" in await events(rig)


async def test_a_slow_service_is_waited_for_two_seconds_and_holds_no_connection(rig: Rig, service: Service) -> None:
    service.seconds = 30
    pool = rig.app.state.provider.pool
    begun = time.monotonic()
    waiting = [asyncio.create_task(rig.browser().register(f"person-{n}")) for n in range(12)]
    await eventually(lambda: len(service.asked) == 12, "all of them wait")
    async with asyncio.timeout(1), transaction(pool) as conn:
        assert await conn.fetchval("SELECT 1") == 1
    pages = await asyncio.gather(*waiting)
    assert {page.url.path for page in pages} == {"/account"}
    assert time.monotonic() - begun < 15, "hashing is in it, thirty seconds are not"


@pytest.mark.parametrize("url", ["http://breaches.test/range/", "ftp://x", "https://h/r?x=1", "https:///r"])
def test_an_address_that_is_not_told_in_secret_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="IDP_BREACHED_PASSWORDS_URL"):
        load_settings({"IDP_BREACHED_PASSWORDS_URL": url})
