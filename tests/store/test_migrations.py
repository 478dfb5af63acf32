"""Migrations: applied once, by one of many, one revision after the other, and none of them half."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from idp.base.resources import resource
from idp.store.database import Connection, Unavailable
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


REVISION = """
from alembic import op
from idp.store.migrations import build_index

revision, down_revision, branch_labels, depends_on = "{name}", {former!r}, None, None
OUTSIDE_TRANSACTION = {outside}


def upgrade() -> None:
    {does}
"""


def write(scripts: Path, **steps: str) -> None:
    """Put revisions into a directory, in this order; those that begin with ``outside`` have no transaction."""
    former = None
    for number, (name, does) in enumerate(steps.items(), 1):
        revision = f"{number:04}"
        text = REVISION.format(name=revision, former=former, outside=name.startswith("outside"), does=does)
        (scripts / "versions" / f"{revision}_{name}.py").write_text(text)
        former = revision


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A directory of Alembic without a revision."""
    (tmp_path / "versions").mkdir()
    shutil.copy(resource("alembic") / "env.py", tmp_path)
    return tmp_path


async def tables(conn: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """What there is."""
    rows = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [row["tablename"] for row in rows]


MAKE = """op.execute("CREATE TABLE t (n int)")"""
NEEDS_M = """op.execute("CREATE TABLE half (n int)"); op.execute("SELECT FROM m")"""
INDEX = """build_index("t_n", "t (n)")"""


async def test_a_step_that_cannot_be_applied_leaves_the_earlier_ones_and_is_taken_up_again(
    empty: str, scripts: Path
) -> None:
    write(scripts, made=MAKE, needs_m=NEEDS_M, outside_index=INDEX)
    conn = await asyncpg.connect(empty)
    with pytest.raises(Unavailable, match='"m" does not exist'):
        await migrate(empty, scripts)
    assert await conn.fetchval("SELECT version_num FROM alembic_version") == "0001"
    assert await tables(conn) == ["alembic_version", "t"]
    await conn.execute("CREATE TABLE m ()")
    assert await migrate(empty, scripts) == ["0002", "0003"]
    assert await tables(conn) == ["alembic_version", "half", "m", "t"]
    assert await conn.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_n'::regclass")
    await conn.close()


async def test_four_migrators_at_once_build_an_index_beside_them(empty: str, scripts: Path) -> None:
    """Who waits holds no snapshot, for which the building of an index would wait in turn."""
    write(scripts, made=MAKE, **{f"outside_{n}": f"""build_index("t_{n}", "t (n)")""" for n in range(5)})
    applied = await asyncio.gather(*(migrate(empty, scripts) for _ in range(4)))
    assert sorted(applied) == [[], [], [], known_revisions(scripts)]


async def test_an_index_that_was_left_half_built_is_built_anew(empty: str, scripts: Path) -> None:
    write(scripts, made=MAKE, outside_index=INDEX)
    conn = await asyncpg.connect(empty)
    await conn.execute("CREATE TABLE t (n int)")
    await conn.execute("INSERT INTO t VALUES (1), (1)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await conn.execute("CREATE UNIQUE INDEX CONCURRENTLY t_n ON t (n)")
    await conn.execute("CREATE TABLE alembic_version AS SELECT '0001'::varchar AS version_num")
    assert await migrate(empty, scripts) == ["0002"]
    found = await conn.fetch("SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 't_n'::regclass")
    assert [tuple(row) for row in found] == [(True, False)]
    await conn.close()


async def test_F12_a_step_gives_up_where_it_would_hold_up_a_table_in_use(empty: str, scripts: Path) -> None:
    write(scripts, made=MAKE)
    conn = await asyncpg.connect(empty)
    await migrate(empty, scripts)
    write(scripts, made=MAKE, altered="""op.execute("ALTER TABLE t ADD COLUMN m int")""")
    async with conn.transaction():
        await conn.execute("LOCK TABLE t IN ACCESS SHARE MODE")
        with pytest.raises(Unavailable, match="something else holds"):
            await asyncio.wait_for(migrate(empty, scripts), 30)
    assert await migrate(empty, scripts) == ["0002"]
    await conn.close()


async def test_every_foreign_key_has_an_index_on_its_own_side(conn: Connection) -> None:
    """A deletion searches what hangs on the row: a partial index is of no use, nor one that begins otherwise."""
    lacking = await conn.fetch(
        """
        SELECT conrelid::regclass::text AS child, conname FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_index
            WHERE indrelid = conrelid AND indisvalid AND indpred IS NULL
              AND (indkey::int2[])[0 : cardinality(conkey) - 1] @> conkey
        )
        """
    )
    assert [tuple(row) for row in lacking] == []
    assert await conn.fetchval("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") > 15


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

    def upgrade(connection: sqlalchemy.Connection) -> None:
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


async def test_what_is_known_of_the_last_use_is_filled_in(database: str) -> None:
    """On authorizations from before there was a place for it; a token of the first minute is the first use itself."""
    conn = await asyncpg.connect(database)
    await conn.execute(
        """
        INSERT INTO users (sub, username, username_canonical, created_at, updated_at)
        VALUES ('s', 'a', 'a', now(), now());
        INSERT INTO clients (client_id, client_name, token_endpoint_auth_method, redirect_uris, grant_types, scope,
            post_logout_redirect_uris, id_token_signed_response_alg, created_at)
        VALUES ('c', 'C', 'none', '{}', '{}', '{}', '{}', 'RS256', now());
        INSERT INTO authorizations (id, sub, client_id, scope, claims, acr, amr, auth_time, created_at)
        SELECT 'a' || n, 's', 'c', '{}', '{}', '1fa', '{}', now(), '2026-01-01' FROM generate_series(1, 5000) AS n;
        INSERT INTO refresh_tokens (token_hash, authorization_id, client_id, issued_at, expires_at)
        SELECT sha256(('r' || n || ' ' || at)::bytea), 'a' || n, 'c', at, 'infinity'
        FROM generate_series(1, 5000) AS n,
            unnest(ARRAY['2026-01-01 00:00:10', '2026-01-03', '2026-01-02']::timestamptz[]) AS at
        WHERE n % 2 = 0 OR at < '2026-01-02';
        INSERT INTO attempts (factor, subject, source, misses, window_from, last_missed_at)
        VALUES ('totp', 's', '', 1, now(), now()), ('totp', 'gone', '', 1, now(), now()),
            ('password', 'gone', '', 1, now(), now());
        """
    )
    [script] = (resource("alembic") / "versions").glob("*_last_use.py")
    wanted = known_revisions()
    place = wanted.index(script.stem.partition("_")[0])
    await conn.execute("UPDATE alembic_version SET version_num = $1", wanted[place - 1])
    assert wanted[place] in await migrate(database)
    found = await conn.fetch("SELECT last_used_at::date::text, count(*) FROM authorizations GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in found] == [("2026-01-03", 2500), (None, 2500)]
    left = await conn.fetch("SELECT factor, subject FROM attempts ORDER BY factor DESC")
    assert [tuple(row) for row in left] == [("totp", "s"), ("password", "gone")]
    await conn.close()


async def test_no_database_is_unavailable(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(Unavailable):
        await pending(postgres.dsn("no_such"))
