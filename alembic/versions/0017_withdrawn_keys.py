"""Keys that are published no more, and still verify ID tokens that come back as hints."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the code before knows no withdrawn keys, takes them for retired ones and removes them."""
    op.execute("ALTER TABLE signing_keys ADD COLUMN withdrawn_at timestamptz")


def downgrade() -> None:
    """Forget the keys that only the column keeps from being published."""
    op.execute("DELETE FROM signing_keys WHERE withdrawn_at IS NOT NULL")
    op.execute("ALTER TABLE signing_keys DROP COLUMN withdrawn_at")
