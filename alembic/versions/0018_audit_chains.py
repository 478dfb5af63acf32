"""The audit trail as chains, one for each database backend, with their seals and anchors."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STATEMENTS = (
    # Rows from before this migration stay outside of any chain.
    "ALTER TABLE audit_events ADD COLUMN chain integer, ADD COLUMN place bigint, ADD COLUMN digest bytea",
    "CREATE UNIQUE INDEX audit_events_chain ON audit_events (chain, place) WHERE chain IS NOT NULL",
    """
    CREATE TABLE audit_anchors (
        chain integer PRIMARY KEY,
        place bigint NOT NULL,
        digest bytea NOT NULL,
        mac bytea NOT NULL
    )
    """,
    """
    CREATE TABLE audit_seals (
        number bigint PRIMARY KEY,
        chain integer NOT NULL,
        place bigint NOT NULL,
        digest bytea NOT NULL,
        at timestamptz NOT NULL,
        mac bytea NOT NULL,
        UNIQUE (chain, place)
    )
    """,
    """
    CREATE TRIGGER audit_seals_stay BEFORE UPDATE OR DELETE ON audit_seals
        FOR EACH ROW EXECUTE FUNCTION audit_events_stay()
    """,
    """
    CREATE TRIGGER audit_seals_stay_whole BEFORE TRUNCATE ON audit_seals
        FOR EACH STATEMENT EXECUTE FUNCTION audit_events_stay()
    """,
    # Each backend has a chain of its own, so no transaction waits for another. A pid is one backend's at a time, and a
    # later one of the same pid goes on with its chain; where all its rows have expired, from the anchor that they left.
    """
    CREATE FUNCTION audit_events_link() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $body$
    DECLARE
        before record;
    BEGIN
        NEW.chain := pg_backend_pid();
        SELECT place, digest INTO before FROM audit_events
            WHERE chain = NEW.chain AND chain IS NOT NULL ORDER BY place DESC LIMIT 1;
        IF NOT FOUND THEN
            SELECT place, digest INTO before FROM audit_anchors WHERE chain = NEW.chain;
        END IF;
        NEW.place := 1 + coalesce(before.place, 0);
        NEW.digest := sha256(coalesce(before.digest, '') || convert_to(array_to_json(ARRAY[
            NEW.chain::text, NEW.place::text, NEW.id::text, encode(timestamptz_send(NEW.at), 'hex'), NEW.event,
            NEW.actor, NEW.sub, NEW.client_id, NEW.session_id, NEW.address, NEW.request_id, NEW.details::text
        ])::text, 'UTF8'));
        RETURN NEW;
    END
    $body$
    """,
    """
    CREATE TRIGGER audit_events_link BEFORE INSERT ON audit_events
        FOR EACH ROW EXECUTE FUNCTION audit_events_link()
    """,
)


def upgrade() -> None:
    """Link every row from now on; the code before it neither knows of it nor can leave it out."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """What proves the trail is not thrown away by a downgrade."""
    raise NotImplementedError("restore a backup instead")
