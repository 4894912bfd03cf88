"""An installation beside a stand-alone sandbox: the production build, on the database a test chooses."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from billing_ui.billing.services import Services
from billing_ui.migrations import upgrade
from tests.conftest import free_port, running_sandbox
from tests.e2e.sandbox import KEY, Sandbox
from tests.e2e.server import BUILD, Server
from tests.reliability.shop import Shop

SECRET: Final = "whsec_reliability_tests"
_PORTS: Final = {"first": free_port(), "second": free_port()}
"""One port a build: another would build the pages anew."""


@dataclass
class Installation:
    """A running application, its provider's shop, and its database for the test itself."""

    server: Server
    shop: Shop
    services: Services

    @property
    def webhook_url(self) -> str:
        """Where the provider sends its events."""
        return f"http://127.0.0.1:{self.server.port}/api/webhooks/stripe"

    async def restart(self) -> None:
        """Kill every process of it at once and start it again."""
        await asyncio.to_thread(self.server.kill)
        await asyncio.to_thread(self.server.start)


@asynccontextmanager
async def installed(
    directory: Path, database_url: str, *, customers: int, settings: dict[str, str] | None = None
) -> AsyncIterator[Installation]:
    """Run the application on `database_url`, beside a shop with `customers`."""
    with running_sandbox(directory / "sandbox.db") as sandbox_url:
        provider = Sandbox(sandbox_url)
        shop = Shop(provider)
        await shop.open(customers)
        with running(directory, "first", sandbox_url, database_url, settings) as server:
            services = await opened(server)
            yield Installation(server, shop, services)
            await services.close()
        await provider.close()


@contextmanager
def running(
    directory: Path,
    build: str,
    sandbox_url: str,
    database_url: str,
    settings: dict[str, str] | None = None,
) -> Iterator[Server]:
    """Run the application in one of the two places where its pages are built."""
    place = BUILD.with_name(f"reliability-{build}")
    data = directory / build
    data.mkdir()
    server = Server(
        data,
        port=_PORTS[build],
        build=place,
        settings={
            "DATABASE_URL": database_url,
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_API_BASE": sandbox_url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "SECRET_KEY": "for tests only",
            **(settings or {}),
        },
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        server.start()
        try:
            yield server
        finally:
            server.stop()


async def opened(server: Server) -> Services:
    """Return the database and provider of an installation, for the test's own use."""
    services = server.open_services()
    await upgrade(services.settings.database_url)
    return services
