"""The database, the clock and the randomness of every test."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import asyncpg
import pytest

from idp.store.database import Connection, Pool, open_pool, transaction
from idp.store.embedded import EmbeddedPostgres
from idp.store.migrations import migrate
from tests.doubles import FrozenClock, SeededEntropy

pytest_plugins = ["tests.browser", "tests.cluster"]

_TEMPLATE = "template_idp"
_NUMBERS = itertools.count()
_SCRATCH = "IDP_TEST_SCRATCH"


def pytest_configure(config: pytest.Config) -> None:
    """Make one directory for the whole run: a worker that `-x` kills cannot clear up after itself."""
    if not hasattr(config, "workerinput"):
        os.environ[_SCRATCH] = tempfile.mkdtemp(prefix="idp-")
        Path(os.environ[_SCRATCH]).chmod(0o711)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what all the workers have left."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(_SCRATCH), ignore_errors=True)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory with a short path that the account of PostgreSQL can reach, as pytest's own may not be."""
    path = Path(tempfile.mkdtemp(dir=os.environ[_SCRATCH]))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[EmbeddedPostgres]:
    """One embedded PostgreSQL for each test process, with a migrated template database in it."""
    with EmbeddedPostgres(scratch / "postgres", durable=False) as server:
        asyncio.run(_make_template(server))
        yield server


async def _make_template(server: EmbeddedPostgres) -> None:
    await _execute(server, f"CREATE DATABASE {_TEMPLATE}")
    await migrate(server.dsn(_TEMPLATE))


async def _execute(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The address of a fresh, migrated and empty database that is the test's own."""
    name = f"test_{next(_NUMBERS)}"
    await _execute(postgres, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
    yield postgres.dsn(name)
    await _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    """A pool on the test's own database, as the application has it."""
    opened = await open_pool(database)
    yield opened
    await opened.close()


@pytest.fixture
async def conn(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside a transaction on the test's own database."""
    async with transaction(pool) as connection:
        yield connection


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that stands still until `advance` is called."""
    return FrozenClock()


@pytest.fixture
def entropy() -> SeededEntropy:
    """Randomness that repeats itself from run to run."""
    return SeededEntropy()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count a skipped browser test as failed where IDP_REQUIRE_BROWSER is set, as it is in continuous integration."""
    report = yield
    if report.skipped and item.get_closest_marker("browser") and os.environ.get("IDP_REQUIRE_BROWSER"):
        report.outcome = "failed"
        report.longrepr = f"a browser test was skipped where none may be: {report.longrepr}"
    return report
