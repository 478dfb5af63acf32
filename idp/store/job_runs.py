"""When jobs ran and are due, and which of the processes runs them: the one that holds a lock of its session."""

from collections.abc import Mapping
from datetime import datetime

from idp.model.job_run import JobRun
from idp.store.database import Connection

_LOCK = 0x1D9_10B5


async def take_lead(conn: Connection) -> bool:
    """Whether this connection leads from now on, for as long as it lives; it is to be asked for again, not waited for.

    A statement that waited would keep the database from clearing away what was deleted meanwhile.
    """
    return bool(await conn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK))


async def has_lead(conn: Connection) -> bool:
    """Whether it still does: what stands between us and the server may have given us another session."""
    return bool(
        await conn.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM pg_locks
                WHERE locktype = 'advisory' AND classid = 0 AND objid = $1 AND objsubid = 1 AND granted
                  AND pid = pg_backend_pid()
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            )
            """,
            _LOCK,
        )
    )


async def list_runs(conn: Connection) -> dict[str, JobRun]:
    """What is kept of every job, by its name."""
    rows = await conn.fetch("SELECT name, last_started_at, last_ended_at, rows, fault, next_at FROM job_runs")
    return {row["name"]: JobRun(**dict(row)) for row in rows}


async def plan_runs(conn: Connection, due: Mapping[str, datetime]) -> None:
    """Keep when jobs are due of which nothing is known yet."""
    await conn.execute(
        """
        INSERT INTO job_runs (name, next_at) SELECT * FROM unnest($1::text[], $2::timestamptz[])
        ON CONFLICT (name) DO NOTHING
        """,
        list(due),
        list(due.values()),
    )


async def record_start(conn: Connection, name: str, now: datetime, *, next_at: datetime) -> None:
    """Keep that a run has begun, and when the next one is due if this one has no end."""
    await conn.execute(
        """
        INSERT INTO job_runs (name, last_started_at, next_at) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE
        SET last_started_at = excluded.last_started_at, last_ended_at = NULL, rows = NULL, fault = NULL,
            next_at = excluded.next_at
        """,
        name,
        now,
        next_at,
    )


async def record_end(
    conn: Connection, name: str, now: datetime, *, rows: int, fault: str | None, next_at: datetime
) -> None:
    """Keep how the run ended that had begun."""
    await conn.execute(
        "UPDATE job_runs SET last_ended_at = $2, rows = $3, fault = $4, next_at = $5 WHERE name = $1",
        name,
        now,
        rows,
        fault,
        next_at,
    )
