"""Accounts."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import asyncpg

from idp.model.user import User
from idp.store.database import Connection, Row


class UsernameTaken(Exception):
    """An account has this name already, in its canonical form, or one that looks like it."""


class EmailTaken(Exception):
    """An account has this address already, and has proved it."""


class UserGone(LookupError):
    """The account was removed meanwhile."""


async def create(
    conn: Connection,
    user: User,
    *,
    username_canonical: str,
    username_skeleton: str | None = None,
    email_canonical: str | None = None,
) -> User:
    """Store a new account; raises UsernameTaken or EmailTaken, and leaves the transaction usable.

    ``username_skeleton`` is what no other account may have: every account that people make gives one.
    """
    created = await conn.fetchval(
        """
        INSERT INTO users (
            sub, username, username_canonical, email, email_canonical, email_verified, phone, phone_verified,
            profile, password_hash, password_changed_at, created_at, updated_at, disabled_at, username_skeleton
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        ON CONFLICT DO NOTHING
        RETURNING sub
        """,
        user.sub,
        user.username,
        username_canonical,
        user.email,
        email_canonical,
        user.email_verified,
        user.phone,
        user.phone_verified,
        dict(user.profile),
        user.password_hash,
        user.password_changed_at,
        user.created_at,
        user.updated_at,
        user.disabled_at,
        username_skeleton,
    )
    if created is not None:
        return user
    if await _is_taken(conn, username_canonical, username_skeleton):
        raise UsernameTaken
    raise EmailTaken


async def _is_taken(conn: Connection, canonical: str, skeleton: str | None) -> bool:
    found = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM users WHERE username_canonical = $1 OR username_skeleton = $2)", canonical, skeleton
    )
    return bool(found)


async def find_user(conn: Connection, sub: str) -> User | None:
    """The account with this subject, or None."""
    return _user(
        await conn.fetchrow(
            """
            SELECT sub, username, email, email_verified, phone, phone_verified, profile, password_hash,
                   password_changed_at, created_at, updated_at, disabled_at, generation
            FROM users
            WHERE sub = $1
            """,
            sub,
        )
    )


async def get_user(conn: Connection, sub: str) -> User:
    """The account with this subject; raises UserGone."""
    user = await find_user(conn, sub)
    if user is None:
        raise UserGone(f"no user {sub}")
    return user


async def find_by_username(conn: Connection, canonical: str) -> User | None:
    """The account with this canonical name, or None."""
    return _user(
        await conn.fetchrow(
            """
            SELECT sub, username, email, email_verified, phone, phone_verified, profile, password_hash,
                   password_changed_at, created_at, updated_at, disabled_at, generation
            FROM users
            WHERE username_canonical = $1
            """,
            canonical,
        )
    )


async def find_by_login(conn: Connection, canonical: str | None) -> User | None:
    """The one account that a canonical name or address means, or None.

    A name comes first, then the account that has proved the address, then the only one that has given it: of two
    that merely claim an address, neither is meant. One statement for all, so that time does not tell which it was.
    """
    rows = await conn.fetch(
        """
        SELECT sub, username, email, email_verified, phone, phone_verified, profile, password_hash,
               password_changed_at, created_at, updated_at, disabled_at, generation,
               username_canonical = $1 AS by_name
        FROM users
        WHERE username_canonical = $1 OR email_canonical = $1
        ORDER BY by_name DESC, email_verified DESC
        LIMIT 2
        """,
        canonical,
    )
    certain = len(rows) == 1 or (rows and (rows[0]["by_name"] or rows[0]["email_verified"]))
    return _user(rows[0]) if certain else None


async def list_users(conn: Connection, *, after: str = "", limit: int = 100) -> tuple[User, ...]:
    """The accounts whose canonical names follow ``after``, in the order of names, so many at most."""
    rows = await conn.fetch(
        """
        SELECT sub, username, email, email_verified, phone, phone_verified, profile, password_hash,
               password_changed_at, created_at, updated_at, disabled_at, generation
        FROM users
        WHERE username_canonical > $1
        ORDER BY username_canonical
        LIMIT $2
        """,
        after,
        limit,
    )
    return tuple(user for row in rows if (user := _user(row)) is not None)


async def find_usernames(conn: Connection, subs: Iterable[str]) -> dict[str, str]:
    """The user names of those of these accounts that are still there, by ``sub``."""
    rows = await conn.fetch("SELECT sub, username FROM users WHERE sub = ANY($1::text[])", sorted(set(subs)))
    return {row["sub"]: row["username"] for row in rows}


async def lock(conn: Connection, sub: str) -> None:
    """Let one transaction at a time change what belongs to this user; raises UserGone.

    It is the first lock of whatever changes more than one row of a user's: rows that hang on the account are locked
    after it, never before, and so no two such transactions wait for each other.
    """
    if await conn.fetchval("SELECT sub FROM users WHERE sub = $1 FOR NO KEY UPDATE", sub) is None:
        raise UserGone(f"no user {sub}")


async def lock_to_remove(conn: Connection, sub: str) -> None:
    """Let nobody change this user, nor add anything to them, before this transaction ends; raises UserGone.

    Whoever removes an account after looking at it begins with this: ``lock`` leaves others room to add, and to change
    it for this later would be to wait for them while they wait for it.
    """
    if await conn.fetchval("SELECT sub FROM users WHERE sub = $1 FOR UPDATE", sub) is None:
        raise UserGone(f"no user {sub}")


async def hold(conn: Connection, sub: str) -> None:
    """Keep the account from being removed before this transaction ends; raises UserGone.

    It is the first lock of whatever adds to an account, or changes one thing of it; many may hold it at once.
    """
    if await conn.fetchval("SELECT sub FROM users WHERE sub = $1 FOR KEY SHARE", sub) is None:
        raise UserGone(f"no user {sub}")


async def raise_generation(conn: Connection, sub: str) -> int:
    """Let nothing that was begun for this account before go on (A-76); answers the generation from now on.

    Whatever waits carries the generation of the account under which it was begun, and is worth nothing under another:
    links by mail, interactions, enrolments under way, codes that were sent, browsers that are known or trusted, and
    recoveries of lost factors. Raises UserGone.
    """
    raised: int | None = await conn.fetchval(
        "UPDATE users SET generation = generation + 1 WHERE sub = $1 RETURNING generation", sub
    )
    if raised is None:
        raise UserGone(f"no user {sub}")
    return raised


async def update_password(conn: Connection, sub: str, password_hash: str, now: datetime) -> bool:
    """Set a new password, and raise the generation; answers whether there is such a user."""
    return (
        await conn.fetchval(
            """
            UPDATE users
            SET password_hash = $2, password_changed_at = $3, updated_at = $3, generation = generation + 1
            WHERE sub = $1
            RETURNING sub
            """,
            sub,
            password_hash,
            now,
        )
        is not None
    )


async def remove_password(conn: Connection, sub: str, now: datetime) -> bool:
    """Let the account have no password, if it has a passkey that signs in alone; answers whether one was removed.

    The generation is raised.
    """
    return (
        await conn.fetchval(
            """
            UPDATE users
            SET password_hash = NULL, password_changed_at = $2, updated_at = $2, generation = generation + 1
            WHERE sub = $1 AND password_hash IS NOT NULL
              AND EXISTS (SELECT FROM webauthn_credentials WHERE sub = $1 AND uv_initialized AND discoverable)
            RETURNING sub
            """,
            sub,
            now,
        )
        is not None
    )


async def clear_password(conn: Connection, sub: str, now: datetime) -> bool:
    """Let the account have no password, whatever else it has, and raise the generation; answers whether it had one."""
    return (
        await conn.fetchval(
            """
            UPDATE users
            SET password_hash = NULL, password_changed_at = $2, updated_at = $2, generation = generation + 1
            WHERE sub = $1 AND password_hash IS NOT NULL
            RETURNING sub
            """,
            sub,
            now,
        )
        is not None
    )


async def replace_password_hash(conn: Connection, sub: str, old: str, new: str) -> bool:
    """Store the same password under a newer hash, unless it was changed meanwhile; answers whether it was stored."""
    return (
        await conn.fetchval(
            "UPDATE users SET password_hash = $3 WHERE sub = $1 AND password_hash = $2 RETURNING sub",
            sub,
            old,
            new,
        )
        is not None
    )


async def find_by_proved_email(conn: Connection, canonical: str) -> User | None:
    """The account that has proved this address, or None."""
    return _user(
        await conn.fetchrow(
            """
            SELECT sub, username, email, email_verified, phone, phone_verified, profile, password_hash,
                   password_changed_at, created_at, updated_at, disabled_at, generation
            FROM users
            WHERE email_canonical = $1 AND email_verified
            """,
            canonical,
        )
    )


async def update_proved_email(conn: Connection, sub: str, email: str, canonical: str, now: datetime) -> None:
    """Give the account an address that it has proved; raises EmailTaken, and leaves the transaction usable.

    Where it takes the place of another one that was proved, the generation is raised.
    """
    try:
        async with conn.transaction():
            await conn.execute(
                """
                UPDATE users
                SET email = $2, email_canonical = $3, email_verified = true, updated_at = $4,
                    generation = generation + (email_verified AND email_canonical <> $3)::int
                WHERE sub = $1
                """,
                sub,
                email,
                canonical,
                now,
            )
    except asyncpg.UniqueViolationError:
        raise EmailTaken from None


async def remove_email(conn: Connection, sub: str, now: datetime) -> None:
    """Let the account have no address, and raise its generation."""
    await conn.execute(
        """
        UPDATE users
        SET email = NULL, email_canonical = NULL, email_verified = false, updated_at = $2, generation = generation + 1
        WHERE sub = $1
        """,
        sub,
        now,
    )


async def lock_claimants(conn: Connection, email_canonical: str, *, sub: str | None = None) -> None:
    """As ``lock``, of everybody who has claimed that address, and of this user, all in one order; raises UserGone.

    One confirmation of an address at a time goes on from here: each ends what waits for the others.
    """
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('address ' || $1, 0))", email_canonical)
    rows = await conn.fetch(
        "SELECT sub FROM users WHERE sub = $1 OR email_canonical = $2 ORDER BY sub FOR NO KEY UPDATE",
        sub,
        email_canonical,
    )
    if sub is not None and sub not in {row["sub"] for row in rows}:
        raise UserGone(f"no user {sub}")


async def release_email(conn: Connection, canonical: str, now: datetime, *, but: str) -> tuple[str, ...]:
    """Take an address from all accounts that merely claim it, except that one; answers whose it was (A-72)."""
    rows = await conn.fetch(
        """
        UPDATE users SET email = NULL, email_canonical = NULL, updated_at = $2
        WHERE email_canonical = $1 AND NOT email_verified AND sub <> $3
        RETURNING sub
        """,
        canonical,
        now,
        but,
    )
    return tuple(row["sub"] for row in rows)


async def update_profile(
    conn: Connection, sub: str, claims: Mapping[str, str], names: Iterable[str], now: datetime
) -> None:
    """Let the account have these claims of those names, and no others of them; what else it has stays."""
    await conn.execute(
        "UPDATE users SET profile = (profile - $2::text[]) || $3, updated_at = $4 WHERE sub = $1",
        sub,
        sorted(names),
        dict(claims),
        now,
    )


async def update_proved_phone(conn: Connection, sub: str, phone: str, now: datetime) -> None:
    """Give the account a number that it has proved."""
    await conn.execute(
        "UPDATE users SET phone = $2, phone_verified = true, updated_at = $3 WHERE sub = $1", sub, phone, now
    )


async def remove_phone(conn: Connection, sub: str) -> bool:
    """Let the account have no number; answers whether it had one that was proved."""
    return (
        await conn.fetchval(
            "UPDATE users SET phone = NULL, phone_verified = false WHERE sub = $1 AND phone_verified RETURNING sub", sub
        )
        is not None
    )


async def disable(conn: Connection, sub: str, now: datetime) -> bool:
    """Shut the account, and raise its generation; answers whether it was open."""
    return (
        await conn.fetchval(
            """
            UPDATE users SET disabled_at = $2, updated_at = $2, generation = generation + 1
            WHERE sub = $1 AND disabled_at IS NULL
            RETURNING sub
            """,
            sub,
            now,
        )
        is not None
    )


async def enable(conn: Connection, sub: str, now: datetime) -> bool:
    """Open the account again; answers whether it was shut."""
    return (
        await conn.fetchval(
            """
            UPDATE users SET disabled_at = NULL, updated_at = $2
            WHERE sub = $1 AND disabled_at IS NOT NULL
            RETURNING sub
            """,
            sub,
            now,
        )
        is not None
    )


async def remove(conn: Connection, sub: str) -> bool:
    """Delete the account and everything that hangs on it, its failed attempts too; answers whether there was one."""
    return (
        await conn.fetchval(
            """
            WITH forgotten AS (DELETE FROM attempts WHERE subject = $1)
            DELETE FROM users WHERE sub = $1 RETURNING sub
            """,
            sub,
        )
        is not None
    )


def _user(row: Row | None) -> User | None:
    if row is None:
        return None
    return User(
        sub=row["sub"],
        username=row["username"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        email=row["email"],
        email_verified=row["email_verified"],
        phone=row["phone"],
        phone_verified=row["phone_verified"],
        profile=row["profile"],
        password_hash=row["password_hash"],
        password_changed_at=row["password_changed_at"],
        disabled_at=row["disabled_at"],
        generation=row["generation"],
    )
