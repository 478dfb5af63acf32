"""Links by mail; what waits in the outbox rests sealed."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE mail_links (
        link_hash bytea PRIMARY KEY,
        kind text NOT NULL,
        sub text NOT NULL REFERENCES users ON DELETE CASCADE,
        email text NOT NULL,
        email_canonical text NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        consumed_at timestamptz
    )
    """,
    # One live link of a kind for each account: a second request takes the place of the first, however close they are.
    "CREATE UNIQUE INDEX mail_links_live ON mail_links (sub, kind) WHERE consumed_at IS NULL",
    "CREATE INDEX mail_links_email ON mail_links (email_canonical)",
    "CREATE INDEX mail_links_expires_at ON mail_links (expires_at)",
    # Set in an interaction that is to reset a password and never signs in: the digest of the link that began it.
    "ALTER TABLE interactions ADD COLUMN mail_link bytea",
    # The master key is out of reach here, so what still waits in the clear is given up and not carried over.
    """
    UPDATE outbox SET failed_at = now(), fault = 'given up by the migration to sealed texts'
    WHERE sent_at IS NULL AND failed_at IS NULL
    """,
    "ALTER TABLE outbox ADD COLUMN sealed_text bytea, DROP COLUMN text",
)


def upgrade() -> None:
    """Add the table of links, and seal the outbox."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Texts that were sealed are not brought back into the clear."""
    raise NotImplementedError("restore a backup instead")
