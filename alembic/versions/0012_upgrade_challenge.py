"""A challenge of its own for the passkey that a browser makes by itself."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns: beside the challenge of the page that adds a passkey, which it must not replace."""
    op.execute("ALTER TABLE sessions ADD COLUMN upgrade_challenge bytea, ADD COLUMN upgrade_challenge_at timestamptz")


def downgrade() -> None:
    """Forget them."""
    op.execute("ALTER TABLE sessions DROP COLUMN upgrade_challenge, DROP COLUMN upgrade_challenge_at")
