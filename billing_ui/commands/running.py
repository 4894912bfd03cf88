"""Running a command: over a database that is up to date, with the sandbox if need be, and failing with a sentence."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final, NoReturn, TypeVar

import typer
from sqlalchemy.exc import SQLAlchemyError

from billing_ui import migrations
from billing_ui.accounts.errors import AccountError
from billing_ui.billing.job_rows import LostTurn
from billing_ui.billing.live_bus import connected
from billing_ui.billing.services import Services
from billing_ui.payments.types import PaymentError
from billing_ui.sandbox_process import (
    SandboxUnavailable,
    at_sandbox,
    embedded_sandbox,
    wants_embedded_sandbox,
)
from billing_ui.settings import Settings, load_settings

Result = TypeVar("Result")

_EXPECTED: Final = (
    AccountError,
    LostTurn,
    PaymentError,
    SandboxUnavailable,
    migrations.UnknownRevision,
)


def run(
    command: Callable[[Services], Awaitable[Result]],
    *,
    provider: bool = False,
    migrate: bool = True,
    tells: bool = False,
) -> Result:
    """Return what `command` does; an expected failure ends the program with its sentence and code 1.

    Args:
        provider: whether it asks the payment provider; the sandbox is started when that is the provider.
        migrate: whether the database is brought up to date first.
        tells: whether open pages and the worker hear at once of what it does.
    """
    return run_alone(
        _with_services(load_settings(), command, provider=provider, migrate=migrate, tells=tells)
    )


def run_alone(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what `work` does, which needs no services; failures end the program in the same way."""
    try:
        return asyncio.run(work)
    except _EXPECTED as error:
        fail(str(error))
    except (SQLAlchemyError, OSError) as error:
        # The driver's own words only: SQLAlchemy would add the statement and its values.
        fail(f"The database can't be used: {getattr(error, 'orig', None) or error}")


def fail(message: str) -> NoReturn:
    """End the program with a sentence and code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


async def _with_services(
    settings: Settings,
    command: Callable[[Services], Awaitable[Result]],
    *,
    provider: bool,
    migrate: bool,
    tells: bool,
) -> Result:
    if migrate:
        await migrations.upgrade(settings.database_url)
    async with AsyncExitStack() as stack:
        if provider and wants_embedded_sandbox(settings):
            url = await stack.enter_async_context(embedded_sandbox(settings))
            settings = at_sandbox(settings, url)
        services = Services.open(settings)
        stack.push_async_callback(services.close)
        if tells:
            await stack.enter_async_context(connected(services))
        return await command(services)
