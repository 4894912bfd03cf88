"""A Paddle to test against: its sandbox's API, served in the test's own process, and the shop behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from billing_ui.payments.paddle import PaddleDriver
from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.paddle.dialect import PaddleDialect
from billing_ui.sandbox.shop.http import ShopAPI
from billing_ui.sandbox.shop.model import Price, Subscription
from billing_ui.sandbox.shop.shop import Shop

PADDLE_KEY = "pdl_sdbx_apikey_01SecretOfTheTests"
PADDLE_SECRETS = ("pdl_ntfset_old_secret", "pdl_ntfset_new_secret")


@dataclass(frozen=True)
class PaddleAccount:
    """A running API, and its shop, in which a test changes things as the provider would."""

    url: str
    shop: Shop

    def plan(self, name: str = "Pro", amount: int = 14900, **fields: Any) -> Price:
        """Sell a product at one price."""
        product = self.shop.create_product(name, unit_label=fields.pop("unit_label", None))
        return self.shop.create_price(product.id, amount, **fields)

    def subscriber(self, price: Price | None = None, **fields: Any) -> Subscription:
        """Make a customer who pays for something by a card; return the subscription."""
        price = price or self.plan()
        customer = self.shop.create_customer(f"ada{self.shop.number()}@example.com", name="Ada")
        self.shop.add_card(customer.id)
        return self.shop.subscribe(customer.id, price.id, **fields)


@asynccontextmanager
async def serving_paddle() -> AsyncIterator[PaddleAccount]:
    """Serve the API of an empty shop."""
    # Listening from here on: who comes before the server does waits for it.
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    store = Store(":memory:")
    shop = Shop(store, Outbox(store), PaddleDialect(), url, "Acme Cloud")
    api = ShopAPI(shop, Faults())
    server = uvicorn.Server(uvicorn.Config(api, lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    yield PaddleAccount(url, shop)
    server.should_exit = True
    await task
    store.close()


def paddle_driver(url: str, key: str = PADDLE_KEY) -> PaddleDriver:
    """Return a driver whose provider is at `url`."""
    return PaddleDriver(key, api_base=url, webhook_secrets=PADDLE_SECRETS)
