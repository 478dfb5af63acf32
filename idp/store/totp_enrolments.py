"""Authenticator apps about to be added: each belongs to the session that was shown its key, and to no other."""

from datetime import datetime

from idp.model.credential import TotpEnrolment
from idp.store.database import Connection
from idp.store.expiry import BATCH, count_of

# Of the generation of its account still.
CURRENT = "generation = (SELECT generation FROM users WHERE users.sub = totp_enrolments.sub)"


async def create_enrolment(conn: Connection, enrolment: TotpEnrolment) -> None:
    """Keep an app that waits for its first code, in the place of the session's former one."""
    await conn.execute(
        """
        INSERT INTO totp_enrolments (session_id, id, sub, generation, sealed_seed, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (session_id) DO UPDATE
        SET id = EXCLUDED.id, sub = EXCLUDED.sub, generation = EXCLUDED.generation,
            sealed_seed = EXCLUDED.sealed_seed, created_at = EXCLUDED.created_at
        """,
        enrolment.session_id,
        enrolment.id,
        enrolment.sub,
        enrolment.generation,
        enrolment.sealed_seed,
        enrolment.created_at,
    )


async def find_enrolment(conn: Connection, session_id: str, *, begun_after: datetime) -> TotpEnrolment | None:
    """The app that waits in this session and was begun later than that, or None."""
    row = await conn.fetchrow(
        f"""
        SELECT session_id, id, sub, generation, sealed_seed, created_at FROM totp_enrolments
        WHERE session_id = $1 AND created_at > $2 AND {CURRENT}
        """,
        session_id,
        begun_after,
    )
    if row is None:
        return None
    return TotpEnrolment(
        session_id=row["session_id"],
        id=row["id"],
        sub=row["sub"],
        generation=row["generation"],
        sealed_seed=row["sealed_seed"],
        created_at=row["created_at"],
    )


async def consume_enrolment(conn: Connection, enrolment: TotpEnrolment) -> bool:
    """Take the app that waits: only one caller ever gets True, and only while it is the session's newest."""
    taken = await conn.fetchval(
        f"DELETE FROM totp_enrolments WHERE session_id = $1 AND id = $2 AND {CURRENT} RETURNING id",
        enrolment.session_id,
        enrolment.id,
    )
    return taken is not None


async def delete_expired(conn: Connection, *, begun_before: datetime, limit: int = BATCH) -> int:
    """Forget enrolments that were begun before that and never confirmed; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM totp_enrolments WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM totp_enrolments WHERE created_at < $1
                ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            begun_before,
            limit,
        )
    )
