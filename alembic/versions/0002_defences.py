"""Audit events, attempts, known devices, recovery codes; where a session lives."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE audit_events (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        event text NOT NULL,
        actor text NOT NULL,
        sub text,
        client_id text,
        session_id text,
        address text,
        request_id text,
        details jsonb NOT NULL DEFAULT '{}'
    )
    """,
    "CREATE INDEX audit_events_sub ON audit_events (sub, id)",
    "CREATE INDEX audit_events_at ON audit_events (at)",
    # Nobody changes what was written, and nobody takes it back while it is young (the setting is 90 days at least)
    # (ASVS 16.4.2); a role that could drop the trigger could drop the table as well.
    """
    CREATE FUNCTION audit_events_stay() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        IF TG_OP = 'DELETE' AND OLD.at < statement_timestamp() - interval '80 days' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'audit events are appended and never changed';
    END
    $body$
    """,
    """
    CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE ON audit_events
        FOR EACH ROW EXECUTE FUNCTION audit_events_stay()
    """,
    """
    CREATE TRIGGER audit_events_stay_whole BEFORE TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION audit_events_stay()
    """,
    """
    CREATE TABLE attempts (
        factor text NOT NULL,
        subject text NOT NULL,
        source text NOT NULL,
        misses integer NOT NULL DEFAULT 0,
        window_misses integer NOT NULL DEFAULT 0,
        window_from timestamptz NOT NULL,
        last_missed_at timestamptz NOT NULL,
        PRIMARY KEY (factor, subject, source)
    )
    """,
    "CREATE INDEX attempts_subject ON attempts (subject)",
    "CREATE INDEX attempts_last_missed_at ON attempts (last_missed_at)",
    """
    CREATE TABLE known_devices (
        secret_hash bytea NOT NULL,
        sub text NOT NULL REFERENCES users ON DELETE CASCADE,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (secret_hash, sub)
    )
    """,
    "CREATE INDEX known_devices_sub ON known_devices (sub)",
    "CREATE INDEX known_devices_expires_at ON known_devices (expires_at)",
    """
    CREATE TABLE recovery_codes (
        sub text NOT NULL REFERENCES users ON DELETE CASCADE,
        code_hash bytea NOT NULL,
        salt bytea NOT NULL,
        created_at timestamptz NOT NULL,
        consumed_at timestamptz,
        PRIMARY KEY (sub, code_hash)
    )
    """,
    "ALTER TABLE sessions ADD COLUMN address text, ADD COLUMN user_agent text",
)


def upgrade() -> None:
    """Add the tables that attempts are counted in and acts are recorded in."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Audit events are not thrown away by a downgrade."""
    raise NotImplementedError("restore a backup instead")
