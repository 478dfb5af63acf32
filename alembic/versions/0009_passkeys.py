"""Passkeys that browsers made by themselves."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = ("ALTER TABLE webauthn_credentials ADD COLUMN voluntary boolean NOT NULL DEFAULT false",)


def upgrade() -> None:
    """Add whether a passkey is voluntary."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Forget which passkeys are voluntary."""
    op.execute("ALTER TABLE webauthn_credentials DROP COLUMN voluntary")
