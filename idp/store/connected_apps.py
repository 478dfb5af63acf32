"""The applications that a user has let in: what consents and authorizations say together."""

from datetime import datetime

from idp.model.authorization import ConnectedApp
from idp.store.database import Connection


async def list_apps(conn: Connection, sub: str, *, now: datetime) -> tuple[ConnectedApp, ...]:
    """The clients that the user has consented to or that have a live authorization, by name.

    Live is what ``find_live_authorization`` finds, of clients that are disabled for the time being too.
    """
    rows = await conn.fetch(
        """
        WITH live AS (
            SELECT id, client_id, scope, created_at FROM authorizations
            WHERE sub = $1 AND revoked_at IS NULL
              AND ('offline_access' = ANY (scope) OR EXISTS (
                  SELECT FROM sessions
                  WHERE sessions.id = session_id AND ended_at IS NULL AND expires_at > $2))
        ),
        allowed AS (
            SELECT client_id, scope, granted_at AS since FROM consents WHERE sub = $1
            UNION ALL
            SELECT client_id, scope, created_at FROM live
        ),
        used AS (
            SELECT client_id, created_at AS at FROM authorizations WHERE sub = $1 AND revoked_at IS NULL
            UNION ALL
            SELECT parent.client_id, issued_at FROM refresh_tokens
            JOIN authorizations AS parent ON parent.id = authorization_id
            WHERE parent.sub = $1 AND parent.revoked_at IS NULL
        )
        SELECT client_id, client_name, redirect_uris,
            (SELECT min(since) FROM allowed WHERE allowed.client_id = clients.client_id) AS since,
            (SELECT max(at) FROM used WHERE used.client_id = clients.client_id) AS last_used_at,
            ARRAY(SELECT DISTINCT unnest(allowed.scope) FROM allowed
                  WHERE allowed.client_id = clients.client_id ORDER BY 1) AS scope
        FROM clients
        WHERE client_id IN (SELECT client_id FROM allowed)
        ORDER BY lower(client_name), client_id
        """,
        sub,
        now,
    )
    return tuple(
        ConnectedApp(
            client_id=row["client_id"],
            name=row["client_name"],
            redirect_uris=tuple(row["redirect_uris"]),
            scope=tuple(row["scope"]),
            since=row["since"],
            last_used_at=row["last_used_at"],
        )
        for row in rows
    )
