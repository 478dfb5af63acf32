"""What `idp serve` becomes once all is checked: the process that keeps the server, and its database, running.

It is a program of its own, since what checks settings and migrations takes several times the memory.
"""

import json
import os
import sys
from pathlib import Path

from idp.cli.processes import Service, supervise
from idp.store.embedded import EmbeddedError, EmbeddedPostgres


def supervisor_command(server: list[str], host: str, port: int, data_dir: Path | None) -> list[str]:
    """The command line of the supervisor of this server; with a data directory, of its embedded PostgreSQL as well."""
    order = {"server": server, "host": host, "port": port, "data_dir": None if data_dir is None else str(data_dir)}
    # The code of this installation, whatever lies in the current directory.
    return [sys.executable, "-P", "-m", __name__, json.dumps(order)]


def main(order: str) -> int:
    """Keep the server that is described running, in the environment of this process; return the exit status."""
    told = json.loads(order)

    def server(**more: str) -> Service:
        return Service("the server", told["server"], {**os.environ, **more}, told["port"], told["host"])

    if told["data_dir"] is None:
        return supervise([server()], None)
    try:
        with EmbeddedPostgres(Path(told["data_dir"])) as postgres:
            return supervise([server(IDP_DATABASE_URL=postgres.dsn())], postgres)
    except EmbeddedError as error:
        print(f"idp: the database cannot be used: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
