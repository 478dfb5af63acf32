"""`idp templates`: an operator's own templates, and what they must not lose."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from idp.base.resources import resource
from idp.cli.output import Json, emit, refuse, settings, table
from idp.web.pages.overrides import override_faults

app = typer.Typer(help="Look after templates of your own.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Look after templates of your own."""


@app.command("check")
def check_command(
    directory: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, help="Where they are; IDP_TEMPLATES unless given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw every page with the templates of your own, and tell what they have lost; exit status 1 if anything."""
    theirs = directory or settings().templates
    if theirs is None:
        refuse("IDP_TEMPLATES is not set: name a directory")
    faults = override_faults(resource("templates"), theirs)
    emit(
        {"faults": [asdict(fault) for fault in faults]},
        table([(fault.template, fault.fault) for fault in faults]) if faults else "Nothing is lost.",
        as_json=as_json,
    )
    if faults:
        raise typer.Exit(1)
