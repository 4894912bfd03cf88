"""The roof: pages, API and what runs beside them are wired together here, and nothing else is."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import reflex as rx
import structlog
from filelock import AsyncFileLock
from reflex.constants import Dirs
from reflex.utils.prerequisites import get_web_dir
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp

from billing_ui.api.app import create_api
from billing_ui.api.frontend import clean_addresses
from billing_ui.api.health import Readiness
from billing_ui.billing.background import background
from billing_ui.billing.live_bus import connected
from billing_ui.billing.services import Services, current_services, install_services
from billing_ui.components.connection import connection_overlay
from billing_ui.components.theme import STYLESHEETS
from billing_ui.demo.calls import SandboxRefused
from billing_ui.demo.preparation import prepare_demo
from billing_ui.migrations import UnknownRevision, upgrade
from billing_ui.pages import add_pages
from billing_ui.payments.types import PaymentError
from billing_ui.sandbox_process import (
    SandboxUnavailable,
    at_sandbox,
    connect_webhooks,
    embedded_sandbox,
)
from billing_ui.settings import load_settings
from billing_ui.states.live_pages import open_pages
from billing_ui.telemetry import configure_logging

log = structlog.get_logger(__name__)

settings = load_settings()
readiness = Readiness()


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    """Migrate the database, start the sandbox and fill the demo, before the first request is answered."""
    configure_logging()
    async with AsyncExitStack() as stack:
        try:
            await _prepare(stack)
        except (SandboxUnavailable, SandboxRefused, UnknownRevision, PaymentError) as error:
            raise SystemExit(str(error)) from None
        except (SQLAlchemyError, OSError) as error:
            # The driver's own words only: SQLAlchemy would add the statement.
            reason = getattr(error, "orig", None) or error
            raise SystemExit(f"The database can't be used: {reason}") from None
        log.info("ready", address=settings.base_url)
        yield


async def _prepare(stack: AsyncExitStack) -> None:
    sandbox_url = ""
    if settings.sandbox:
        sandbox_url = await stack.enter_async_context(embedded_sandbox(settings))
    readiness.sandbox = True
    services = Services.open(at_sandbox(settings, sandbox_url))
    stack.push_async_callback(services.close)
    install_services(services)
    # Several workers start at once; one prepares while the others wait.
    settings.data_directory.mkdir(parents=True, exist_ok=True)
    async with AsyncFileLock(settings.data_directory / "prepare.lock"):
        if await upgrade(settings.database_url):
            log.info("database_upgraded")
        readiness.migrations = True
        if settings.sandbox:
            await prepare_demo(services, sandbox_url)
            await connect_webhooks(services, sandbox_url)
        readiness.demo_data = True
    await stack.enter_async_context(connected(services))
    await stack.enter_async_context(open_pages.kept_current(app, services))
    if settings.worker == "on":
        await stack.enter_async_context(background(services))


def with_pages(app: ASGIApp) -> ASGIApp:
    """Give the built pages their addresses; in development another server has them."""
    if settings.development:
        return app
    return clean_addresses(app, get_web_dir() / Dirs.STATIC, settings)


app = rx.App(
    html_lang="en",
    stylesheets=STYLESHEETS,
    extra_app_wraps={(5, "Overlay"): connection_overlay},
    api_transformer=[with_pages, create_api(current_services, readiness)],
)
app.register_lifespan_task(running)
add_pages(app)
