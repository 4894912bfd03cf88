"""What the tests of the payment drivers share: a driver on the sandbox, a shop in it, and a scripted server."""

from collections.abc import AsyncIterator

import pytest
import stripe
from aiohttp import web

from billing_ui.payments.stripe import StripeDriver
from billing_ui.payments.stripe.client import open_client
from tests.unit.payments.polar_shop import Polar, serving_polar
from tests.unit.payments.scripted import ScriptedServer
from tests.unit.payments.shop import Shop

KEY = "sk_test_51SecretOfTheTests"
WEBHOOK_SECRETS = ("whsec_old_secret", "whsec_new_secret")


@pytest.fixture
async def driver(sandbox_url: str) -> AsyncIterator[StripeDriver]:
    """A driver whose provider is the running sandbox."""
    opened = StripeDriver(KEY, api_base=sandbox_url, webhook_secrets=WEBHOOK_SECRETS)
    yield opened
    await opened.close()


@pytest.fixture
async def sdk(sandbox_url: str) -> AsyncIterator[stripe.StripeClient]:
    """The SDK on the running sandbox: how a test changes things at the provider."""
    client, transport = open_client(KEY, sandbox_url)
    yield client
    await transport.close_async()


@pytest.fixture
def shop(sdk: stripe.StripeClient) -> Shop:
    """Products, prices and buyers in the running sandbox."""
    return Shop(sdk)


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """A real HTTP server that answers what a test tells it to."""
    server = ScriptedServer()
    runner = web.AppRunner(server.app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    server.url = f"http://{host}:{port}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def scripted_driver(scripted: ScriptedServer) -> AsyncIterator[StripeDriver]:
    """A driver whose provider is the scripted server."""
    opened = StripeDriver(KEY, api_base=scripted.url)
    yield opened
    await opened.close()


@pytest.fixture
async def polar() -> AsyncIterator[Polar]:
    """A Polar of its own, in which nothing is sold yet."""
    async with serving_polar() as served:
        yield served
