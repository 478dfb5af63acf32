"""The applications that a user has let in: what consents and authorizations say together."""

from datetime import datetime

from idp.model.authorization import ConnectedApp
from idp.store.database import Connection

LIVE = """coalesce('offline_access' = ANY (scope) OR session_id = ANY (ARRAY(
                SELECT id FROM sessions
                WHERE sessions.sub = $1 AND ended_at IS NULL AND expires_at > $2)), false)"""
"""Whether an authorization of the user ($1) lives now ($2)."""


async def list_apps(conn: Connection, sub: str, *, now: datetime) -> tuple[ConnectedApp, ...]:
    """The clients that the user has consented to or that have a live authorization, by name.

    Live is what ``find_live_authorization`` finds, of clients that are disabled for the time being too. Each
    authorization that the user gave and did not take back is read once, and no token.
    """
    rows = await conn.fetch(
        f"""
        WITH granted AS MATERIALIZED (
            SELECT client_id, scope, {LIVE} AS live, min(created_at) AS since,
                max(coalesce(last_used_at, created_at)) AS used_at
            FROM authorizations WHERE sub = $1 AND revoked_at IS NULL
            GROUP BY client_id, scope, live
        ),
        allowed AS (
            SELECT client_id, scope, since FROM granted WHERE live
            UNION ALL
            SELECT client_id, scope, granted_at FROM consents WHERE sub = $1
        )
        SELECT clients.client_id, client_name, redirect_uris, min(since) AS since,
            (SELECT max(used_at) FROM granted WHERE granted.client_id = clients.client_id) AS last_used_at,
            array_agg(DISTINCT word ORDER BY word) FILTER (WHERE word IS NOT NULL) AS scope
        FROM allowed JOIN clients USING (client_id) LEFT JOIN unnest(allowed.scope) AS word ON true
        GROUP BY clients.client_id
        ORDER BY lower(client_name), clients.client_id
        """,
        sub,
        now,
    )
    return tuple(
        ConnectedApp(
            client_id=row["client_id"],
            name=row["client_name"],
            redirect_uris=tuple(row["redirect_uris"]),
            scope=tuple(row["scope"] or ()),
            since=row["since"],
            last_used_at=row["last_used_at"],
        )
        for row in rows
    )


async def count_apps(conn: Connection, sub: str, *, now: datetime) -> int:
    """How many ``list_apps`` lists; of each client only so much is read as it takes to know that it is one."""
    found: int = await conn.fetchval(
        f"""
        WITH RECURSIVE given AS (
            (SELECT client_id FROM authorizations WHERE sub = $1 ORDER BY client_id LIMIT 1)
            UNION ALL
            SELECT (
                SELECT client_id FROM authorizations
                WHERE sub = $1 AND client_id > given.client_id ORDER BY client_id LIMIT 1
            ) FROM given WHERE given.client_id IS NOT NULL
        )
        SELECT (SELECT count(*) FROM consents WHERE sub = $1) + (
            SELECT count(*) FROM given
            WHERE client_id IS NOT NULL
              AND NOT EXISTS (SELECT FROM consents WHERE sub = $1 AND consents.client_id = given.client_id)
              -- Not EXISTS, which may be planned as a join with all that the user has given.
              AND (
                  SELECT true FROM authorizations AS granted
                  WHERE sub = $1 AND granted.client_id = given.client_id AND revoked_at IS NULL AND {LIVE} LIMIT 1)
        )
        """,
        sub,
        now,
    )
    return found
