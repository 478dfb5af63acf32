"""`idp serve`: the server, with the embedded PostgreSQL beneath it or a database of the operator's own."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import idp
from idp.base.lifeline import die_with_parent
from idp.cli import output
from idp.cli.logs import CONFIGURATION
from idp.cli.processes import why_not_listen
from idp.cli.supervisor import supervisor_command
from idp.settings import Settings
from idp.store.embedded import EmbeddedPostgres
from idp.store.migrations import migrate

if TYPE_CHECKING:
    from starlette.types import ASGIApp

Workers = Annotated[int, typer.Option(min=1, max=256, help="How many processes answer requests.")]


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on (IDP_HOST).")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The TCP port to listen on (IDP_PORT).")] = None,
    workers: Workers = 1,
) -> None:
    """Run the server until Ctrl-C or SIGTERM; requests under way are finished first."""
    environ = with_address(os.environ, host, port)
    settings = output.settings(environ)
    if reason := why_not_listen(settings.host, settings.port):
        output.refuse(f"{settings.host} port {settings.port} cannot be listened on: {reason}")
    server, data_dir = server_command(settings, workers=workers), None
    if settings.database_url is not None:
        output.run(output.require_migrated(settings.database_url.get_secret_value()))
    else:
        data_dir = settings.data_dir
        with output.refusing(), EmbeddedPostgres(data_dir) as postgres:
            output.run(migrate(postgres.dsn()))
    sys.stdout.flush()
    command = supervisor_command(server, settings.host, settings.port, data_dir)
    os.execve(command[0], command, environ)  # noqa: S606 - a fixed command line, and no shell


def with_address(environ: Mapping[str, str], host: str | None, port: int | None) -> dict[str, str]:
    """Return the environment with the address given on the command line in it."""
    given = {"IDP_HOST": host, "IDP_PORT": None if port is None else str(port)}
    return {**environ, **{name: value for name, value in given.items() if value is not None}}


def server_command(settings: Settings, *, workers: int = 1, log_level: str = "info") -> list[str]:
    """Return the command line of uvicorn for this installation; the application reads its settings for itself."""
    options = {
        "host": settings.host,
        "port": settings.port,
        "workers": workers,
        "log-level": log_level,
        "log-config": CONFIGURATION,
        # The code of this installation, whatever lies in the current directory.
        "app-dir": Path(idp.__file__).parents[1],
        "loop": "uvloop",
        "http": "idp.cli.connection:BoundedConnection",
        "ws": "none",
        "lifespan": "on",
        # Longer than the minute for which proxies keep a connection: who closes first loses no request.
        "timeout-keep-alive": 75,
        "timeout-graceful-shutdown": 30,
        "timeout-worker-healthcheck": 15,
    }
    flags = ["--factory", "--no-server-header", "--no-proxy-headers", "--no-access-log"]
    pairs = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "uvicorn", f"{__name__}:application", *flags, *pairs]


def application() -> "ASGIApp":
    """Return the application, in a worker that ends with uvicorn's parent process should that be killed."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        die_with_parent(signal.SIGTERM, parent.pid)

    from idp.app import from_environment
    from idp.cli.connection import Answered

    return Answered(from_environment())
