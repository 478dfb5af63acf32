"""`idp database`, as a person and as a machine call it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from idp.store.embedded import EmbeddedPostgres
from idp.store.migrations import known_revisions


def idp(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "idp", *arguments]
    environment = {**os.environ, **environ}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def fresh(scratch: Path) -> str:
    """The data directory of an installation that was never started."""
    return str(scratch / "fresh" / "data")


def test_the_embedded_database_is_made_and_brought_up_to_date_once(fresh: str) -> None:
    migrate = ("database", "migrate", "--json")
    assert json.loads(idp(*migrate, IDP_DATA_DIR=fresh).stdout) == {"applied": known_revisions()}
    assert json.loads(idp(*migrate, IDP_DATA_DIR=fresh).stdout) == {"applied": []}
    with EmbeddedPostgres(Path(fresh)) as postgres:
        assert postgres.owner
        checked = idp("database", "check", IDP_DATA_DIR=fresh)
    assert (checked.returncode, checked.stdout) == (0, "The database answers and is up to date.\n")


async def test_an_unmigrated_database_of_ones_own_is_refused_with_the_command_that_helps(
    postgres: EmbeddedPostgres,
) -> None:
    admin = await asyncpg.connect(postgres.dsn())
    await admin.execute("CREATE DATABASE unmigrated")
    dsn = postgres.dsn("unmigrated")
    for command in (("database", "check"), ("serve", "--port", "1"), ("client", "list")):
        refused = idp(*command, IDP_DATABASE_URL=dsn)
        assert refused.returncode == 1
        assert "idp database migrate" in refused.stderr
        assert refused.stdout == ""
    assert idp("database", "migrate", IDP_DATABASE_URL=dsn).returncode == 0
    assert idp("database", "check", IDP_DATABASE_URL=dsn).returncode == 0
    await admin.execute("DROP DATABASE unmigrated")
    await admin.close()


def test_faults_of_the_settings_and_of_the_usage_have_exit_statuses_of_their_own() -> None:
    wrong = idp("database", "check", IDP_PORT="x", IDP_ISSUER="http://example.com")
    assert wrong.returncode == 1
    assert "IDP_PORT" in wrong.stderr
    assert "IDP_ISSUER" in wrong.stderr
    assert idp("database", "nonsense").returncode == 2
    assert idp("database", "check", IDP_DATABASE_URL="postgresql://idp@127.0.0.1:1/idp").returncode == 1
