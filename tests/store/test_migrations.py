"""Migrations: applied once, by one of many, and never half."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from idp.base.resources import resource
from idp.store.database import Unavailable
from idp.store.embedded import EmbeddedPostgres
from idp.store.migrations import known_revisions, migrate, pending


@pytest.fixture
async def empty(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    admin = await asyncpg.connect(postgres.dsn())
    await admin.execute("CREATE DATABASE empty")
    yield postgres.dsn("empty")
    await admin.execute("DROP DATABASE empty WITH (FORCE)")
    await admin.close()


def test_the_names_of_the_files_tell_the_order_that_alembic_finds() -> None:
    config = Config()
    config.set_main_option("script_location", str(resource("alembic")))
    chain = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert chain[::-1] == known_revisions()


async def test_one_of_many_migrators_works_and_the_others_find_it_done(empty: str) -> None:
    assert await pending(empty) == known_revisions()
    applied = await asyncio.gather(*(migrate(empty) for _ in range(4)))
    assert sorted(applied) == [[], [], [], known_revisions()]
    assert await pending(empty) == []


async def test_a_database_that_is_newer_than_the_code_lacks_nothing(database: str) -> None:
    conn = await asyncpg.connect(database)
    await conn.execute("UPDATE alembic_version SET version_num = '9999'")
    await conn.close()
    assert await pending(database) == []
    assert await migrate(database) == []


async def test_a_migration_that_cannot_be_applied_leaves_nothing_behind(empty: str) -> None:
    conn = await asyncpg.connect(empty)
    await conn.execute("CREATE TABLE signing_keys (n int)")
    with pytest.raises(Unavailable, match="signing_keys"):
        await migrate(empty)
    assert await conn.fetchval("SELECT to_regclass('users')") is None
    assert await pending(empty) == known_revisions()
    await conn.close()


async def upgrade_to_before(dsn: str, name: str) -> None:
    """Bring an empty database to what it was before the migration of this name."""
    config = Config()
    config.set_main_option("script_location", str(resource("alembic")))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    before = next(script.down_revision for script in scripts if script.path.endswith(f"_{name}.py"))

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, str(before))

    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn))
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()


async def test_A_78_accounts_from_before_get_their_skeletons_the_oldest_first(empty: str) -> None:
    """More accounts than are filled in at once; names that look alike already stay, and are nobody else's to take."""
    await upgrade_to_before(empty, "username_skeletons")
    conn = await asyncpg.connect(empty)
    many = [(f"u{number}", f"user{number}") for number in range(2000)]
    names = [("z", "mary"), ("y", "rnary"), ("x", "paypaI"), *many, ("a", "paypa1")]
    await conn.executemany(
        """
        INSERT INTO users (sub, username, username_canonical, email_verified, phone_verified, profile, created_at,
                           updated_at)
        VALUES ($1, $2, lower($2), false, false, '{}', make_timestamptz(2026, 1, 1, 0, 0, $3), now())
        """,
        [(sub, name, min(place, 59) / 10) for place, (sub, name) in enumerate(names)],
    )
    await migrate(empty)
    rows = await conn.fetch("SELECT sub, username_skeleton FROM users")
    skeletons = {row["sub"]: row["username_skeleton"] for row in rows}
    assert (skeletons["z"], skeletons["y"]) == ("rnary", None)
    assert (skeletons["x"], skeletons["a"]) == ("paypal", None)
    assert sum(skeleton is None for skeleton in skeletons.values()) == 2
    await conn.close()


async def test_no_database_is_unavailable(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(Unavailable):
        await pending(postgres.dsn("no_such"))
