"""Networks that an account is known to come from, and second factors that were lost and are waited for."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE known_networks (
        sub text NOT NULL REFERENCES users ON DELETE CASCADE,
        network_digest bytea NOT NULL,
        seen_at timestamptz NOT NULL,
        PRIMARY KEY (sub, network_digest)
    )
    """,
    "CREATE INDEX known_networks_seen_at ON known_networks (seen_at)",
    """
    CREATE TABLE factor_recoveries (
        id text PRIMARY KEY,
        sub text NOT NULL REFERENCES users ON DELETE CASCADE,
        email_canonical text NOT NULL,
        state text NOT NULL,
        cancel_hash bytea NOT NULL UNIQUE,
        finish_hash bytea NOT NULL UNIQUE,
        created_at timestamptz NOT NULL,
        not_before timestamptz NOT NULL,
        not_after timestamptz NOT NULL,
        reminded_at timestamptz,
        ended_at timestamptz
    )
    """,
    # One at a time for each account, however many are asked for at once.
    "CREATE UNIQUE INDEX factor_recoveries_waiting ON factor_recoveries (sub) WHERE state = 'waiting'",
    "CREATE INDEX factor_recoveries_not_after ON factor_recoveries (not_after)",
)


def upgrade() -> None:
    """Add both tables."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Forget what was asked for and where people have been."""
    op.execute("DROP TABLE factor_recoveries")
    op.execute("DROP TABLE known_networks")
