"""The database."""

import typer

from billing_ui import migrations
from billing_ui.commands.running import run_alone
from billing_ui.settings import load_settings

app = typer.Typer(help="The database.", no_args_is_help=True)


@app.command("upgrade")
def upgrade() -> None:
    """Create the tables or bring them up to date; does nothing when they are."""
    settings = load_settings()
    done = run_alone(migrations.upgrade(settings.database_url))
    typer.echo("The database was upgraded." if done else "The database is up to date.")
