"""Running a few programs and the embedded PostgreSQL as one: together they live, and in order they end."""

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from idp.base.lifeline import die_with_parent
from idp.store.embedded import EmbeddedError, EmbeddedPostgres

_TICK = 0.1
# Uvicorn gives its requests 30 s to end.
_STOP_TIMEOUT = 35.0

Program = subprocess.Popen[bytes]


def launch(command: Sequence[str], environ: Mapping[str, str]) -> Program:
    """Start a program that ends with this process, whatever ends this process."""
    return subprocess.Popen(
        command,
        env=environ,
        # The terminal's Ctrl-C reaches this process alone, which then ends the others in order.
        start_new_session=True,
        preexec_fn=functools.partial(die_with_parent, signal.SIGTERM, os.getpid()),
    )


def supervise(
    programs: Sequence[Program],
    postgres: EmbeddedPostgres | None,
    *,
    ports: Sequence[int] = (),
    announce: Callable[[], None] = lambda: None,
) -> int:
    """Return the exit status once all programs have ended: 0 if SIGINT or SIGTERM asked for it, 1 if one gave up.

    A PostgreSQL that dies meanwhile is started again. `announce` is called once all `ports` accept connections. When
    one program ends by itself the others are ended too; a second signal does not wait for their open requests.
    """
    asked: list[int] = []

    def stop(signum: int, _frame: FrameType | None) -> None:
        if asked:
            _signal_all(programs, signal.SIGINT)
        asked.append(signum)

    previous = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        _watch(programs, postgres, asked, list(ports), announce)
        status = 0 if asked else 1
        _end(programs)
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
    return status


def _watch(
    programs: Sequence[Program],
    postgres: EmbeddedPostgres | None,
    asked: Sequence[int],
    closed: list[int],
    announce: Callable[[], None],
) -> None:
    announced = False
    while not asked and all(program.poll() is None for program in programs):
        if postgres is not None:
            _revive(postgres)
        closed = [port for port in closed if not accepts(port)]
        if not closed and not announced:
            announced = True
            announce()
        time.sleep(_TICK)


def _revive(postgres: EmbeddedPostgres) -> None:
    try:
        if postgres.revive():
            print("idp: PostgreSQL had gone and was started again", file=sys.stderr)
    except EmbeddedError as error:
        # The programs answer 503 meanwhile; what keeps it down (a full disk) may pass.
        print(f"idp: {error}", file=sys.stderr)
        time.sleep(1)


def _end(programs: Sequence[Program]) -> None:
    _signal_all(programs, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT
    for program in programs:
        try:
            program.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def _signal_all(programs: Sequence[Program], signum: signal.Signals) -> None:
    for program in programs:
        program.send_signal(signum)


def accepts(port: int) -> bool:
    """Whether something accepts connections on this port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
