"""How the names of accounts look, so that no new one looks like another."""

from alembic import op
from sqlalchemy import text

from idp.authn.accounts import username_skeleton

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BATCH = 1000

FOLLOWING = text(
    """
    SELECT sub, username, created_at
    FROM users
    WHERE CAST(:at AS timestamptz) IS NULL OR (created_at, sub) > (CAST(:at AS timestamptz), CAST(:sub AS text))
    ORDER BY created_at, sub
    LIMIT :batch
    """
)
FILL_IN = text(
    """
    UPDATE users SET username_skeleton = given.skeleton
    FROM unnest(CAST(:subs AS text[]), CAST(:skeletons AS text[])) AS given (sub, skeleton)
    WHERE users.sub = given.sub
      AND NOT EXISTS (SELECT FROM users AS older WHERE older.username_skeleton = given.skeleton)
    """
)


def upgrade() -> None:
    """Add the column, and fill it in: of names that look alike already, the oldest account's has it alone.

    Code from before leaves it empty, and the accounts that it makes meanwhile stay without.
    """
    op.execute("ALTER TABLE users ADD COLUMN username_skeleton text CONSTRAINT users_username_skeleton_key UNIQUE")
    conn, at, sub = op.get_bind(), None, ""
    while rows := conn.execute(FOLLOWING, {"at": at, "sub": sub, "batch": BATCH}).all():
        first = {username_skeleton(row.username): row.sub for row in reversed(rows)}
        conn.execute(FILL_IN, {"subs": list(first.values()), "skeletons": list(first)})
        at, sub = rows[-1].created_at, rows[-1].sub


def downgrade() -> None:
    """Forget it."""
    op.execute("ALTER TABLE users DROP COLUMN username_skeleton")
