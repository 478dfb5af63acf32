"""What every command shares: how it prints, how it refuses, and how it reaches the database."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeAlias, TypeVar

import asyncpg
import typer

from idp.settings import Settings, SettingsError, load_settings
from idp.store.database import Pool, Step, Unavailable, open_pool, transact
from idp.store.embedded import EmbeddedError, EmbeddedPostgres
from idp.store.migrations import migrate, pending
from idp.store.reasons import describe

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]
_T = TypeVar("_T")


def refuse(reason: str) -> NoReturn:
    """End the command with exit status 1 and the reason on standard error."""
    print(f"idp: {reason}", file=sys.stderr)
    raise typer.Exit(1)


def emit(document: object, text: str, *, as_json: bool) -> None:
    """Print the document for a machine, or the text for a person."""
    print(json.dumps(document, ensure_ascii=False) if as_json else text)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of text as columns, each as wide as its widest entry."""
    kept = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in kept)


def settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of `environ` (that of the process unless given), or refuse with every fault."""
    try:
        return load_settings(os.environ if environ is None else environ)
    except SettingsError as error:
        refuse("\n  ".join(["these settings cannot be used:", *error.faults]))


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of `work`, or refuse if the database cannot be used."""
    with refusing():
        return asyncio.run(work)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Refuse where the database cannot be used, whatever it said, in a sentence of ours."""
    try:
        yield
    except (Unavailable, EmbeddedError) as error:
        refuse(f"the database cannot be used: {error}")
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        refuse(f"the database cannot be used: {describe(error)}")


@contextlib.asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Pool]:
    """Lend a pool on the installation's database, up to date: its own server is refused if it lacks migrations.

    The embedded PostgreSQL is started for as long as the block lasts, or attached to where it runs already. Raises
    Unavailable and EmbeddedError, which `run` refuses with.
    """
    with contextlib.ExitStack() as stack:
        if settings.database_url is None:
            # Blocking, and rightly in this thread: the server ends with the thread that forked it.
            dsn = stack.enter_context(EmbeddedPostgres(settings.data_dir)).dsn()
            await migrate(dsn)
        else:
            dsn = settings.database_url.get_secret_value()
            await require_migrated(dsn)
        pool = await open_pool(dsn, max_size=2)
        try:
            yield pool
        finally:
            await pool.close()


async def in_database(settings: Settings, step: Step[_T]) -> _T:
    """What the step answers, run on the installation's database as ``transact`` does; raises as ``database``."""
    async with database(settings) as pool:
        return await transact(pool, step)


async def require_migrated(dsn: str) -> None:
    """Refuse if the database lacks migrations, naming the command that applies them."""
    if lacking := await pending(dsn):
        refuse(f"the database lacks the migrations {', '.join(lacking)}: run `idp database migrate` first")
