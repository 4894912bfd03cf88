"""A Lemon Squeezy to test against: its sandbox's API, served in the test's own process, and the shop behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from billing_ui.payments.lemonsqueezy import LemonSqueezyDriver
from billing_ui.payments.lemonsqueezy.resources import Attributes, Resource, resource_of
from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.lemonsqueezy.dialect import LemonSqueezyDialect
from billing_ui.sandbox.shop.http import ShopAPI
from billing_ui.sandbox.shop.model import Price
from billing_ui.sandbox.shop.shop import Shop

LEMON_KEY = "eyJ0eXAiOiJKV1Qi.SecretOfTheTests.signature"
LEMON_SECRETS = ("old lemon secret", "new lemon secret")
STORE = "1"


@dataclass(frozen=True)
class Lemon:
    """A running API, and its shop, in which a test changes things as the provider would."""

    url: str
    shop: Shop

    def plan(self, name: str = "Pro", amount: int = 14900, **fields: Any) -> Price:
        """Sell a product at one price."""
        unit_label = fields.pop("unit_label", None)
        product = self.shop.create_product(name, unit_label=unit_label)
        return self.shop.create_price(product.id, amount, **fields)

    def subscriber(self, price: Price, email: str = "ada@example.com", **fields: Any) -> str:
        """Make a customer who pays for something by a card; return the customer's id."""
        customer = self.shop.create_customer(email, name="Ada")
        self.shop.add_card(customer.id)
        self.shop.subscribe(customer.id, price.id, **fields)
        return customer.id


@asynccontextmanager
async def serving_lemon() -> AsyncIterator[Lemon]:
    """Serve the API of an empty shop."""
    # Listening from here on: who comes before the server does waits for it.
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    store = Store(":memory:")
    shop = Shop(store, Outbox(store), LemonSqueezyDialect(), url, "Acme Cloud")
    api = ShopAPI(shop, Faults())
    server = uvicorn.Server(uvicorn.Config(api, lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    yield Lemon(url, shop)
    server.should_exit = True
    await task
    store.close()


def lemon_driver(url: str, **fields: Any) -> LemonSqueezyDriver:
    """Return a driver whose provider is at `url`."""
    values = {"api_base": url, "webhook_secrets": LEMON_SECRETS, **fields}
    return LemonSqueezyDriver(LEMON_KEY, values.pop("store_id", STORE), **values)


def resource(kind: type[Attributes], id_: str, **attributes: Any) -> Resource[Any]:
    """Return an object of Lemon Squeezy's as the driver reads it."""
    return resource_of(kind, document("things", id_, **attributes))


def document(kind: str, id_: str, **attributes: Any) -> dict[str, Any]:
    """Return a JSON:API resource object."""
    return {"type": kind, "id": id_, "attributes": attributes}


def page(*found: dict[str, Any], number: int = 1, last: int = 1) -> dict[str, Any]:
    """Return one page of a list."""
    paging = {"currentPage": number, "lastPage": last, "perPage": 100, "total": len(found)}
    return {"meta": {"page": paging}, "data": list(found)}


def one(found: dict[str, Any], *included: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that holds one object."""
    return {"data": found, "included": list(included)}
