"""The embedded PostgreSQL: what is acknowledged stays, whoever is killed; and nobody else can reach it."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import asyncpg
import pytest

from idp.store.embedded import EmbeddedError, EmbeddedPostgres

ROOT = Path(__file__).parents[2]
PYTHON_ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}

# Starts the server as its owner, then writes rows and prints each number once its commit is acknowledged.
WRITER = """
    import asyncio, asyncpg, sys
    from pathlib import Path
    from idp.store.embedded import EmbeddedPostgres

    async def write(dsn):
        conn = await asyncpg.connect(dsn)
        await conn.execute("CREATE TABLE IF NOT EXISTS t (n int)")
        for n in range(1_000_000):
            await conn.execute("INSERT INTO t VALUES ($1)", n)
            print(n, flush=True)

    with EmbeddedPostgres(Path(sys.argv[1])) as postgres:
        print("owner" if postgres.owner else "attached", postgres.dsn(), flush=True)
        asyncio.run(write(postgres.dsn()))
"""


@pytest.fixture
def home(scratch: Path) -> Iterator[Path]:
    """A fresh home for one cluster."""
    path = Path(tempfile.mkdtemp(dir=scratch))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


class Writer:
    """A process that runs WRITER, as this user unless another is named."""

    def __init__(self, home: Path, *, python: str = sys.executable, user: str | None = None) -> None:
        self.process = subprocess.Popen(
            [python, "-c", textwrap.dedent(WRITER), home],
            cwd=ROOT,
            env=PYTHON_ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
            user=user,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.kill()

    def read(self, count: int) -> list[str]:
        assert self.process.stdout is not None
        return [self.process.stdout.readline().strip() for _ in range(count)]

    def read_all(self) -> list[str]:
        """Return what is printed until the end; it is whole lines, each written at once."""
        rest, _ = self.process.communicate(timeout=30)
        return rest.split()

    def kill(self) -> list[str]:
        self.process.kill()
        return self.read_all()


async def rows(dsn: str) -> list[int]:
    conn = await asyncpg.connect(dsn)
    try:
        return [row["n"] for row in await conn.fetch("SELECT n FROM t ORDER BY n")]
    finally:
        await conn.close()


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "pgdata" / "postmaster.pid").read_text().splitlines()[0])


def running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while running(pid):
        assert time.monotonic() < deadline, f"the process {pid} is still there"
        time.sleep(0.02)


def test_no_row_that_was_acknowledged_is_lost_when_the_application_is_killed(home: Path) -> None:
    with Writer(home) as writer:
        read = writer.read(50)
        server = postmaster(home)
        acknowledged = [int(line) for line in [*read[1:], *writer.kill()]]
    wait_until_gone(server)
    with EmbeddedPostgres(home) as postgres:
        assert asyncio.run(rows(postgres.dsn()))[: len(acknowledged)] == acknowledged


def test_no_row_that_was_acknowledged_is_lost_when_the_server_is_killed(home: Path) -> None:
    with Writer(home) as writer:
        read = writer.read(50)
        os.kill(postmaster(home), signal.SIGKILL)
        # It comes to its end by itself, at the first row that is not acknowledged.
        acknowledged = [int(line) for line in [*read[1:], *writer.read_all()]]
    with EmbeddedPostgres(home) as postgres:
        assert asyncio.run(rows(postgres.dsn()))[: len(acknowledged)] == acknowledged


def test_a_server_that_has_died_is_brought_back(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False) as postgres:
        assert not postgres.revive(), "it lives"
        killed = postmaster(home)
        os.kill(killed, signal.SIGKILL)
        wait_until_gone(killed)
        assert postgres.revive()
        assert postmaster(home) != killed
        asyncio.run(_ask(postgres.dsn()))


def test_the_first_owns_the_others_attach_and_one_of_them_takes_over(home: Path) -> None:
    first, second = EmbeddedPostgres(home, durable=False), EmbeddedPostgres(home, durable=False)
    with first, second:
        assert (first.owner, second.owner) == (True, False)
        assert first.dsn() == second.dsn()
        server = postmaster(home)
        assert not second.revive(), "the owner is there"
        second.stop()
        asyncio.run(_ask(first.dsn()))
        second.start()
        first.stop()
        assert not running(server)
        assert second.revive()
        assert second.owner
        asyncio.run(_ask(second.dsn()))


def test_stopping_leaves_no_process_and_no_socket(home: Path) -> None:
    postgres = EmbeddedPostgres(home, durable=False)
    postgres.start()
    server = postmaster(home)
    postgres.stop()
    assert not running(server)
    assert list((home / "postgres" / "run").iterdir()) == []


def test_a_pid_file_that_names_somebody_elses_process_is_no_obstacle(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False):
        content = (home / "postgres" / "pgdata" / "postmaster.pid").read_text()
    stale = content.replace(content.splitlines()[0], str(os.getpid()), 1)
    (home / "postgres" / "pgdata" / "postmaster.pid").write_text(stale)
    with EmbeddedPostgres(home, durable=False) as postgres:
        asyncio.run(_ask(postgres.dsn()))


def test_a_cluster_half_made_is_made_anew(home: Path) -> None:
    (home / "postgres" / "pgdata.new").mkdir(parents=True)
    (home / "postgres" / "pgdata.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(home, durable=False) as postgres:
        asyncio.run(_ask(postgres.dsn()))


def test_a_cluster_of_another_major_version_is_refused(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False):
        pass
    (home / "postgres" / "pgdata" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match="PostgreSQL 17 and this is 18"):
        EmbeddedPostgres(home, durable=False).start()
    (home / "postgres" / "pgdata" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(home, durable=False) as postgres:
        assert postgres.owner, "a refused start gives the ownership back"


async def test_it_listens_on_nothing_but_a_private_socket(postgres: EmbeddedPostgres) -> None:
    sockets = postgres.home / "postgres" / "run"
    assert sockets.stat().st_mode & 0o777 == 0o700
    conn = await asyncpg.connect(postgres.dsn())
    assert await conn.fetchval("SHOW listen_addresses") == ""
    assert await conn.fetchval("SELECT inet_server_addr()") is None
    rules = await conn.fetch("SELECT type, auth_method FROM pg_hba_file_rules WHERE type <> 'local'")
    assert {rule["auth_method"] for rule in rules} == {"reject"}
    await conn.close()


def test_a_deep_home_gets_a_short_socket_path(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with EmbeddedPostgres(deep, durable=False) as postgres:
        assert "host=/tmp/idp-" in postgres.dsn()
        asyncio.run(_ask(postgres.dsn()))
        sockets = Path(postgres.dsn().partition("host=")[2])
    sockets.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_runs_for_a_user_who_is_not_root(home: Path) -> None:
    account = pwd.getpwnam("nobody")
    os.chown(home, account.pw_uid, account.pw_gid)
    with Writer(home, python=python_of("nobody"), user="nobody") as writer:
        assert writer.read(2)[0].startswith("owner postgresql://")
        server = postmaster(home)
        assert Path(f"/proc/{server}").stat().st_uid == account.pw_uid
    wait_until_gone(server)


def python_of(user: str) -> str:
    """Return an interpreter of our version that `user` can run; ours may lie in a private home."""
    check = f"import sys, asyncpg; assert sys.version_info[:2] == {sys.version_info[:2]}"
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-c", check], user=user, env=PYTHON_ENVIRONMENT, check=False).returncode == 0:
                return python
    pytest.skip(f"{user} can run no Python of this version with our libraries")


@pytest.mark.skipif(os.geteuid() != 0, reason="others run it as themselves")
def test_for_root_it_runs_as_somebody_else(postgres: EmbeddedPostgres) -> None:
    assert Path(f"/proc/{postmaster(postgres.home)}").stat().st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="others can reach what is their own")
def test_for_root_a_home_that_the_server_cannot_reach_is_not_opened(home: Path) -> None:
    home.chmod(0o700)
    with EmbeddedPostgres(home / "data", durable=False) as postgres:
        asyncio.run(_ask(postgres.dsn()))
        assert home.stat().st_mode & 0o777 == 0o700
        shelter = (home / "data" / "postgres").readlink()
    shutil.rmtree(shelter)


async def _ask(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    assert await conn.fetchval("SELECT current_database()") == "idp"
    await conn.close()
