"""`idp user`: the people with an account here, and all that can be done for them and to them."""

import typer

from idp.cli.user import access, adding, inviting, looking, recovering

app = typer.Typer(help="Add people, and look after their accounts.", no_args_is_help=True)
app.command("add")(adding.add_command)
app.command("invite")(inviting.invite_command)
app.command("list")(looking.list_command)
app.command("show")(looking.show_command)
app.command("disable")(access.disable_command)
app.command("enable")(access.enable_command)
app.command("unlock")(access.unlock_command)
app.command("recover")(recovering.recover_command)
app.command("remove")(access.remove_command)
app.command("credentials")(looking.credentials_command)
