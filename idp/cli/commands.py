"""The commands of `idp`: one file a command group, each listed here."""

import typer

from idp.cli import audit, client, database, dev, group, jobs, keys, serve, templates, user

app = typer.Typer(
    help="A standalone OAuth 2 and OpenID Connect identity provider.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(dev.dev)
app.command()(serve.serve)
app.command()(jobs.jobs)
app.add_typer(database.app, name="database")
app.add_typer(client.app, name="client")
app.add_typer(user.app, name="user")
app.add_typer(group.app, name="group")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(templates.app, name="templates")
