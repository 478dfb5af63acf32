"""Recovery codes: one set for each user, of which each code is taken once."""

from collections.abc import Iterable
from datetime import datetime

from idp.model.credential import RecoveryCodes
from idp.store.database import Connection
from idp.store.users import lock


async def replace_codes(conn: Connection, sub: str, salt: bytes, hashes: Iterable[bytes], now: datetime) -> None:
    """Store a new set in the place of the former one, which is dead whole; raises LookupError for no such user."""
    # One at a time, or two new sets would stand side by side.
    await lock(conn, sub)
    await remove_codes(conn, sub)
    await conn.execute(
        """
        INSERT INTO recovery_codes (sub, code_hash, salt, created_at)
        SELECT $1, code_hash, $3, $4 FROM unnest($2::bytea[]) AS code_hash
        """,
        sub,
        list(hashes),
        salt,
        now,
    )


async def find_codes(conn: Connection, sub: str) -> RecoveryCodes | None:
    """The user's set, used ones counted; None if there never was one, or it was removed."""
    row = await conn.fetchrow(
        """
        SELECT salt, created_at, count(*) AS total, count(*) FILTER (WHERE consumed_at IS NULL) AS unused
        FROM recovery_codes
        WHERE sub = $1
        GROUP BY salt, created_at
        """,
        sub,
    )
    return None if row is None else RecoveryCodes(row["total"], row["unused"], row["created_at"], bytes(row["salt"]))


async def consume_code(conn: Connection, sub: str, code_hash: bytes, now: datetime) -> bool:
    """Take a code of the user's set: answers yes once, and never for one that was used or replaced."""
    return (
        await conn.fetchval(
            """
            UPDATE recovery_codes SET consumed_at = $3
            WHERE sub = $1 AND code_hash = $2 AND consumed_at IS NULL
            RETURNING sub
            """,
            sub,
            code_hash,
            now,
        )
        is not None
    )


async def remove_codes(conn: Connection, sub: str) -> bool:
    """Forget the user's set; answers whether there was one."""
    return bool(await conn.fetch("DELETE FROM recovery_codes WHERE sub = $1 RETURNING sub", sub))
