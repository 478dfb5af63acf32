"""Groups of people, and the level that each asks for."""

from datetime import datetime

from idp.model.group import Group, Membership
from idp.store.database import Connection, Row

COLUMNS = "name, min_acr, created_at, (SELECT count(*) FROM user_groups WHERE group_name = name) AS members"


def _group(row: Row) -> Group:
    return Group(row["name"], row["min_acr"], row["created_at"], row["members"])


async def create_group(conn: Connection, name: str, min_acr: str | None, *, now: datetime) -> bool:
    """Add a group; answers whether the name was free."""
    row = await conn.fetchrow(
        "INSERT INTO groups (name, min_acr, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING name",
        name,
        min_acr,
        now,
    )
    return row is not None


async def list_groups(conn: Connection) -> tuple[Group, ...]:
    """All groups, by name."""
    return tuple(map(_group, await conn.fetch(f"SELECT {COLUMNS} FROM groups ORDER BY name")))


async def find_group(conn: Connection, name: str) -> Group | None:
    """The group of this name."""
    row = await conn.fetchrow(f"SELECT {COLUMNS} FROM groups WHERE name = $1", name)
    return None if row is None else _group(row)


async def update_group(conn: Connection, name: str, min_acr: str | None) -> bool:
    """Ask for another level, or for none; answers whether there is such a group."""
    return (
        await conn.fetchval("UPDATE groups SET min_acr = $2 WHERE name = $1 RETURNING name", name, min_acr) is not None
    )


async def remove_group(conn: Connection, name: str) -> bool:
    """Remove the group; its people stay. Answers whether there was one."""
    return await conn.fetchval("DELETE FROM groups WHERE name = $1 RETURNING name", name) is not None


async def add_member(conn: Connection, name: str, sub: str) -> bool:
    """Let somebody be of the group; answers whether they were not yet."""
    row = await conn.fetchrow(
        "INSERT INTO user_groups (group_name, sub) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING sub", name, sub
    )
    return row is not None


async def remove_member(conn: Connection, name: str, sub: str) -> bool:
    """Let somebody be of the group no more; answers whether they were."""
    row = await conn.fetchrow("DELETE FROM user_groups WHERE group_name = $1 AND sub = $2 RETURNING sub", name, sub)
    return row is not None


async def find_membership(conn: Connection, sub: str) -> Membership:
    """What the groups of a user ask for, and until when an enrolment can wait: asked at each step of a sign-in."""
    row = await conn.fetchrow(
        """
        SELECT enrolment_due_at, ARRAY(
            SELECT min_acr FROM groups JOIN user_groups ON group_name = name
            WHERE user_groups.sub = users.sub AND min_acr IS NOT NULL
        ) AS levels
        FROM users WHERE sub = $1
        """,
        sub,
    )
    return Membership() if row is None else Membership(tuple(row["levels"]), row["enrolment_due_at"])


async def begin_grace(conn: Connection, sub: str, due_at: datetime) -> bool:
    """Let the time to enrol end then, if it has not begun to run; answers whether it begins now."""
    row = await conn.fetchrow(
        "UPDATE users SET enrolment_due_at = $2 WHERE sub = $1 AND enrolment_due_at IS NULL RETURNING sub", sub, due_at
    )
    return row is not None


async def groups_of(conn: Connection, sub: str) -> tuple[Group, ...]:
    """The groups of a user, by name."""
    rows = await conn.fetch(
        f"""
        SELECT {COLUMNS} FROM groups
        WHERE name IN (SELECT group_name FROM user_groups WHERE sub = $1)
        ORDER BY name
        """,
        sub,
    )
    return tuple(map(_group, rows))
