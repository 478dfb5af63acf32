"""Programs that are kept running: brought back when they die, given up when they never came up, and cleared away."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from idp.cli.processes import Service, accepts, clear, pause, supervise, why_not_listen
from tests.cli.test_serve import eventually
from tests.ports import free_port

DIES = """
import pathlib, socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    with pathlib.Path(sys.argv[2]).open("a") as starts:
        starts.write("x")
    server.accept()[0].recv(1)
"""
"""Notes that it has begun, and dies once somebody has connected to it and gone."""


def test_a_program_that_keeps_dying_is_started_after_waits_that_grow(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    starts, port = tmp_path / "starts", free_port()
    starts.touch()
    service = Service("it", [sys.executable, "-c", DIES, str(port), str(starts)], os.environ, port)

    def visit_and_end() -> None:
        for number in (2, 3, 4):
            # The first one dies of the visit that finds out whether it is up.
            eventually(lambda number=number: len(starts.read_text()) == number, "started again")  # type: ignore[misc]
            eventually(lambda: accepts(port), "visited")
        eventually(lambda: "in 4 s" in said(), "it waits")
        os.kill(os.getpid(), signal.SIGTERM)

    told: list[str] = []

    def said() -> str:
        told.append(capfd.readouterr().err)
        return "".join(told)

    visitor = threading.Thread(target=visit_and_end)
    visitor.start()
    assert supervise([service], None) == 0
    visitor.join()
    assert said().splitlines() == [
        "idp: it ended with status 0 and is started again",
        "idp: it ended with status 0 and is started again in 1 s",
        "idp: it ended with status 0 and is started again in 2 s",
        "idp: it ended with status 0 and is started again in 4 s",
    ]


def test_a_program_that_never_came_up_is_given_up_and_ends_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    other = Service("the other", [sys.executable, "-m", "http.server", str(port), "--bind=127.0.0.1"], {}, port)
    never = Service("it", [sys.executable, "-c", "import sys, time; time.sleep(1); sys.exit(3)"], {}, free_port())
    assert supervise([other, never], None) == 1
    assert "idp: it ended with status 3 before it could be reached, and is given up\n" in capfd.readouterr().err
    assert not accepts(port)


def test_F1_a_program_that_was_killed_before_it_was_up_is_started_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    killed = tmp_path / "killed"
    script = (
        "import os, signal, sys, pathlib\n"
        "killed = pathlib.Path(sys.argv[1])\n"
        "if not killed.exists():\n"
        "    killed.touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.exit(3)\n"
    )
    assert supervise([Service("it", [sys.executable, "-c", script, str(killed)], {}, free_port())], None) == 1
    assert capfd.readouterr().err.splitlines() == [
        "idp: it was killed by SIGKILL and is started again",
        "idp: it ended with status 3 before it could be reached, and is given up",
    ]


def test_the_waits_begin_at_nothing_and_grow_to_ten_seconds() -> None:
    assert [pause(deaths) for deaths in range(9)] == [0, 0, 1, 2, 4, 8, 10, 10, 10]
    assert pause(100) == 10


@pytest.mark.parametrize("stubborn", [False, True])
def test_what_a_killed_program_leaves_in_its_session_is_ended(*, stubborn: bool) -> None:
    trap = "trap '' TERM;" if stubborn else ""
    script = f"({trap} echo $(exec sh -c 'echo $PPID'); exec sleep 1000) & wait"
    program = subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert program.stdout is not None
    left = int(program.stdout.readline())
    program.kill()
    program.wait()
    assert Path(f"/proc/{left}/cmdline").exists()
    clear(program.pid)
    status = Path(f"/proc/{left}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()
    program.stdout.close()


def test_a_port_in_use_has_a_reason_and_a_free_one_none() -> None:
    port = free_port()
    assert why_not_listen("127.0.0.1", port) is None
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind=127.0.0.1"], stderr=subprocess.DEVNULL
    ) as server:
        eventually(lambda: accepts(port), "it listens")
        everywhere = "0.0.0.0"  # noqa: S104 - nothing is listened on
        assert why_not_listen("127.0.0.1", port) == why_not_listen(everywhere, port) == "address already in use"
        server.kill()
    assert why_not_listen("192.0.2.1", port) == "cannot assign requested address"
