"""Groups and what they ask for; until when an enrolment can wait."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE groups (
        name text PRIMARY KEY,
        min_acr text,
        created_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE user_groups (
        sub text NOT NULL REFERENCES users ON DELETE CASCADE,
        group_name text NOT NULL REFERENCES groups ON DELETE CASCADE,
        PRIMARY KEY (sub, group_name)
    )
    """,
    "CREATE INDEX user_groups_group_name ON user_groups (group_name)",
    # Set once for each user, by the first sign-in that is short of what the organisation asks for.
    "ALTER TABLE users ADD COLUMN enrolment_due_at timestamptz",
    "ALTER TABLE sessions ADD COLUMN enrolment_deferred_at timestamptz",
)


def upgrade() -> None:
    """Add groups, and what is kept of enrolments that wait."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """What groups asked for would be asked for no more."""
    raise NotImplementedError("restore a backup instead")
