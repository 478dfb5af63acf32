"""What a command says when the database fails it: a sentence of ours, and nothing of the database's own."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from idp.cli.commands import app
from idp.store.database import Conflict, Connection, Pool, transaction
from idp.store.reasons import describe
from tests.cli.installation import Installation

INSIDE = ("DETAIL", "HINT", "CONTEXT", "server log", "Process ", "Traceback", "PL/pgSQL", "a row with secrets")

SAID = {
    "40P01": "others were changing the same at this moment, try again",
    "40001": "others were changing the same at this moment, try again",
    "55P03": "something else holds what is to be changed, try again",
    "57014": "a statement took too long, or was cancelled",
    "57P01": "it is starting up or shutting down",
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "58030": "it cannot read or write its disk",
    "25006": "it takes no changes: it is a standby, or set to read only",
    "42501": "it refuses a statement, InsufficientPrivilegeError 42501: the primary message",
    "22P02": "it refuses a statement, InvalidTextRepresentationError 22P02",
    "XX000": "it refuses a statement, InternalServerError XX000: the primary message",
}


@pytest.fixture
def installation(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


def failing(sqlstate: str) -> Callable[[Connection], Awaitable[None]]:
    """Have the server answer every new user with this error, and all that it can add to one."""

    async def make(conn: Connection) -> None:
        await conn.execute(
            f"""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'the primary message' USING ERRCODE = '{sqlstate}',
                    DETAIL = 'a row with secrets', HINT = 'See server log for query details.';
            END $$;
            CREATE TRIGGER fail BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fail()
            """
        )

    return make


@pytest.mark.parametrize("sqlstate", SAID)
def test_a_command_says_what_the_database_met_in_a_sentence_of_ours(installation: Installation, sqlstate: str) -> None:
    installation.in_database(failing(sqlstate))
    said = installation.refused("user", "add", "--username=alice")
    assert said == f"idp: the database cannot be used: {SAID[sqlstate]}\n"
    assert [word for word in INSIDE if word in said] == []


@pytest.mark.parametrize("url", ["postgresql://idp@127.0.0.1:1/idp", "postgresql://idp@/idp?host=/nonexistent"])
def test_a_command_says_that_there_is_no_database(tmp_path: Path, url: str) -> None:
    said = Installation(app, url, tmp_path).refused("user", "list")
    assert said.startswith("idp: the database cannot be used: no connection to it: ")
    assert said.count("\n") == 1


def test_a_command_says_that_the_database_has_another_name(database: str, tmp_path: Path) -> None:
    head, _, tail = database.partition("?")
    said = Installation(app, f"{head}_not?{tail}", tmp_path).refused("user", "list")
    assert said == "idp: the database cannot be used: there is no database of this name\n"


def test_a_migration_that_is_refused_says_why_and_no_more(installation: Installation) -> None:
    async def forget_migrations(conn: Connection) -> None:
        await conn.execute("UPDATE alembic_version SET version_num = '0001'")

    installation.in_database(forget_migrations)
    said = installation.refused("database", "migrate")
    start = "idp: the database cannot be used: the migration cannot be applied: it refuses a statement, Duplicate"
    assert said.startswith(start)
    assert said.endswith(" already exists\n")
    assert said.count("\n") == 1


async def test_a_real_deadlock_is_told_without_the_words_of_the_database(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await conn.execute("CREATE TABLE two (n int); INSERT INTO two VALUES (1), (2)")
    first_steps = asyncio.Barrier(2)

    async def lock(one: int, other: int) -> None:
        async with transaction(pool) as conn:
            await conn.execute("UPDATE two SET n = n WHERE n = $1", one)
            await first_steps.wait()
            await conn.execute("UPDATE two SET n = n WHERE n = $1", other)

    outcomes = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    [lost] = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(lost, Conflict)
    assert str(lost) == SAID["40P01"]
    assert isinstance(lost.__cause__, asyncpg.DeadlockDetectedError)
    assert "server log" in str(lost.__cause__), "what the sentence keeps from people"


def test_what_the_driver_says_is_one_line() -> None:
    assert describe(TimeoutError()) == "it did not answer in time"
    assert describe(asyncpg.InterfaceError("first\nsecond")) == "InterfaceError: first"
    assert describe(OSError()) == "there is no connection to it"
