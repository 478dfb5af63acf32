from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.driver import Rig, running


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """A provider of one test, with the client ``web``."""
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found
