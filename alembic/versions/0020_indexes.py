"""Indexes for what the clean-up looks for, for what a deletion has to find, and for the origins of public clients."""

from alembic import op

from idp.store.migrations import build_index

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

OUTSIDE_TRANSACTION = True

INDEXES = {
    # Foreign keys: what hangs on a user or a client is searched for when these are deleted.
    "interactions_sub": "interactions (sub)",
    "consents_client_id": "consents (client_id)",
    "mail_links_sub": "mail_links (sub)",
    "factor_recoveries_sub": "factor_recoveries (sub)",
    # What is over.
    "revoked_access_tokens_expires_at": "revoked_access_tokens (expires_at)",
    "client_assertions_expires_at": "client_assertions (expires_at)",
    "sent_codes_expires_at": "sent_codes (expires_at)",
    "outbox_over_at": "outbox ((coalesce(sent_at, failed_at, not_after)))",
    # A tally of a second factor is cleared by a success alone, and not looked at again and again until then.
    "attempts_forgettable": """attempts (last_missed_at)
        WHERE factor IN ('password', 'register', 'verify_email', 'recover', 'send_email', 'notice') OR misses = 0
            OR subject = '' OR subject LIKE 'name %'""",
    # Where somebody is signed in; it holds nothing that changes while they are.
    "sessions_open": "sessions (sub, expires_at) WHERE ended_at IS NULL",
    # Whether somebody was written to of late.
    "outbox_recipient": "outbox (recipient, kind, created_at)",
    # Whether pages of an origin may read answers: asked before anybody has shown who they are.
    "clients_public_origins": """clients USING gin (web_origins(redirect_uris)) WITH (fastupdate = off)
        WHERE token_endpoint_auth_method = 'none' AND disabled_at IS NULL""",
}


def upgrade() -> None:
    """Build each of them while the tables are in use."""
    for name, definition in INDEXES.items():
        build_index(name, definition)


def downgrade() -> None:
    """Drop them."""
    for name in INDEXES:
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
