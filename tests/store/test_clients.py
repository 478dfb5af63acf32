from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from idp.model.client import Client
from idp.store import clients
from idp.store.database import Connection

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FULL = Client(
    client_id="c1",
    client_name="Example Bank – größer",
    token_endpoint_auth_method="private_key_jwt",
    created_at=NOW,
    secret_hash=b"digest",
    redirect_uris=("https://bank.example/a", "https://bank.example/b"),
    post_logout_redirect_uris=("https://bank.example/",),
    grant_types=("authorization_code",),
    response_modes=("form_post",),
    scope=("openid", "x"),
    jwks={"keys": [{"kty": "OKP"}]},
    id_token_signed_response_alg="ES256",
    min_acr="phr",
    logo_uri="https://bank.example/logo.png",
    policy_uri="https://bank.example/policy",
    tos_uri="https://bank.example/terms",
)
BARE = Client("c2", "Job", "none", NOW + timedelta(hours=1))


@pytest.mark.parametrize("client", [FULL, BARE, replace(BARE, disabled_at=NOW)])
async def test_what_is_kept_comes_back(conn: Connection, client: Client) -> None:
    await clients.create(conn, client)
    assert await clients.find_client(conn, client.client_id) == client
    assert await clients.get_client(conn, client.client_id) == client


async def test_9_2_4_no_two_clients_have_one_id(conn: Connection) -> None:
    await clients.create(conn, FULL)
    with pytest.raises(asyncpg.UniqueViolationError):
        await clients.create(conn, replace(BARE, client_id=FULL.client_id))


@pytest.mark.parametrize("client_id", ["nobody", "", "a\x00b", "\udcff", "é", "a" * 100_000])
async def test_any_text_may_be_asked_for(conn: Connection, client_id: str) -> None:
    assert await clients.find_client(conn, client_id) is None
    for ask in (clients.get_client, clients.lock_client):
        with pytest.raises(LookupError):
            await ask(conn, client_id)


async def test_the_list_begins_with_the_oldest(conn: Connection) -> None:
    for client in (BARE, FULL):
        await clients.create(conn, client)
    assert await clients.list_clients(conn) == (FULL, BARE)


async def test_an_update_keeps_what_is_not_metadata(conn: Connection) -> None:
    await clients.create(conn, FULL)
    await clients.set_disabled(conn, "c1", NOW)
    changed = replace(BARE, client_id="c1", client_name="New", min_acr="mfa")
    await clients.update(conn, changed)
    assert await clients.lock_client(conn, "c1") == replace(changed, created_at=NOW, disabled_at=NOW)


async def test_disabling_keeps_the_first_moment_and_enabling_forgets_it(conn: Connection) -> None:
    await clients.create(conn, BARE)
    for moment in (NOW, NOW + timedelta(days=1)):
        await clients.set_disabled(conn, "c2", moment)
    assert (await clients.get_client(conn, "c2")).disabled_at == NOW
    await clients.set_disabled(conn, "c2", None)
    assert (await clients.get_client(conn, "c2")).disabled_at is None


async def test_a_new_secret_replaces_the_old(conn: Connection) -> None:
    await clients.create(conn, FULL)
    await clients.rotate_secret(conn, "c1", b"other")
    assert await clients.get_client(conn, "c1") == replace(FULL, secret_hash=b"other")


async def test_a_removed_client_is_gone_with_its_consents(conn: Connection) -> None:
    for client in (FULL, BARE):
        await clients.create(conn, client)
    await conn.execute(
        "INSERT INTO users (sub, username, username_canonical, created_at, updated_at) VALUES ('s', 'a', 'a', $1, $1)",
        NOW,
    )
    await conn.execute("INSERT INTO consents (sub, client_id, scope, granted_at) VALUES ('s', 'c1', '{}', $1)", NOW)
    await clients.remove(conn, "c1")
    assert await clients.list_clients(conn) == (BARE,)
    assert await conn.fetchval("SELECT count(*) FROM consents") == 0
