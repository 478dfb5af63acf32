import stat
from pathlib import Path

import pytest

from idp.base.digest import sha256
from idp.cli.demo_client import ensure_demo_client
from idp.store import clients
from idp.store.database import Pool, transaction


async def test_the_demo_client_is_registered_once(pool: Pool, tmp_path: Path) -> None:
    first = await ensure_demo_client(pool, tmp_path / "data")
    assert await ensure_demo_client(pool, tmp_path / "data") == first
    file = tmp_path / "data" / "demo-client.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with transaction(pool) as conn:
        [client] = await clients.list_clients(conn)
    assert (client.client_id, client.secret_hash) == (first[0], sha256(first[1]))
    assert client.redirect_uris == ("http://localhost:8001/callback",)
    assert client.post_logout_redirect_uris == ("http://localhost:8001/",)


async def test_the_demo_client_follows_its_port(pool: Pool, tmp_path: Path) -> None:
    first = await ensure_demo_client(pool, tmp_path)
    assert await ensure_demo_client(pool, tmp_path, 9001) == first
    async with transaction(pool) as conn:
        client = await clients.get_client(conn, first[0])
    assert client.redirect_uris == ("http://localhost:9001/callback",)


async def test_a_demo_secret_that_does_not_fit_is_renewed(pool: Pool, tmp_path: Path) -> None:
    client_id, secret = await ensure_demo_client(pool, tmp_path)
    async with transaction(pool) as conn:
        await clients.rotate_secret(conn, client_id, sha256("another"))
    again = await ensure_demo_client(pool, tmp_path)
    assert (again[0], again[1] == secret) == (client_id, False)
    async with transaction(pool) as conn:
        assert (await clients.get_client(conn, client_id)).secret_hash == sha256(again[1])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"client_id": "gone", "client_secret": "x"}'])
async def test_a_demo_file_that_means_nothing_is_replaced(pool: Pool, tmp_path: Path, content: str) -> None:
    (tmp_path / "demo-client.json").write_text(content)
    client_id, secret = await ensure_demo_client(pool, tmp_path)
    assert await ensure_demo_client(pool, tmp_path) == (client_id, secret)
