"""What a process writes to see that the database can be written."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table: one row a process, which nobody else ever waits for."""
    op.execute("CREATE TABLE readiness (process text PRIMARY KEY, written_at timestamptz NOT NULL)")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE readiness")
