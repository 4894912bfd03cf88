"""The `billing-ui` command: people, customers, the database and the sandbox, for whoever runs the dashboard."""

import logging

import typer

from billing_ui.commands import customers, db, events, providers, tokens, users
from billing_ui.commands.doctor import doctor
from billing_ui.commands.reconcile import compare
from billing_ui.commands.sandbox import sandbox
from billing_ui.commands.sync import sync
from billing_ui.commands.worker import worker
from billing_ui.telemetry import configure_logging

app = typer.Typer(
    name="billing-ui",
    help="Run a billing dashboard: people, customers, database, sandbox.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(users.app, name="users")
app.add_typer(customers.app, name="customers")
app.add_typer(db.app, name="db")
app.add_typer(events.app, name="events")
app.add_typer(tokens.app, name="tokens")
app.add_typer(providers.app, name="providers")
app.command()(sync)
app.command("reconcile")(compare)
app.command()(worker)
app.command()(doctor)
app.command()(sandbox)


def main() -> None:
    """Run the command line."""
    configure_logging(level=logging.WARNING)
    app()


if __name__ == "__main__":
    main()
