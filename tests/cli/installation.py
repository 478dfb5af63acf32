"""The command line as an operator meets it, on a database of the test's own."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer.testing import CliRunner, Result

from idp.store.database import Connection, open_pool, transaction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Installation:
    """A command group, and the installation on which its commands work."""

    app: typer.Typer
    database: str
    home: Path

    def do(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        """Run a command to its end."""
        environ = {
            "IDP_DATABASE_URL": self.database,
            "IDP_DATA_DIR": str(self.home / "data"),
            "IDP_ISSUER": "https://id.example",
        }
        return CliRunner().invoke(self.app, arguments, input=stdin, env=environ)

    def json(self, *arguments: str, stdin: str | bytes | None = None) -> Any:
        """The one JSON document that a command prints, which must succeed."""
        result = self.do(*arguments, "--json", stdin=stdin)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return json.loads(result.stdout)

    def refused(self, *arguments: str, stdin: str | bytes | None = None) -> str:
        """The reason with which a command refuses, on standard error alone."""
        result = self.do(*arguments, "--json", stdin=stdin)
        assert (result.exit_code, result.stdout) == (1, ""), result.output
        return result.stderr

    def in_database(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What the work answers that is done in a transaction on the installation's database."""

        async def _run() -> T:
            pool = await open_pool(self.database)
            try:
                async with transaction(pool) as conn:
                    return await work(conn)
            finally:
                await pool.close()

        return asyncio.run(_run())
