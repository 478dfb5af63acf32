"""`idp database`: the schema of the installation's database."""

import contextlib
from collections.abc import Iterator

import typer

from idp.cli.output import Json, emit, refuse, refusing, run, settings
from idp.settings import Settings
from idp.store.embedded import EmbeddedPostgres
from idp.store.migrations import migrate, pending

app = typer.Typer(help="Bring the database up to date, and check it.", no_args_is_help=True)


@app.command("migrate")
def migrate_command(as_json: Json = False) -> None:
    """Apply the migrations that this version needs and the database lacks."""
    with _address(settings()) as dsn:
        applied = run(migrate(dsn))
    text = f"Applied: {', '.join(applied)}." if applied else "The database was up to date."
    emit({"applied": applied}, text, as_json=as_json)


@app.command("check")
def check_command(as_json: Json = False) -> None:
    """Tell whether the database can be reached and is up to date; exit status 1 if it is not."""
    with _address(settings()) as dsn:
        lacking = run(pending(dsn))
    if as_json:
        emit({"pending": lacking}, "", as_json=True)
    if lacking:
        refuse(f"the database lacks the migrations {', '.join(lacking)}: run `idp database migrate`")
    if not as_json:
        print("The database answers and is up to date.")


@contextlib.contextmanager
def _address(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with refusing(), EmbeddedPostgres(settings.data_dir) as postgres:
        yield postgres.dsn()
