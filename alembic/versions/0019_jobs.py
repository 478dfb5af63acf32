"""When jobs ran; when tokens were had under an authorization; the web origins of a client's redirect URIs."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE job_runs (
        name text PRIMARY KEY,
        last_started_at timestamptz,
        last_ended_at timestamptz,
        rows bigint,
        fault text,
        next_at timestamptz NOT NULL
    )
    """,
    # NULL: no tokens but the first ones, or none since this migration that the code before it had a hand in.
    "ALTER TABLE authorizations ADD COLUMN last_used_at timestamptz",
    # The one place that says what the origin of a redirect URI is; an index on it needs no column to be kept in step.
    """
    CREATE FUNCTION web_origins(uris text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 1000
    RETURN ARRAY(
        SELECT DISTINCT substring(lower(uri COLLATE "C") FROM '^https?://[^/]+')
        FROM unnest(uris) AS uri
        WHERE lower(uri COLLATE "C") ~ '^https?://[^/]+'
    )
    """,
)


def upgrade() -> None:
    """Add the table, the column and the function."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Forget them."""
    op.execute("DROP FUNCTION web_origins(text[])")
    op.execute("ALTER TABLE authorizations DROP COLUMN last_used_at")
    op.execute("DROP TABLE job_runs")
