"""The `idp` command: what it can do is loaded when it is asked, and not by the processes that a server is made of."""


def main() -> None:
    """Run the command line of this process, and end it with the exit status."""
    from idp.cli.commands import app

    app(prog_name="idp")
