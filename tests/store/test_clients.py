from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from idp.model.client import Client
from idp.store import clients
from idp.store.database import Connection
from tests.plans import Reading, rows_read

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


@pytest.mark.parametrize(
    ("uris", "origin", "found"),
    [
        (("https://rp.test/cb",), "https://rp.test", True),
        (("HTTPS://RP.test/CB",), "https://rp.test", True),
        (("https://rp.test",), "https://rp.test", True),
        (("https://other.test/", "http://[::1]:3000/cb?x"), "http://[::1]:3000", True),
        (("https://rp.test:443/cb",), "https://rp.test", False),
        (("https://rp.test/cb",), "https://rp.test:443", False),
        (("https://rp.test/cb",), "http://rp.test", False),
        (("https://rp.test.evil.test/cb",), "https://rp.test", False),
        (("https://rp.test@evil.test/cb",), "https://rp.test", False),
        (("https://evil.test/https://rp.test/",), "https://rp.test", False),
        (("https://rp.test?x=/",), "https://rp.test", False),
        (("app.test:/cb",), "app.test:", False),
        ((), "https://rp.test", False),
    ],
)
async def test_A_69_the_origins_of_a_client_are_those_of_its_redirect_uris(
    conn: Connection, uris: tuple[str, ...], origin: str, found: bool
) -> None:
    await clients.create(conn, replace(BARE, redirect_uris=uris))
    assert await clients.has_public_origin(conn, origin) is found


async def test_A_69_only_public_clients_that_are_enabled_have_origins(conn: Connection) -> None:
    client = replace(BARE, redirect_uris=("https://rp.test/cb",))
    await clients.create(conn, client)
    assert await clients.has_public_origin(conn, "https://rp.test")
    await clients.set_disabled(conn, "c2", NOW)
    assert not await clients.has_public_origin(conn, "https://rp.test")
    await clients.set_disabled(conn, "c2", None)
    await clients.update(conn, replace(client, redirect_uris=("https://rp.test:8443/cb",)))
    assert not await clients.has_public_origin(conn, "https://rp.test")
    assert await clients.has_public_origin(conn, "https://rp.test:8443")
    await clients.update(conn, replace(client, token_endpoint_auth_method="client_secret_basic"))
    assert not await clients.has_public_origin(conn, "https://rp.test")


@pytest.mark.parametrize("origin", ["https://rp-7.test", "https://evil.test"])
async def test_A_69_an_origin_is_looked_up_and_not_looked_for(conn: Connection, origin: str) -> None:
    """Among 2,000 clients of which every second one is public: what was found is read, and nothing else."""
    await conn.execute(
        """
        INSERT INTO clients (client_id, client_name, token_endpoint_auth_method, redirect_uris, grant_types, scope,
            post_logout_redirect_uris, id_token_signed_response_alg, created_at)
        SELECT 'c' || n, 'C', CASE WHEN n % 2 = 0 THEN 'client_secret_basic' ELSE 'none' END,
            ARRAY['https://rp-' || n || '.test/cb', 'http://127.0.0.1/cb'], '{}', '{}', '{}', 'RS256', now()
        FROM generate_series(1, 2000) AS n
        """
    )
    await conn.execute("ANALYZE clients")
    known = origin == "https://rp-7.test"
    assert await clients.has_public_origin(conn, origin) is known
    reading = await rows_read(conn, lambda: clients.has_public_origin(conn, origin))
    assert reading["clients"] == Reading(scanned=0, fetched=int(known))
    plan = await conn.fetch(
        """
        EXPLAIN SELECT FROM clients WHERE web_origins(redirect_uris) @> ARRAY[$1::text]
            AND token_endpoint_auth_method = 'none' AND disabled_at IS NULL
        """,
        origin,
    )
    assert "Bitmap Index Scan on clients_public_origins" in "\n".join(row[0] for row in plan)


async def test_A_69_an_origin_of_very_many_clients_costs_no_more(conn: Connection) -> None:
    """Loopback addresses are those of many applications: one of them is enough."""
    await conn.execute(
        """
        INSERT INTO clients (client_id, client_name, token_endpoint_auth_method, redirect_uris, grant_types, scope,
            post_logout_redirect_uris, id_token_signed_response_alg, created_at)
        SELECT 'c' || n, 'C', 'none', ARRAY['https://rp-' || n || '.test/cb', 'http://127.0.0.1/cb'], '{}', '{}', '{}',
            'RS256', now()
        FROM generate_series(1, 2000) AS n
        """
    )
    await conn.execute("ANALYZE clients")
    reading = await rows_read(conn, lambda: clients.has_public_origin(conn, "http://127.0.0.1"))
    assert reading["clients"].rows == 1
