"""The response modes of each application."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was there before may use all that there are, as it could."""
    op.execute("ALTER TABLE clients ADD COLUMN response_modes text[] NOT NULL DEFAULT '{query,form_post}'")


def downgrade() -> None:
    """Forget which response modes an application may use."""
    op.execute("ALTER TABLE clients DROP COLUMN response_modes")
