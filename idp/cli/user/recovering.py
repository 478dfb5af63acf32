"""`idp user recover`: what an operator can begin for somebody who lost something, and stop."""

from typing import Annotated

import typer

from idp.cli.output import Json, emit, refuse, run, settings
from idp.cli.user.shown import timestamp, unsent
from idp.cli.who import Who


def recover_command(
    who: Who,
    factors: Annotated[
        bool, typer.Option("--factors", help="Begin the removal of second factors that were lost, after a delay.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the removal of second factors.")] = False,
    as_json: Json = False,
) -> None:
    """Send a link for a new password to the account's confirmed address; its second factor is asked for as ever."""
    if factors and cancel:
        refuse("--factors begins what --cancel stops: give one of them")
    if factors or cancel:
        _recover_factors(who, cancel=cancel, as_json=as_json)
        return
    # Imported where it is used: no other command about people needs the pages.
    from idp.cli.recovery import start_recovery

    installation = settings()
    user = run(start_recovery(installation, who))
    emit(
        {"sub": user.sub, "email": user.email},
        f"A link for a new password goes to {user.email}.{unsent(installation)}",
        as_json=as_json,
    )


def _recover_factors(who: str, *, cancel: bool, as_json: bool) -> None:
    # Imported where it is used: no other command about people needs the pages.
    from idp.cli.factor_recovery import start_factor_recovery, stop_factor_recovery

    installation = settings()
    if cancel:
        user = run(stop_factor_recovery(installation, who))
        emit({"sub": user.sub, "factor_recovery": None}, f"{user.username} keeps all second factors.", as_json=as_json)
        return
    user, asked = run(start_factor_recovery(installation, who))
    emit(
        {"sub": user.sub, "email": user.email, "factor_recovery": timestamp(asked.not_before)},
        f"{user.email} is told now, and gets a link at {timestamp(asked.not_before)}, which removes the second factors "
        f"together with the password.{unsent(installation)}",
        as_json=as_json,
    )
