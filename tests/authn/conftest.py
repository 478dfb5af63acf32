"""A connection for tests that need no database of their own: what they write is rolled back."""

from collections.abc import AsyncIterator

import pytest

from idp.store.database import Connection, Pool, open_pool
from idp.store.embedded import EmbeddedPostgres
from idp.store.migrations import migrate


@pytest.fixture(scope="session")
async def rehearsal(postgres: EmbeddedPostgres) -> AsyncIterator[Pool]:
    """A pool on a migrated database that stays empty."""
    await migrate(postgres.dsn())
    opened = await open_pool(postgres.dsn())
    yield opened
    await opened.close()


@pytest.fixture
async def conn(rehearsal: Pool) -> AsyncIterator[Connection]:
    """A connection in a transaction that is rolled back when the test is over."""
    async with rehearsal.acquire() as connection:
        started = connection.transaction()
        await started.start()
        yield connection
        await started.rollback()
