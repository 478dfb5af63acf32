"""The generation of an account, under which all that waits was begun; authenticator apps about to be added."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# What waits already was begun under generation 0, where every account stands now.
STATEMENTS = (
    "ALTER TABLE users ADD COLUMN generation bigint NOT NULL DEFAULT 0",
    "ALTER TABLE interactions ADD COLUMN generation bigint NOT NULL DEFAULT 0",
    "ALTER TABLE mail_links ADD COLUMN generation bigint NOT NULL DEFAULT 0",
    "ALTER TABLE sent_codes ADD COLUMN generation bigint NOT NULL DEFAULT 0",
    "ALTER TABLE known_devices ADD COLUMN generation bigint NOT NULL DEFAULT 0",
    "ALTER TABLE factor_recoveries ADD COLUMN generation bigint NOT NULL DEFAULT 0",
    """
    ALTER TABLE sessions
        ADD COLUMN challenge_generation bigint NOT NULL DEFAULT 0,
        ADD COLUMN upgrade_challenge_generation bigint NOT NULL DEFAULT 0
    """,
    # Not among the credentials: an app that waits for its first code belongs to the session that was shown its key.
    """
    CREATE TABLE totp_enrolments (
        session_id text PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
        id text NOT NULL,
        sub text NOT NULL REFERENCES users ON DELETE CASCADE,
        generation bigint NOT NULL,
        sealed_seed bytea NOT NULL,
        created_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX totp_enrolments_sub ON totp_enrolments (sub)",
    "CREATE INDEX totp_enrolments_created_at ON totp_enrolments (created_at)",
)


def upgrade() -> None:
    """Add the generations, and the table of apps about to be added."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """What was ended by a change of generation would come back to life."""
    raise NotImplementedError("restore a backup instead")
