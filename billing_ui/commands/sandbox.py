"""The sandbox, in a process of its own."""

import os
import sys
from typing import Annotated

import typer

from billing_ui.settings import Provider


def sandbox(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, envvar="SANDBOX_PORT", help="Port to listen on."),
    ] = None,
    provider: Annotated[
        Provider,
        typer.Option(envvar="PAYMENT_PROVIDER", help="Which payment provider it imitates."),
    ] = Provider.STRIPE,
) -> None:
    """Run the sandbox by itself: a payment provider for development, with a hosted portal.

    It listens on 127.0.0.1 and keeps its data in the file sandbox.db of the present directory, or in
    sandbox-polar.db, sandbox-lemonsqueezy.db or sandbox-paddle.db when it imitates one of those.
    """
    command = [sys.executable, "-m", "billing_ui.sandbox", "--provider", provider.value]
    if port is not None:
        command += ["--port", str(port)]
    sys.stdout.flush()
    # The sandbox takes this process's place, so that signals and the exit code are its own.
    os.execv(sys.executable, command)  # noqa: S606 - our own module under our own interpreter
