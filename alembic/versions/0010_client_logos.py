"""Logos of applications, fetched once and drawn anew."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE client_logos (
        client_id text PRIMARY KEY REFERENCES clients ON DELETE CASCADE,
        logo_uri text NOT NULL,
        digest text NOT NULL,
        content bytea NOT NULL
    )
    """,
    "CREATE INDEX client_logos_digest ON client_logos (digest)",
)


def upgrade() -> None:
    """Add the table."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Forget the pictures; the addresses from which they came stay with the clients."""
    op.execute("DROP TABLE client_logos")
