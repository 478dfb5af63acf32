"""`idp jobs`: what is done by itself, how it went last, and when it is due."""

from datetime import datetime, timedelta
from typing import Any

from idp.cli.output import Json, database, emit, run, settings, table
from idp.jobs import JOBS, Job
from idp.model.job_run import JobRun
from idp.store.database import transaction
from idp.store.job_runs import list_runs


def jobs(as_json: Json = False) -> None:
    """List the jobs that the server runs by itself: how the last run of each went, and when the next is due."""
    found = run(_find_runs())
    listed = [(job, found.get(job.name)) for job in JOBS]
    emit({"jobs": [document(job, last) for job, last in listed]}, _table(listed), as_json=as_json)


async def _find_runs() -> dict[str, JobRun]:
    async with database(settings()) as pool, transaction(pool) as conn:
        return await list_runs(conn)


def document(job: Job, last: JobRun | None) -> dict[str, Any]:
    """The job for a machine: ``every`` in seconds, moments in UTC, null where there was nothing yet."""
    return {
        "name": job.name,
        "every": int(job.every.total_seconds()),
        "last_started_at": _moment(last.last_started_at if last else None),
        "last_ended_at": _moment(last.last_ended_at if last else None),
        "rows": last.rows if last else None,
        "fault": last.fault if last else None,
        "next_at": _moment(last.next_at if last else None),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _table(listed: list[tuple[Job, JobRun | None]]) -> str:
    head = ("JOB", "EVERY", "LAST RUN", "ROWS", "NEXT RUN", "RESULT")
    return table([head, *(_row(job, last) for job, last in listed)])


def _row(job: Job, last: JobRun | None) -> tuple[str, ...]:
    every = f"{job.every // timedelta(minutes=1)} min"
    if last is None:
        return job.name, every, "-", "-", "-", "not run yet"
    return (
        job.name,
        every,
        _shown(last.last_started_at),
        "-" if last.rows is None else str(last.rows),
        _shown(last.next_at),
        _result(last),
    )


def _result(last: JobRun) -> str:
    if last.last_started_at is None:
        return "not run yet"
    if last.last_ended_at is None:
        return "running, or ended with its process"
    return f"failed: {last.fault}" if last.fault else "ok"


def _shown(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "-"
