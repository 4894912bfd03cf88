"""The work in the background, in a process of its own."""

import asyncio
import signal

import typer

from billing_ui.billing.background import background
from billing_ui.billing.services import Services
from billing_ui.commands.running import run
from billing_ui.telemetry import configure_logging


def worker() -> None:
    """Do the work in the background by itself, until it is stopped: for WORKER=off in the application.

    It fetches customers that are out of date, recovers missed events, reconciles daily and prunes.
    """
    configure_logging()
    try:
        run(_work, provider=True, tells=True)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _work(services: Services) -> None:
    this = asyncio.current_task()
    assert this is not None
    # Ended by whoever runs services: leases are given back, as after Ctrl-C.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    try:
        async with background(services):
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        typer.echo("Stopped.", err=True)
