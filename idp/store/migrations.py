"""Bringing a database up to the schema that this code was written for. SQLAlchemy is used here and nowhere else."""

from typing import TYPE_CHECKING

import asyncpg

from idp.base.resources import resource
from idp.store.database import Unavailable, unavailable_on_connect
from idp.store.reasons import describe

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ADVISORY_LOCK = 7243
_CONNECT_TIMEOUT = 5.0


async def pending(dsn: str) -> list[str]:
    """Return the revisions that this code wants and the database lacks, in order; raise Unavailable.

    A database that is newer than this code lacks nothing: migrations are written so that the code before them runs on.
    """
    with unavailable_on_connect():
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT)
        try:
            return _lacking(await _find_current(connection))
        finally:
            await connection.close()


async def migrate(dsn: str) -> list[str]:
    """Apply what is pending in one transaction, and return those revisions in order; raise Unavailable.

    Several processes may call it at once: one works, the others wait and find nothing to do. A statement that would
    wait over two seconds for a table in use gives up instead, and nothing is applied.
    """
    # Most starts have nothing to apply, and so are spared the loading of Alembic and SQLAlchemy (0.4 s).
    return await _upgrade(dsn) if await pending(dsn) else []


async def _find_current(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    try:
        row = await connection.fetchrow("""SELECT version_num FROM alembic_version""")
    except asyncpg.UndefinedTableError:
        return None
    return None if row is None else str(row["version_num"])


def _lacking(current: str | None) -> list[str]:
    wanted = known_revisions()
    if current is None:
        return wanted
    return wanted[wanted.index(current) + 1 :] if current in wanted else []


def known_revisions() -> list[str]:
    """Return every revision of this code in order: the files' names begin with them, and sort as they follow."""
    return sorted(script.stem.partition("_")[0] for script in (resource("alembic") / "versions").glob("*.py"))


async def _upgrade(dsn: str) -> list[str]:
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    # The driver opens the connection itself: SQLAlchemy reads addresses with a socket directory in its own way.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT),
        poolclass=NullPool,
    )
    try:
        with unavailable_on_connect():
            async with engine.begin() as connection:
                return await connection.run_sync(_apply)
    except DBAPIError as error:
        # What the driver had said lies behind two wrappings.
        cause = error.orig and error.orig.__cause__
        raise Unavailable(f"the migration cannot be applied: {describe(cause or error)}") from error
    finally:
        await engine.dispose()


def _apply(connection: "Connection") -> list[str]:
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext

    # Waiting for another migrator is well; the limit below is for the tables.
    connection.exec_driver_sql(f"""SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})""")
    connection.exec_driver_sql("""SET LOCAL lock_timeout = '2s'""")
    lacking = _lacking(MigrationContext.configure(connection).get_current_revision())
    if lacking:
        config = Config()
        config.set_main_option("script_location", str(resource("alembic")).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return lacking
