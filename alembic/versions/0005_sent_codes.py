"""Codes that were sent by text message or mail."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE sent_codes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        flow text NOT NULL,
        method text NOT NULL,
        sub text NOT NULL REFERENCES users ON DELETE CASCADE,
        recipient text NOT NULL,
        prefix text NOT NULL,
        code_digest bytea NOT NULL,
        sent boolean NOT NULL,
        misses integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        consumed_at timestamptz,
        replaced_at timestamptz
    )
    """,
    # One live code of a method in each flow: a code that is sent anew takes the place of the former.
    """
    CREATE UNIQUE INDEX sent_codes_live ON sent_codes (flow, method)
        WHERE consumed_at IS NULL AND replaced_at IS NULL
    """,
    "CREATE INDEX sent_codes_created_at ON sent_codes (method, created_at)",
    "CREATE INDEX sent_codes_sub ON sent_codes (sub)",
)


def upgrade() -> None:
    """Add the table of codes that were sent."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Forget what was sent."""
    op.execute("DROP TABLE sent_codes")
