"""The table of registered applications."""

from datetime import datetime
from typing import Any

from idp.model.client import Client
from idp.store.database import Connection

# A picture that came from another address than the present one is not the client's any more.
COLUMNS = """client_id, client_name, token_endpoint_auth_method, secret_hash, redirect_uris,
            post_logout_redirect_uris, grant_types, scope, jwks, id_token_signed_response_alg, min_acr,
            logo_uri, policy_uri, tos_uri, response_modes, created_at, disabled_at, (
                SELECT digest FROM client_logos AS logo
                WHERE logo.client_id = clients.client_id AND logo.logo_uri = clients.logo_uri
            ) AS logo_digest"""


async def create(conn: Connection, client: Client) -> None:
    """Keep a new client."""
    await conn.execute(
        """
        INSERT INTO clients (
            client_id, client_name, token_endpoint_auth_method, secret_hash, redirect_uris,
            post_logout_redirect_uris, grant_types, scope, jwks, id_token_signed_response_alg, min_acr,
            logo_uri, policy_uri, tos_uri, response_modes, created_at, disabled_at
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
        """,
        *_parameters(client),
        client.created_at,
        client.disabled_at,
    )


async def find_client(conn: Connection, client_id: str) -> Client | None:
    """The client of that id, disabled or not; None if there is none.

    Any text may be asked for, also one from the wire that PostgreSQL could not take (a NUL, a lone surrogate).
    """
    if not (client_id.isascii() and client_id.isprintable()):
        return None
    row = await conn.fetchrow(f"SELECT {COLUMNS} FROM clients WHERE client_id = $1", client_id)
    return None if row is None else _client(row)


async def has_public_origin(conn: Connection, origin: str) -> bool:
    """Whether the pages of this origin are those of a public client, by its redirect URIs: ``scheme://host[:port]``.

    Anybody may ask, as often as they like: it is one look into an index, however many clients there are (A-69).
    """
    found: bool = await conn.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM clients
            WHERE web_origins(redirect_uris) @> ARRAY[$1::text]
              AND token_endpoint_auth_method = 'none' AND disabled_at IS NULL
        )
        """,
        origin,
    )
    return found


async def get_client(conn: Connection, client_id: str) -> Client:
    """The client of that id; raises LookupError if there is none."""
    client = await find_client(conn, client_id)
    if client is None:
        raise LookupError(f"no client {client_id!a}")
    return client


async def list_clients(conn: Connection) -> tuple[Client, ...]:
    """All clients, the oldest first."""
    rows = await conn.fetch(f"SELECT {COLUMNS} FROM clients ORDER BY created_at, client_id")
    return tuple(map(_client, rows))


async def update(conn: Connection, client: Client) -> None:
    """Keep the client's metadata and secret as they are now; when it was made and disabled stays as stored."""
    await conn.execute(
        """
        UPDATE clients SET client_name = $2, token_endpoint_auth_method = $3, secret_hash = $4,
            redirect_uris = $5, post_logout_redirect_uris = $6, grant_types = $7, scope = $8, jwks = $9,
            id_token_signed_response_alg = $10, min_acr = $11, logo_uri = $12, policy_uri = $13, tos_uri = $14,
            response_modes = $15
        WHERE client_id = $1
        """,
        *_parameters(client),
    )


async def lock_client(conn: Connection, client_id: str) -> Client:
    """The client of that id, which nobody else can change before this transaction ends; raises LookupError."""
    found = await get_client(conn, client_id)
    await conn.execute("SELECT 1 FROM clients WHERE client_id = $1 FOR UPDATE", found.client_id)
    return await get_client(conn, found.client_id)


async def set_disabled(conn: Connection, client_id: str, disabled_at: datetime | None) -> None:
    """Disable the client from a moment on (kept if it already is), or enable it with None."""
    await conn.execute(
        """
        UPDATE clients SET disabled_at = CASE WHEN $2::timestamptz IS NULL THEN NULL
            ELSE coalesce(disabled_at, $2) END
        WHERE client_id = $1
        """,
        client_id,
        disabled_at,
    )


async def rotate_secret(conn: Connection, client_id: str, secret_hash: bytes) -> None:
    """Put a new secret's digest in place of the old one, which is worth nothing from then on."""
    await conn.execute("UPDATE clients SET secret_hash = $2 WHERE client_id = $1", client_id, secret_hash)


async def remove(conn: Connection, client_id: str) -> None:
    """Delete the client with all consents, codes and tokens that hang on it."""
    await conn.execute("DELETE FROM clients WHERE client_id = $1", client_id)


def _parameters(client: Client) -> tuple[object, ...]:
    """$1 to $15 of the statements that keep a client as it is now."""
    return (
        client.client_id,
        client.client_name,
        client.token_endpoint_auth_method,
        client.secret_hash,
        client.redirect_uris,
        client.post_logout_redirect_uris,
        client.grant_types,
        client.scope,
        client.jwks,
        client.id_token_signed_response_alg,
        client.min_acr,
        client.logo_uri,
        client.policy_uri,
        client.tos_uri,
        client.response_modes,
    )


def _client(row: Any) -> Client:
    return Client(
        client_id=row["client_id"],
        client_name=row["client_name"],
        token_endpoint_auth_method=row["token_endpoint_auth_method"],
        created_at=row["created_at"],
        secret_hash=row["secret_hash"],
        redirect_uris=tuple(row["redirect_uris"]),
        post_logout_redirect_uris=tuple(row["post_logout_redirect_uris"]),
        grant_types=tuple(row["grant_types"]),
        response_modes=tuple(row["response_modes"]),
        scope=tuple(row["scope"]),
        jwks=row["jwks"],
        id_token_signed_response_alg=row["id_token_signed_response_alg"],
        min_acr=row["min_acr"],
        logo_uri=row["logo_uri"],
        logo_digest=row["logo_digest"],
        policy_uri=row["policy_uri"],
        tos_uri=row["tos_uri"],
        disabled_at=row["disabled_at"],
    )
