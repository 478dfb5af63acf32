"""Invitations to make an account, which go by mail."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table: one invitation for each address is to be used yet, and of the secret in its link the digest."""
    op.execute(
        """
        CREATE TABLE invitations (
            link_hash bytea PRIMARY KEY,
            email text NOT NULL,
            email_canonical text NOT NULL,
            created_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            consumed_at timestamptz
        )
        """
    )
    op.execute("CREATE UNIQUE INDEX invitations_newest ON invitations (email_canonical) WHERE consumed_at IS NULL")
    op.execute("CREATE INDEX invitations_expires_at ON invitations (expires_at)")


def downgrade() -> None:
    """Forget them."""
    op.execute("DROP TABLE invitations")
