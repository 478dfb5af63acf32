"""Browsers that are trusted to stand in for a second step."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE known_devices
        ADD COLUMN trust_id text UNIQUE,
        ADD COLUMN trusted_until timestamptz,
        ADD COLUMN user_agent text,
        ADD CONSTRAINT known_devices_trust CHECK ((trust_id IS NULL) = (trusted_until IS NULL))
    """,
)


def upgrade() -> None:
    """Let a known device be a trusted one."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Trust no browser any more."""
    op.execute("ALTER TABLE known_devices DROP COLUMN trust_id, DROP COLUMN trusted_until, DROP COLUMN user_agent")
