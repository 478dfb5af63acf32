"""${message}"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """${message}"""
    op.execute("""
    """)


def downgrade() -> None:
    """Nothing goes back: new code runs before and after its migration, so the code may go back alone."""
    raise NotImplementedError("restore a backup instead")
