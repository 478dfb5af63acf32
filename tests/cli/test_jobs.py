"""`idp jobs`, as a person and as a machine call it."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from idp.cli.jobs import jobs
from idp.jobs import JOBS
from idp.store.database import Connection
from idp.store.embedded import EmbeddedPostgres
from idp.store.job_runs import plan_runs, record_end, record_start
from tests.cli.installation import Installation

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
FIELDS = ["name", "every", "last_started_at", "last_ended_at", "rows", "fault", "next_at"]


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    app = typer.Typer()
    app.command()(jobs)
    return Installation(app, database, tmp_path)


async def runs(conn: Connection) -> None:
    await plan_runs(conn, {job.name: LATER for job in JOBS if job.name != "factor_recovery_reminders"})
    await record_start(conn, "sessions", NOW, next_at=LATER)
    await record_end(conn, "sessions", NOW + timedelta(seconds=2), rows=7, fault=None, next_at=LATER)
    await record_start(conn, "messages", NOW, next_at=LATER)
    await record_end(conn, "messages", NOW, rows=0, fault="TimeoutError", next_at=LATER)
    await record_start(conn, "audit_events", NOW, next_at=LATER)


def test_each_job_tells_how_it_went_and_when_it_is_due(idp: Installation) -> None:
    idp.in_database(runs)
    document = idp.json()
    assert document.keys() == {"jobs"}
    assert [job["name"] for job in document["jobs"]] == [job.name for job in JOBS]
    assert all(list(job) == FIELDS for job in document["jobs"])
    found = {job["name"]: tuple(job.values())[1:] for job in document["jobs"]}
    due = LATER.isoformat()
    assert found["factor_recovery_reminders"] == (600, None, None, None, None, None)
    assert found["interactions"] == (600, None, None, None, None, due)
    assert found["sessions"] == (600, NOW.isoformat(), "2026-03-01T12:00:02+00:00", 7, None, due)
    assert found["messages"] == (600, NOW.isoformat(), NOW.isoformat(), 0, "TimeoutError", due)
    assert found["audit_events"] == (3600, NOW.isoformat(), None, None, None, due)


def test_a_person_reads_a_table(idp: Installation) -> None:
    idp.in_database(runs)
    head, *lines = idp.do().stdout.splitlines()
    assert head.split() == ["JOB", "EVERY", "LAST", "RUN", "ROWS", "NEXT", "RUN", "RESULT"]
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    at, then = "2026-03-01 12:00:00 UTC", "2026-03-01 12:10:00 UTC"
    assert len(told) == len(JOBS)
    assert told["factor_recovery_reminders"] == "10 min - - - not run yet"
    assert told["interactions"] == f"10 min - - {then} not run yet"
    assert told["sessions"] == f"10 min {at} 7 {then} ok"
    assert told["messages"] == f"10 min {at} 0 {then} failed: TimeoutError"
    assert told["audit_events"] == f"60 min {at} - {then} running, or ended with its process"


def test_it_answers_whether_the_server_runs_or_not(scratch: Path) -> None:
    """On the embedded database: attached to the one that is at work, and started for a moment where none is."""
    data = str(scratch / "jobs" / "data")
    command = [sys.executable, "-m", "idp", "jobs", "--json"]

    def names() -> list[str]:
        environ = {**os.environ, "IDP_DATA_DIR": data}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
        return [job["name"] for job in json.loads(done.stdout)["jobs"]]

    assert names() == [job.name for job in JOBS]
    with EmbeddedPostgres(Path(data)) as postgres:
        assert postgres.owner
        assert names() == [job.name for job in JOBS]
