"""The outbox: messages to people, from the transaction that has something to say until a gateway has taken them."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE outbox (
        id text PRIMARY KEY,
        channel text NOT NULL CHECK (channel IN ('mail', 'sms')),
        recipient text NOT NULL,
        kind text NOT NULL,
        subject text NOT NULL,
        text text NOT NULL,
        created_at timestamptz NOT NULL,
        not_after timestamptz NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        next_attempt_at timestamptz NOT NULL,
        fault text,
        sent_at timestamptz,
        failed_at timestamptz
    )
    """,
    # Only what waits is in it, so that it stays small however much was sent.
    """
    CREATE INDEX outbox_due ON outbox (channel, next_attempt_at)
        WHERE sent_at IS NULL AND failed_at IS NULL
    """,
)


def upgrade() -> None:
    """Add the table that messages wait in."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Forget what waits to be sent."""
    op.execute("DROP TABLE outbox")
