"""Interactions: requests that wait for their user, bound to the browser that began them."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from idp.base.digest import sha256
from idp.model.assurance import Evidence
from idp.model.interaction import Interaction
from idp.model.mail_link import MailLink
from idp.model.user import User
from idp.store.database import Connection, Row
from idp.store.evidence import from_json, to_json
from idp.store.expiry import BATCH, count_of

# Of nobody yet, or of an account that is still of the generation under which this was proved.
CURRENT = "(sub IS NULL OR generation = (SELECT generation FROM users WHERE users.sub = interactions.sub))"
COLUMNS = """id, parameters, return_to, fresh, sub, evidence, chosen, approved, challenge, challenge_at,
             created_at, expires_at, mail_link"""


def _interaction(row: Row) -> Interaction:
    return Interaction(
        id=row["id"],
        parameters=row["parameters"],
        return_to=row["return_to"],
        fresh=row["fresh"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        sub=row["sub"],
        evidence=from_json(row["evidence"]),
        chosen=row["chosen"],
        approved=None if row["approved"] is None else tuple(row["approved"]),
        challenge=row["challenge"],
        challenge_at=row["challenge_at"],
        mail_link=row["mail_link"],
    )


async def create_interaction(
    conn: Connection,
    interaction_id: str,
    browser: str,
    *,
    parameters: Mapping[str, str] | None,
    return_to: str,
    fresh: bool,
    now: datetime,
    life: timedelta,
) -> Interaction:
    """A new interaction of the browser that holds this secret."""
    row = await conn.fetchrow(
        f"""
        INSERT INTO interactions (id, browser_hash, parameters, return_to, fresh, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        RETURNING {COLUMNS}
        """,
        interaction_id,
        sha256(browser),
        parameters,
        return_to,
        fresh,
        now,
        now + life,
    )
    assert row is not None
    return _interaction(row)


async def create_recovery(
    conn: Connection, interaction_id: str, browser: str, *, link: MailLink, now: datetime
) -> None:
    """A new interaction in which this browser resets the password of the account that the link was sent to.

    It lasts as long as the link would, whatever becomes of that, and is of the same generation.
    """
    await conn.execute(
        """
        INSERT INTO interactions (
            id, browser_hash, return_to, fresh, sub, generation, mail_link, created_at, expires_at
        )
        VALUES ($1, $2, '/login', false, $3, $4, $5, $6, $7)
        """,
        interaction_id,
        sha256(browser),
        link.sub,
        link.generation,
        link.digest,
        now,
        link.expires_at,
    )


async def find_recovery(conn: Connection, interaction_id: str, browser: str, *, now: datetime) -> Interaction | None:
    """The reset under way with this id, if this browser began it; no sign-in is ever found by this."""
    row = await conn.fetchrow(
        f"""
        SELECT {COLUMNS} FROM interactions
        WHERE id = $1 AND browser_hash = $2 AND mail_link IS NOT NULL AND ended_at IS NULL AND expires_at > $3
          AND {CURRENT}
        """,
        interaction_id,
        sha256(browser),
        now,
    )
    return None if row is None else _interaction(row)


async def find_interaction(conn: Connection, interaction_id: str, browser: str, *, now: datetime) -> Interaction | None:
    """The waiting interaction with this id, if this browser began it; None once it is over.

    It is over when it has ended or expired, or what it has proved is of an earlier generation of the account. A reset
    of a password is not found by this: nothing that is proved in it counts towards a sign-in.
    """
    row = await conn.fetchrow(
        f"""
        SELECT {COLUMNS} FROM interactions
        WHERE id = $1 AND browser_hash = $2 AND mail_link IS NULL AND ended_at IS NULL AND expires_at > $3
          AND {CURRENT}
        """,
        interaction_id,
        sha256(browser),
        now,
    )
    return None if row is None else _interaction(row)


async def find_stale(
    conn: Connection, interaction_id: str, browser: str, *, now: datetime
) -> tuple[Interaction, bool] | None:
    """The interaction with this id that this browser began and that is over, and whether it has ended."""
    row = await conn.fetchrow(
        f"""
        SELECT {COLUMNS}, ended_at FROM interactions
        WHERE id = $1 AND browser_hash = $2 AND mail_link IS NULL
          AND (ended_at IS NOT NULL OR expires_at <= $3 OR NOT {CURRENT})
        """,
        interaction_id,
        sha256(browser),
        now,
    )
    return None if row is None else (_interaction(row), row["ended_at"] is not None)


async def record_proof(
    conn: Connection, interaction_id: str, user: User | None, evidence: Iterable[Evidence]
) -> Interaction:
    """Keep what this login has proved so far, of the account as it was when that was judged."""
    row = await conn.fetchrow(
        f"UPDATE interactions SET sub = $2, generation = $3, evidence = $4 WHERE id = $1 RETURNING {COLUMNS}",
        interaction_id,
        user.sub if user else None,
        user.generation if user else 0,
        to_json(evidence),
    )
    assert row is not None
    return _interaction(row)


async def record_choice(conn: Connection, interaction_id: str) -> Interaction:
    """Remember that the user said which account to use."""
    row = await conn.fetchrow(
        f"UPDATE interactions SET chosen = true WHERE id = $1 RETURNING {COLUMNS}", interaction_id
    )
    assert row is not None
    return _interaction(row)


async def record_approval(conn: Connection, interaction_id: str, scope: Iterable[str]) -> Interaction:
    """Remember what the user allowed in this interaction."""
    row = await conn.fetchrow(
        f"UPDATE interactions SET approved = $2 WHERE id = $1 RETURNING {COLUMNS}", interaction_id, list(scope)
    )
    assert row is not None
    return _interaction(row)


async def record_challenge(conn: Connection, interaction_id: str, challenge: bytes, *, now: datetime) -> None:
    """Keep the newest WebAuthn challenge, in place of any before it."""
    await conn.execute(
        "UPDATE interactions SET challenge = $2, challenge_at = $3 WHERE id = $1", interaction_id, challenge, now
    )


async def consume_challenge(conn: Connection, interaction_id: str, *, now: datetime, life: timedelta) -> bytes | None:
    """Take the WebAuthn challenge: it is answered once, and only while it is young (WebAuthn §13.4.3)."""
    row = await conn.fetchrow(
        """
        UPDATE interactions AS after SET challenge = NULL
        FROM (SELECT id, challenge FROM interactions WHERE id = $1 FOR UPDATE) AS before
        WHERE after.id = before.id AND before.challenge IS NOT NULL AND after.challenge_at > $2
        RETURNING before.challenge
        """,
        interaction_id,
        now - life,
    )
    return None if row is None else bytes(row["challenge"])


async def consume_interaction(conn: Connection, interaction_id: str, *, now: datetime) -> bool:
    """End the interaction; only one caller ever gets True, so that it is answered once."""
    row = await conn.fetchrow(
        "UPDATE interactions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL RETURNING id", interaction_id, now
    )
    return row is not None


async def delete_expired(conn: Connection, *, now: datetime, keep: timedelta, limit: int = BATCH) -> int:
    """Forget interactions whose time has been over for so long; answers how many, at most ``limit``."""
    return count_of(
        await conn.execute(
            """
            DELETE FROM interactions WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM interactions WHERE expires_at <= $1
                ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
            ))
            """,
            now - keep,
            limit,
        )
    )
