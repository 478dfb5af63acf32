"""Signing keys: the rows behind the ring. Whoever changes them holds the lock of ``try_lock``."""

from datetime import datetime

from idp.model.signing_key import SigningKey
from idp.store.database import Connection, Row

CHANNEL = "signing_keys"
LOCK = 7244


def _signing_key(row: Row) -> SigningKey:
    return SigningKey(
        kid=row["kid"],
        alg=row["alg"],
        public_jwk=row["public_jwk"],
        sealed_private=row["sealed_private"],
        published_at=row["published_at"],
        activated_at=row["activated_at"],
        retired_at=row["retired_at"],
        withdrawn_at=row["withdrawn_at"],
    )


async def try_lock(conn: Connection) -> bool:
    """Whether this transaction may change the ring; until it ends no other one may."""
    return bool(await conn.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK))


async def list_signing_keys(conn: Connection) -> tuple[SigningKey, ...]:
    """Every key that is not gone, in an order that is the same for everyone."""
    rows = await conn.fetch(
        """
        SELECT kid, alg, public_jwk, sealed_private, published_at, activated_at, retired_at, withdrawn_at
        FROM signing_keys
        ORDER BY published_at, kid
        """
    )
    return tuple(_signing_key(row) for row in rows)


async def create_signing_key(conn: Connection, key: SigningKey) -> None:
    """Keep a new key, next or already active."""
    await conn.execute(
        """
        INSERT INTO signing_keys (kid, alg, public_jwk, sealed_private, published_at, activated_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        key.kid,
        key.alg,
        key.public_jwk,
        key.sealed_private,
        key.published_at,
        key.activated_at,
    )


async def activate_signing_key(conn: Connection, kid: str, now: datetime) -> bool:
    """Let a next key sign; False if it was no next key."""
    activated = await conn.fetchval(
        """
        UPDATE signing_keys SET activated_at = $2
        WHERE kid = $1 AND activated_at IS NULL AND retired_at IS NULL
        RETURNING kid
        """,
        kid,
        now,
    )
    return activated is not None


async def retire_signing_key(conn: Connection, kid: str, now: datetime) -> bool:
    """Let an active key sign no more and wipe its private half; False if it was no active key."""
    retired = await conn.fetchval(
        """
        UPDATE signing_keys SET retired_at = $2, sealed_private = NULL
        WHERE kid = $1 AND activated_at IS NOT NULL AND retired_at IS NULL
        RETURNING kid
        """,
        kid,
        now,
    )
    return retired is not None


async def withdraw_signing_key(conn: Connection, kid: str, now: datetime) -> bool:
    """Let a retired key be published no more; False if it was no retired key."""
    withdrawn = await conn.fetchval(
        """
        UPDATE signing_keys SET withdrawn_at = $2
        WHERE kid = $1 AND retired_at IS NOT NULL AND withdrawn_at IS NULL
        RETURNING kid
        """,
        kid,
        now,
    )
    return withdrawn is not None


async def delete_signing_key(conn: Connection, kid: str) -> bool:
    """Take a key out of the ring for good; False if it was not there."""
    deleted = await conn.fetchval("DELETE FROM signing_keys WHERE kid = $1 RETURNING kid", kid)
    return deleted is not None


async def has_sealed(conn: Connection) -> bool:
    """Whether the database holds anything that was sealed under a master key."""
    return bool(
        await conn.fetchval(
            """
            SELECT EXISTS (SELECT FROM signing_keys WHERE sealed_private IS NOT NULL)
                OR EXISTS (SELECT FROM totp_credentials)
            """
        )
    )


async def has_sealed_under(conn: Connection, prefix: bytes) -> bool:
    """Whether anything in the database was sealed under the master key whose envelopes begin so."""
    return bool(
        await conn.fetchval(
            """
            SELECT EXISTS (SELECT FROM signing_keys WHERE substring(sealed_private FOR length($1::bytea)) = $1)
                OR EXISTS (SELECT FROM totp_credentials WHERE substring(sealed_seed FOR length($1::bytea)) = $1)
            """,
            prefix,
        )
    )
