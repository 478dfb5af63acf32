"""When tokens were had under the authorizations that there are; failed attempts of accounts that are gone."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

OUTSIDE_TRANSACTION = True

LAST_USE = """
DO $body$
DECLARE
    place text := '';
    upto text;
BEGIN
    LOOP
        SELECT max(id) INTO upto FROM (SELECT id FROM authorizations WHERE id > place ORDER BY id LIMIT 2000) AS next;
        EXIT WHEN upto IS NULL;
        UPDATE authorizations AS parent SET last_used_at = token.at
        FROM (
            SELECT authorization_id, max(issued_at) AS at FROM refresh_tokens
            WHERE authorization_id > place AND authorization_id <= upto
            GROUP BY authorization_id
        ) AS token
        WHERE parent.id = token.authorization_id AND parent.last_used_at IS NULL
          AND token.at > parent.created_at + interval '1 minute';
        COMMIT;
        place := upto;
    END LOOP;
END
$body$
"""

# From now on they go with the account.
ORPHANS = """
DELETE FROM attempts
WHERE factor NOT IN ('password', 'register', 'verify_email', 'recover', 'send_email', 'notice') AND subject <> ''
  AND subject NOT LIKE 'name %' AND NOT EXISTS (SELECT FROM users WHERE sub = subject)
"""


def upgrade() -> None:
    """Fill in what refresh tokens tell, some at a time; an account that is gone leaves no tally of its own any more."""
    op.execute(LAST_USE)
    op.execute(ORPHANS)


def downgrade() -> None:
    """What was filled in may stay."""
