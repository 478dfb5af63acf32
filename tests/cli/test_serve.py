"""`idp serve` as its operator meets it: it comes up, it survives losses, and it leaves nothing behind."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from idp.cli.serve import server_command, with_address
from idp.settings import load_settings
from idp.store.embedded import EmbeddedPostgres
from tests.ports import free_port

ROOT = Path(__file__).parents[2]


class Serving:
    """An `idp serve` process of an installation of its own, found again by the marker in its environment."""

    def __init__(self, home: Path, *options: str, **environ: str) -> None:
        self.port = free_port()
        self.marker = f"IDP_DATA_DIR={home / 'data'}"
        self.log = (home / "log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "idp", "serve", f"--port={self.port}", *options],
            cwd=ROOT,
            env={**os.environ, "IDP_DATA_DIR": str(home / "data"), "IDP_KEYS_DIR": str(home / "keys"), **environ},
            stdout=self.log,
            stderr=self.log,
        )

    def __enter__(self) -> Self:
        try:
            # It makes keys of 3072 bits first, which a busy machine takes its time for.
            eventually(self.live, "the server is up", within=60)
        except AssertionError as error:
            error.add_note(self.said())
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        try:
            eventually(lambda: not self.remaining(), "all processes are gone")
        finally:
            for pid in self.remaining():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def said(self) -> str:
        return Path(str(self.log.name)).read_text()

    def live(self) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/live") as answer,
        ):
            return int(answer.status) == 200
        return False

    def remaining(self) -> list[int]:
        """The processes of this installation that run, PostgreSQL by its directory and ours by their environment."""
        data = self.marker.partition("=")[2].encode()
        return [pid for pid in processes() if data in read(pid, "environ") + read(pid, "cmdline")]

    def server(self) -> int:
        """Uvicorn, or the parent of its workers."""
        [pid] = [pid for pid in self.remaining() if read(pid, "cmdline").split(b"\0")[1:3] == [b"-m", b"uvicorn"]]
        return pid

    def workers(self) -> list[int]:
        return [pid for pid in self.remaining() if b"spawn_main" in read(pid, "cmdline")]

    def postmaster(self) -> int:
        directory = Path(self.marker.partition("=")[2]) / "postgres" / "pgdata"
        return int((directory / "postmaster.pid").read_text().splitlines()[0])


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def read(pid: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def eventually(holds: Callable[[], bool], what: str, *, within: float = 30) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def home(scratch: Path) -> Path:
    path = scratch / f"serve-{free_port()}"
    path.mkdir(mode=0o711)
    return path


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order_when_asked_and_leaves_nothing_behind(home: Path, signum: signal.Signals) -> None:
    with Serving(home) as serving:
        serving.process.send_signal(signum)
        assert serving.process.wait(20) == 0
        assert serving.remaining() == []
        assert "Application shutdown complete" in serving.said()
    assert not (home / "data" / "postgres" / "pgdata" / "postmaster.pid").exists(), "PostgreSQL was shut down in order"


def test_a_killed_parent_leaves_neither_worker_nor_postgres(home: Path) -> None:
    with Serving(home, "--workers=2") as serving:
        eventually(lambda: len(serving.workers()) == 2, "two workers")
        serving.process.kill()
        serving.process.wait()
        eventually(lambda: not serving.remaining(), "nothing is left", within=10)


def test_killed_workers_and_a_killed_postgres_are_replaced(home: Path) -> None:
    with Serving(home, "--workers=2") as serving:
        eventually(lambda: len(serving.workers()) == 2, "two workers")
        before, server = serving.workers(), serving.postmaster()
        os.kill(before[0], signal.SIGKILL)
        os.kill(server, signal.SIGKILL)
        eventually(lambda: len(set(serving.workers()) - {before[0]}) == 2, "two workers again")
        eventually(lambda: read(serving.postmaster(), "comm") == b"postgres\n", "a server again")
        assert serving.postmaster() != server
        assert serving.live()


def test_F1_a_killed_server_is_brought_back_on_the_embedded_database(home: Path) -> None:
    with Serving(home) as serving:
        killed, database = serving.server(), serving.postmaster()
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: read(killed, "cmdline") == b"", "it is gone")
        eventually(serving.live, "it is up again")
        assert serving.server() != killed
        assert serving.postmaster() == database
        assert "the server was killed by SIGKILL and is started again\n" in serving.said()
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(40) == 0
        assert serving.remaining() == []


def test_F1_on_a_database_of_ones_own_parent_and_workers_are_brought_back(home: Path, database: str) -> None:
    with Serving(home, "--workers=2", IDP_DATABASE_URL=database) as serving:
        eventually(lambda: len(serving.workers()) == 2, "two workers")
        killed, orphans = serving.server(), set(serving.workers())
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: not orphans & set(serving.workers()), "its workers end with it")
        eventually(lambda: len(serving.workers()) == 2, "two workers again")
        eventually(serving.live, "they take requests")
        assert serving.server() != killed
        [first, second] = serving.workers()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: len(set(serving.workers()) - {first}) == 2, "a killed worker is replaced")
        assert second in serving.workers()
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(40) == 0
        assert serving.remaining() == []


def test_what_stays_beside_the_server_is_small(home: Path, database: str) -> None:
    with Serving(home, IDP_DATABASE_URL=database) as serving:
        loaded = read(serving.process.pid, "maps")
        assert not [name for name in (b"pydantic", b"asyncpg", b"cryptography") if name in loaded]
        [size] = re.findall(rb"Rss:\s+(\d+) kB", read(serving.process.pid, "smaps_rollup"))
        assert int(size) < 40_000


def test_a_server_that_cannot_start_is_a_failure_and_says_why(home: Path, database: str) -> None:
    """It is not tried again: what keeps it down is not a fault that passes."""
    taken = {"IDP_DATABASE_URL": database, "IDP_DATA_DIR": str(home / "data"), "IDP_RSA_BITS": "2048"}
    command = [sys.executable, "-m", "idp", "serve", f"--port={free_port()}"]
    with Serving(home, **taken) as first:
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(40) == 0
    environ = {**os.environ, **taken, "IDP_KEYS_DIR": str(home / "other-keys")}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "master key" in done.stderr
    assert "before it could be reached, and is given up" in done.stderr
    assert "started again" not in done.stderr


def test_on_a_database_of_ones_own_workers_end_with_a_killed_parent(home: Path, database: str) -> None:
    with Serving(home, "--workers=2", IDP_DATABASE_URL=database) as serving:
        eventually(lambda: len(serving.workers()) == 2, "two workers")
        assert not (home / "data").exists(), "the embedded PostgreSQL is not wanted"
        serving.process.kill()
        serving.process.wait()
        eventually(lambda: not serving.remaining(), "nothing is left", within=10)


def test_it_takes_the_database_over_when_the_process_that_owns_it_ends(home: Path) -> None:
    with EmbeddedPostgres(home / "data") as short_command:
        assert short_command.owner
        with Serving(home) as serving:
            short_command.stop()
            eventually(lambda: "started again" in serving.said(), "it owns the server now")
            assert serving.live()


def test_a_server_that_cannot_listen_is_a_failure(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "idp", "serve", f"--port={taken.getsockname()[1]}"]
        environ = {**os.environ, "IDP_DATA_DIR": str(home / "data"), "IDP_KEYS_DIR": str(home / "keys")}
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "address already in use" in done.stderr


def test_the_command_line_goes_before_the_environment() -> None:
    environ = with_address({"IDP_PORT": "1", "IDP_HOST": "127.0.0.2"}, None, 2)
    assert environ == {"IDP_PORT": "2", "IDP_HOST": "127.0.0.2"}
    command = server_command(load_settings(environ), workers=3)
    assert {"--host=127.0.0.2", "--port=2", "--workers=3"} <= set(command)
    assert {"--no-server-header", "--no-proxy-headers", "--no-access-log", "--ws=none"} <= set(command)
