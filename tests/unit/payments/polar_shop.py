"""A Polar to test against: its sandbox's API, served in the test's own process, and the shop behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from billing_ui.payments.polar import PolarDriver
from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.polar.dialect import PolarDialect
from billing_ui.sandbox.shop.http import ShopAPI
from billing_ui.sandbox.shop.model import Customer, Price, Product
from billing_ui.sandbox.shop.shop import Shop

POLAR_KEY = "polar_oat_SecretOfTheTests"
POLAR_SECRETS = ("polar_whs_old", "polar_whs_new")


@dataclass(frozen=True)
class Polar:
    """A running API, its shop, in which a test changes things as the provider would, and what was asked of it."""

    url: str
    shop: Shop
    calls: list[str]

    def plan(self, name: str = "Pro", amount: int = 14900, **fields: Any) -> Product:
        """Sell a product."""
        about = {field: fields.pop(field, None) for field in ("unit_label", "metadata")}
        features = fields.pop("features", ())
        product = self.shop.create_product(name, features=features, **about)
        self.shop.create_price(product.id, amount, **fields)
        return product

    def price(self, product: Product) -> Price:
        """Return what a product costs."""
        return self.shop.prices(product.id)[0]

    def subscriber(
        self, product: Product, email: str = "ada@example.com", **fields: Any
    ) -> Customer:
        """Make a customer who pays for something by a card."""
        customer = self.shop.create_customer(email, name="Ada")
        self.shop.add_card(customer.id)
        self.shop.subscribe(customer.id, self.price(product).id, **fields)
        return customer

    def driver(self, **fields: Any) -> PolarDriver:
        """Return a driver of it."""
        values = {"api_base": self.url, "webhook_secrets": POLAR_SECRETS}
        return PolarDriver(POLAR_KEY, **(values | fields))


@asynccontextmanager
async def serving_polar() -> AsyncIterator[Polar]:
    """Serve the API of an empty shop."""
    # Listening from here on: who comes before the server does waits for it.
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    store = Store(":memory:")
    shop = Shop(store, Outbox(store), PolarDialect(), url, "Acme Cloud")
    calls: list[str] = []
    api = _counted(ShopAPI(shop, Faults()), calls)
    server = uvicorn.Server(uvicorn.Config(api, lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    yield Polar(url, shop, calls)
    server.should_exit = True
    await task
    store.close()


def _counted(api: ASGIApp, calls: list[str]) -> ASGIApp:
    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(f"{scope['method']} {scope['path']}")
        await api(scope, receive, send)

    return counted
