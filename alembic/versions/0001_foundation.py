"""Users, authenticators, sessions, interactions, authorizations, clients and signing keys."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE users (
    sub text PRIMARY KEY,
    username text NOT NULL,
    username_canonical text NOT NULL UNIQUE,
    email text,
    email_canonical text,
    email_verified boolean NOT NULL DEFAULT false,
    phone text,
    phone_verified boolean NOT NULL DEFAULT false,
    profile jsonb NOT NULL DEFAULT '{}',
    password_hash text,
    password_changed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    disabled_at timestamptz
);
CREATE UNIQUE INDEX users_verified_email ON users (email_canonical) WHERE email_verified;
CREATE INDEX users_email ON users (email_canonical);

CREATE TABLE totp_credentials (
    id text PRIMARY KEY,
    sub text NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    sealed_seed bytea NOT NULL,
    last_step bigint,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX totp_credentials_sub ON totp_credentials (sub);
CREATE UNIQUE INDEX totp_credentials_pending ON totp_credentials (sub) WHERE confirmed_at IS NULL;

CREATE TABLE webauthn_credentials (
    id text PRIMARY KEY,
    sub text NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    credential_id bytea NOT NULL UNIQUE CHECK (length(credential_id) BETWEEN 1 AND 1023),
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    aaguid text NOT NULL,
    transports text[] NOT NULL,
    backup_eligible boolean NOT NULL,
    backed_up boolean NOT NULL,
    uv_initialized boolean NOT NULL,
    discoverable boolean NOT NULL,
    attested boolean NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX webauthn_credentials_sub ON webauthn_credentials (sub);

CREATE TABLE sessions (
    id text PRIMARY KEY,
    secret_hash bytea NOT NULL UNIQUE,
    sub text NOT NULL REFERENCES users ON DELETE CASCADE,
    evidence jsonb NOT NULL,
    challenge bytea,
    challenge_at timestamptz,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX sessions_sub ON sessions (sub);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE clients (
    client_id text PRIMARY KEY,
    client_name text NOT NULL,
    token_endpoint_auth_method text NOT NULL,
    secret_hash bytea,
    redirect_uris text[] NOT NULL,
    post_logout_redirect_uris text[] NOT NULL,
    grant_types text[] NOT NULL,
    scope text[] NOT NULL,
    jwks jsonb,
    id_token_signed_response_alg text NOT NULL,
    min_acr text,
    logo_uri text,
    policy_uri text,
    tos_uri text,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz
);

CREATE TABLE interactions (
    id text PRIMARY KEY,
    browser_hash bytea NOT NULL,
    parameters jsonb,
    return_to text NOT NULL,
    fresh boolean NOT NULL,
    sub text REFERENCES users ON DELETE CASCADE,
    evidence jsonb NOT NULL DEFAULT '[]',
    chosen boolean NOT NULL DEFAULT false,
    approved text[],
    challenge bytea,
    challenge_at timestamptz,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX interactions_expires_at ON interactions (expires_at);

CREATE TABLE consents (
    sub text NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id text NOT NULL REFERENCES clients ON DELETE CASCADE,
    scope text[] NOT NULL,
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (sub, client_id)
);

CREATE TABLE authorizations (
    id text PRIMARY KEY,
    sub text NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id text NOT NULL REFERENCES clients ON DELETE CASCADE,
    session_id text REFERENCES sessions ON DELETE SET NULL,
    scope text[] NOT NULL,
    claims jsonb NOT NULL,
    acr text NOT NULL,
    amr text[] NOT NULL,
    auth_time timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX authorizations_sub ON authorizations (sub, client_id);
CREATE INDEX authorizations_session_id ON authorizations (session_id);
CREATE INDEX authorizations_client_id ON authorizations (client_id);

CREATE TABLE authorization_codes (
    code_hash bytea PRIMARY KEY,
    authorization_id text NOT NULL REFERENCES authorizations ON DELETE CASCADE,
    client_id text NOT NULL,
    redirect_uri text NOT NULL,
    code_challenge text NOT NULL,
    nonce text,
    expires_at timestamptz NOT NULL,
    consumed_at timestamptz
);
CREATE INDEX authorization_codes_expires_at ON authorization_codes (expires_at);
CREATE INDEX authorization_codes_authorization_id ON authorization_codes (authorization_id);

CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY,
    authorization_id text NOT NULL REFERENCES authorizations ON DELETE CASCADE,
    client_id text NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    consumed_at timestamptz
);
CREATE INDEX refresh_tokens_authorization_id ON refresh_tokens (authorization_id);
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);

CREATE TABLE revoked_access_tokens (
    jti text PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

CREATE TABLE client_assertions (
    client_id text NOT NULL,
    jti_hash bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, jti_hash)
);

CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    alg text NOT NULL,
    public_jwk jsonb NOT NULL,
    sealed_private bytea,
    published_at timestamptz NOT NULL,
    activated_at timestamptz,
    retired_at timestamptz
);
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (alg)
    WHERE activated_at IS NOT NULL AND retired_at IS NULL;
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (alg)
    WHERE activated_at IS NULL AND retired_at IS NULL;
"""


def upgrade() -> None:
    """Create the tables of the main job."""
    for statement in filter(str.strip, TABLES.split(";")):
        op.execute(statement)


def downgrade() -> None:
    """Nothing goes back before the first migration: an empty database is made instead."""
    raise NotImplementedError("restore a backup instead")
