"""Running a few programs and the embedded PostgreSQL as one: together they live, and in order they end.

Nothing here may load more than it needs: this is what stays in memory beside the servers.
"""

import contextlib
import errno
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from idp.base.lifeline import die_with_parent
from idp.store.embedded import EmbeddedError, EmbeddedPostgres

_TICK = 0.1
# Uvicorn gives its requests 30 s to end.
_STOP_TIMEOUT = 35.0
# Whoever outlives its own parent may finish a request, but its successor is to be up within five seconds.
_LEFT_TIMEOUT = 2.5
# A program that ran for so long did not die at once.
_SETTLED = 30.0
# Long enough for a machine to do other things, and short enough to be back soon after what was in the way has gone.
_LONGEST_PAUSE = 10.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is looked for, not what is listened on

Program = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Service:
    """A program that is to run as long as this process does; it is up once it accepts connections on host and port."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    port: int
    host: str = "127.0.0.1"


class _Kept:
    """A service at work: started, and brought back when it dies, but for one that ends by itself and never came up."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._begun = self._due = 0.0
        self._quick_deaths = 0
        self.program: Program | None = None
        self.has_been_up = False

    def tend(self) -> bool:
        """Do what is due; False if the service is given up."""
        now = time.monotonic()
        if self.program is None:
            if now >= self._due:
                self._begun = now
                self.program = launch(self._service.command, self._service.environ)
        elif self.program.poll() is not None:
            return self._bury(self.program, now)
        elif not self.has_been_up:
            self.has_been_up = accepts(self._service.port, self._service.host)
        return True

    def _bury(self, program: Program, now: float) -> bool:
        how = f"{self._service.name} {_how_it_ended(program.returncode)}"
        clear(program.pid)
        self.program = None
        # What a signal has ended, the want of memory say, tells nothing of its settings.
        if not self.has_been_up and program.returncode >= 0:
            _say(f"{how} before it could be reached, and is given up")
            return False
        self._quick_deaths = 0 if now - self._begun >= _SETTLED else self._quick_deaths + 1
        wait = pause(self._quick_deaths)
        self._due = time.monotonic() + wait
        _say(f"{how} and is started again" + (f" in {wait:.0f} s" if wait else ""))
        return True


def pause(quick_deaths: int) -> float:
    """How many seconds to wait before a program is started again that has died so many times shortly after a start."""
    return 0.0 if quick_deaths < 2 else min(_LONGEST_PAUSE, 2.0 ** (quick_deaths - 2))


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
    services: Sequence[Service],
    postgres: EmbeddedPostgres | None,
    *,
    announce: Callable[[], None] = lambda: None,
) -> int:
    """Return the exit status once all services have ended: 0 if SIGINT or SIGTERM asked for it, 1 if one is given up.

    A service that dies is started again, at once or, if it keeps dying, after a wait that grows to ten seconds; one
    that ends by itself and has never been up is given up, and the others are ended with it. So is a PostgreSQL that
    dies meanwhile. `announce` is called once all are up. A second signal does not wait for open requests.
    """
    kept = [_Kept(service) for service in services]
    asked: list[int] = []

    def stop(signum: int, _frame: FrameType | None) -> None:
        if asked:
            _signal_all(_running(kept), signal.SIGINT)
        asked.append(signum)

    previous = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        _watch(kept, postgres, asked, announce)
        status = 0 if asked else 1
        _end(_running(kept))
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
    return status


def _watch(
    kept: Sequence[_Kept], postgres: EmbeddedPostgres | None, asked: Sequence[int], announce: Callable[[], None]
) -> None:
    announced = False
    while not asked and all(each.tend() for each in kept):
        if postgres is not None:
            _revive(postgres)
        if not announced and all(each.has_been_up for each in kept):
            announced = True
            announce()
        time.sleep(_TICK)


def _running(kept: Sequence[_Kept]) -> list[Program]:
    return [each.program for each in kept if each.program is not None]


def _revive(postgres: EmbeddedPostgres) -> None:
    try:
        if postgres.revive():
            _say("PostgreSQL had gone and was started again")
    except EmbeddedError as error:
        # The programs answer 503 meanwhile; what keeps it down (a full disk) may pass.
        _say(str(error))
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
        clear(program.pid)


def _signal_all(programs: Sequence[Program], signum: signal.Signals) -> None:
    for program in programs:
        program.send_signal(signum)


def clear(group: int) -> None:
    """End what a program that has ended has left behind in its session: in order, or after a while not in order."""
    for signum, patience in ((signal.SIGTERM, _LEFT_TIMEOUT), (signal.SIGKILL, 1.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signum)
        deadline = time.monotonic() + patience
        while _is_left(group) and time.monotonic() < deadline:
            time.sleep(0.05)


def _is_left(group: int) -> bool:
    # Where this process is the first of its container, it inherits the orphans, and has to reap them.
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG) != (0, 0):
            pass
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    # Some systems take their time to reap an orphan that has ended, and it has given up its port by then.
    return not Path("/proc/self/stat").exists() or any(_is_alive(process, group) for process in Path("/proc").iterdir())


def _is_alive(process: Path, group: int) -> bool:
    """Whether it is of this group and has not ended, by /proc/PID/stat: the name in brackets, state, parent, group."""
    with contextlib.suppress(OSError, ValueError):
        state, _parent, its_group = (process / "stat").read_text().rpartition(") ")[2].split()[:3]
        return int(its_group) == group and state not in "ZX"
    return False


def _how_it_ended(status: int) -> str:
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _say(line: str) -> None:
    print(f"idp: {line}", file=sys.stderr, flush=True)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections on this port; where all addresses are listened on, the loopback one."""
    with contextlib.suppress(OSError), socket.create_connection((_ANYWHERE.get(host, host), port), timeout=1.0):
        return True
    return False


def why_not_listen(host: str, port: int) -> str | None:
    """The system's reason why nobody can listen there now; None where one can, on one of its addresses at least."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        return _reason(error)
    refusals = [_try_to_bind(*each) for each in found]
    known = [refusal for refusal in refusals if refusal is not None]
    in_use = [refusal for refusal in known if refusal.errno == errno.EADDRINUSE]
    return _reason((in_use or known)[0]) if in_use or len(known) == len(refusals) else None


def _try_to_bind(family: int, kind: int, protocol: int, _name: str, address: tuple[Any, ...]) -> OSError | None:
    try:
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: connections of a former one that linger are not in its way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
