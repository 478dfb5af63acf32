"""`idp dev`: everything on this machine, to try and to develop: server, database and a demo application."""

import os
import sys
from typing import Annotated

import typer

from idp.cli import output
from idp.cli.demo_client import ensure_demo_client
from idp.cli.processes import Service, accepts, supervise
from idp.cli.serve import server_command, with_address
from idp.notify.addresses import OUTBOX
from idp.settings import Settings
from idp.store.database import open_pool
from idp.store.embedded import EmbeddedPostgres
from idp.store.migrations import migrate

DEMO_PORT = 8001


def dev(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port of the server (IDP_PORT).")] = None,
    demo_port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the demo application.")] = DEMO_PORT,
) -> None:
    """Run the server and a demo application to sign in to, on this machine alone, until Ctrl-C."""
    environ = with_address(os.environ, None, port)
    settings = output.settings(environ)
    for taken in filter(accepts, (settings.port, demo_port)):
        output.refuse(f"port {taken} is in use: stop what runs there, or give --port and --demo-port")
    with output.refusing():
        if settings.database_url is not None:
            status = _run(settings, environ, demo_port, None)
        else:
            with EmbeddedPostgres(settings.data_dir) as postgres:
                status = _run(settings, environ | {"IDP_DATABASE_URL": postgres.dsn()}, demo_port, postgres)
    raise typer.Exit(status)


def _run(settings: Settings, environ: dict[str, str], demo_port: int, postgres: EmbeddedPostgres | None) -> int:
    dsn = settings.database_url.get_secret_value() if settings.database_url else environ["IDP_DATABASE_URL"]
    output.run(migrate(dsn))
    client_id, client_secret = output.run(_register_demo(dsn, settings, demo_port))
    demo_environ = {
        "DEMO_ISSUER": settings.issuer,
        "DEMO_CLIENT_ID": client_id,
        "DEMO_CLIENT_SECRET": client_secret,
        "DEMO_PORT": str(demo_port),
        "DEMO_DATABASE_URL": dsn,
        "DEMO_KEYS_DIR": str(settings.keys_dir),
        **({"DEMO_MASTER_KEY": settings.master_key.get_secret_value()} if settings.master_key else {}),
    }
    demo = [sys.executable, "-m", "idp.cli.demo"]
    server = server_command(settings, log_level="warning")
    services = [
        Service("the server", server, environ | _with_inbox(settings), settings.port, settings.host),
        Service("the demo application", demo, environ | demo_environ, demo_port),
    ]
    return supervise(services, postgres, announce=lambda: _announce(settings, demo_port))


def _with_inbox(settings: Settings) -> dict[str, str]:
    """What lets codes by text message be tried without a gateway: the inbox of the demo shows them."""
    is_here = settings.issuer.startswith("http://")
    return {"IDP_SMS_URL": OUTBOX} if settings.sms_url is None and is_here else {}


async def _register_demo(dsn: str, settings: Settings, demo_port: int) -> tuple[str, str]:
    pool = await open_pool(dsn, max_size=1)
    try:
        return await ensure_demo_client(pool, settings.data_dir, demo_port)
    finally:
        await pool.close()


def _announce(settings: Settings, demo_port: int) -> None:
    print(
        f"""
  Open http://localhost:{demo_port} and sign in to the demo application.

  Your account         {settings.issuer}/account
  Mail and messages    http://localhost:{demo_port}/inbox
  For relying apps     {settings.issuer}/.well-known/openid-configuration
  Data and keys        {settings.data_dir}, {settings.keys_dir}

  Ctrl-C stops everything.
""",
        flush=True,
    )
