"""Bringing a database up to the schema that this code was written for. SQLAlchemy is used here and nowhere else.

Each revision is a step of its own, so that a long way is not lost by its last step. One that says
``OUTSIDE_TRANSACTION = True`` has none around it, as ``CREATE INDEX CONCURRENTLY`` demands: it may be broken off
anywhere, and is written so that it can be run again from its beginning.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from idp.base.resources import resource
from idp.store.database import Unavailable, unavailable_on_connect
from idp.store.reasons import describe

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ADVISORY_LOCK = 7243
_CONNECT_TIMEOUT = 5.0
_LOCK_POLL = 0.1


async def pending(dsn: str) -> list[str]:
    """Return the revisions that this code wants and the database lacks, in order; raise Unavailable.

    A database that is newer than this code lacks nothing: migrations are written so that the code before them runs on.
    """
    return await _pending(dsn, resource("alembic"))


async def migrate(dsn: str, scripts: Path | None = None) -> list[str]:
    """Apply what is pending, one revision after the other, and return these in order; raise Unavailable.

    ``scripts`` is a directory of Alembic, that of this code unless given. Several processes may call it at once: one
    works, the others wait and find nothing to do. A statement in a transaction that would wait over two seconds for a
    table in use gives up instead; what came before its revision stays, and the next call goes on from there.
    """
    scripts = scripts or resource("alembic")
    # Most starts have nothing to apply, and so are spared the loading of Alembic and SQLAlchemy (0.4 s).
    return await _upgrade(dsn, scripts) if await _pending(dsn, scripts) else []


def known_revisions(scripts: Path | None = None) -> list[str]:
    """Return every revision of this code in order: the files' names begin with them, and sort as they follow."""
    versions = (scripts or resource("alembic")) / "versions"
    return sorted(script.stem.partition("_")[0] for script in versions.glob("*.py"))


def build_index(name: str, definition: str) -> None:
    """Build an index while its table is read and written; for revisions outside a transaction.

    ``definition`` is what follows CREATE INDEX … ON. What an earlier try left half-built is built anew.
    """
    from alembic import op

    left = f"""SELECT indexrelid FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid"""
    if op.get_bind().exec_driver_sql(left).first() is not None:
        op.execute(f"""DROP INDEX CONCURRENTLY {name}""")
    op.execute(f"""CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}""")


async def _pending(dsn: str, scripts: Path) -> list[str]:
    with unavailable_on_connect():
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT)
        try:
            return _lacking(await _find_current(connection), known_revisions(scripts))
        finally:
            await connection.close()


async def _find_current(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    try:
        row = await connection.fetchrow("""SELECT version_num FROM alembic_version""")
    except asyncpg.UndefinedTableError:
        return None
    return None if row is None else str(row["version_num"])


def _lacking(current: str | None, wanted: list[str]) -> list[str]:
    if current is None:
        return wanted
    return wanted[wanted.index(current) + 1 :] if current in wanted else []


async def _lock(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Take the lock of migrators for as long as the connection lives.

    It is asked for again and again, and never waited for in a statement: that would hold a snapshot, for which CREATE
    INDEX CONCURRENTLY of the migrator at work waits in turn.
    """
    while not await connection.fetchval(  # noqa: ASYNC110 - whose lock it is, is another process
        """SELECT pg_try_advisory_lock($1)""", _ADVISORY_LOCK
    ):
        await asyncio.sleep(_LOCK_POLL)


async def _upgrade(dsn: str, scripts: Path) -> list[str]:
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        # The driver opens the connection itself: SQLAlchemy reads addresses with a socket directory in its own way.
        # The lock and the work are on one connection: who loses the first cannot go on with the second.
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT)
        await _lock(connection)
        return connection

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        with unavailable_on_connect():
            async with engine.connect() as connection:
                return await connection.run_sync(_apply, scripts)
    except DBAPIError as error:
        # What the driver had said lies behind two wrappings.
        cause = error.orig and error.orig.__cause__
        raise Unavailable(f"the migration cannot be applied: {describe(cause or error)}") from error
    finally:
        await engine.dispose()


def _apply(connection: "Connection", scripts: Path) -> list[str]:
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    directory = ScriptDirectory.from_config(config)
    with connection.begin():
        current = MigrationContext.configure(connection).get_current_revision()
    lacking = _lacking(current, known_revisions(scripts))
    for name in lacking:
        revision = directory.get_revision(name)
        outside = bool(revision and getattr(revision.module, "OUTSIDE_TRANSACTION", False))
        connection.execution_options(isolation_level="AUTOCOMMIT" if outside else "READ COMMITTED")
        with connection.begin():
            if not outside:
                connection.exec_driver_sql("""SET LOCAL lock_timeout = '2s'""")
            command.upgrade(config, name)
    return lacking
