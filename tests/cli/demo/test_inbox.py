"""The developer's inbox, on a real database."""

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from idp.cli.demo.config import Config
from idp.cli.demo.site import build
from idp.store.database import Pool, transaction
from idp.store.outbox import record_sent
from tests.doubles import START
from tests.notify.gateways import MASTER, keep, message

CONFIG = Config("http://provider.test", "bank", "secret")


@pytest.fixture
async def http(database: str) -> AsyncIterator[httpx2.AsyncClient]:
    app = build(replace(CONFIG, database_url=database, master_key=b64encode(MASTER.secret).decode()))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=CONFIG.home) as client:
        yield client


async def test_it_shows_what_is_in_the_outbox_newest_first(http: httpx2.AsyncClient, pool: Pool) -> None:
    assert "Nothing here yet" in (await http.get("/inbox")).text
    async with transaction(pool) as conn:
        await keep(conn, message())
        later = START + timedelta(minutes=1)
        await keep(
            conn,
            message(id="m2", channel="sms", recipient="+447700900123", subject="", text="123456 <b>", created_at=later),
        )
    page = (await http.get("/inbox")).text
    assert page.index("+447700900123") < page.index("alice@mail.test")
    assert "123456 &lt;b&gt;" in page, "text stays text"
    assert "Your password was changed" in page
    assert "Text message to" in page


async def test_it_keeps_nothing_of_what_was_sent(http: httpx2.AsyncClient, pool: Pool) -> None:
    async with transaction(pool) as conn:
        await keep(conn, message())
        await record_sent(conn, "m1", START)
    page = (await http.get("/inbox")).text
    assert "Sent. What it said is not kept." in page
    assert "Hello alice" not in page


async def test_without_the_master_key_it_says_so(database: str, pool: Pool, tmp_path: Path) -> None:
    async with transaction(pool) as conn:
        await keep(conn, message())
    app = build(replace(CONFIG, database_url=database, keys_dir=tmp_path))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=CONFIG.home) as client:
        page = await client.get("/inbox")
    assert "Sealed: the master key" in page.text
    assert "Hello alice" not in page.text


async def test_no_other_name_leads_to_it(http: httpx2.AsyncClient) -> None:
    """DNS rebinding: a page of elsewhere must not read a developer's mail."""
    refused = await http.get("/inbox", headers={"Host": "evil.test:8001"})
    assert refused.status_code == 421


async def test_an_application_in_earnest_has_none() -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(build(CONFIG)), base_url=CONFIG.home) as client:
        assert (await client.get("/inbox")).status_code == 404


async def test_nothing_of_it_is_kept_or_framed(http: httpx2.AsyncClient) -> None:
    headers = (await http.get("/inbox")).headers
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_address_of_the_database_shows_in_no_representation() -> None:
    assert "hunter2" not in repr(replace(CONFIG, database_url="postgresql://u:hunter2@h/d", master_key="hunter2"))
