"""`idp user invite`."""

from typing import Annotated

import typer

from idp.authn.accounts import parse_email
from idp.cli.output import Json, emit, refuse, run, settings
from idp.cli.user.shown import timestamp, unsent


def invite_command(
    email: Annotated[str, typer.Option("--email", help="Where the invitation goes; no other address can use it.")],
    as_json: Json = False,
) -> None:
    """Send somebody a link by which they make their own account, with this address confirmed; it works for 7 days."""
    # Imported where it is used: no other command about people needs the pages.
    from idp.cli.invitation import invite

    installation, address = settings(), parse_email(email)
    if address is None:
        refuse("the e-mail address is not of the form name@mail.example")
    if installation.sign_up == "off":
        refuse("sign-up is off: set IDP_SIGN_UP to invite or open first")
    invitation = run(invite(installation, address))
    ends_at = timestamp(invitation.expires_at)
    emit(
        {"email": invitation.email, "expires_at": ends_at},
        f"An invitation goes to {invitation.email}. It works until {ends_at}.{unsent(installation)}",
        as_json=as_json,
    )
