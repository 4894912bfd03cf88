"""What the tests of Paddle's sandbox share: a shop that answers as Paddle, and a hand that asks it."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.paddle.dialect import PaddleDialect
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.http import answer
from billing_ui.sandbox.shop.model import Price, Subscription
from billing_ui.sandbox.shop.shop import Shop

KEY = "pdl_sdbx_apikey_test"
Json = dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """Asks the API of a shop, as somebody with a key."""

    shop: Shop

    def __call__(
        self, method: str, url: str, body: object = None, *, key: str | None = f"Bearer {KEY}"
    ) -> Answered:
        """Ask, and return the answer."""
        parts = urlsplit(url)
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        headers = {} if key is None else {"authorization": key}
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = b"" if body is None else sent
        return answer(self.shop, Asked(method, parts.path, query, headers, given))

    def data(self, method: str, url: str, body: object = None) -> Any:
        """Ask, and return what a good answer says."""
        answered = self(method, url, body)
        assert answered.status < 300, answered.body
        return answered.body["data"]

    def refusal(self, method: str, url: str, body: object = None) -> tuple[int, str]:
        """Ask, and return status and code of the refusal."""
        answered = self(method, url, body)
        return answered.status, answered.body["error"]["code"]


@pytest.fixture
def shop() -> Shop:
    """An empty shop of Paddle's."""
    store = Store(":memory:")
    return Shop(store, Outbox(store), PaddleDialect(), "http://127.0.0.1:8420", "Acme Cloud")


@pytest.fixture
def call(shop: Shop) -> Caller:
    """A hand that asks it."""
    return Caller(shop)


@pytest.fixture
def price(shop: Shop) -> Price:
    """Something that is sold by the seat."""
    product = shop.create_product("Pro", features=["Everything"], unit_label="seat")
    return shop.create_price(product.id, 14900)


@pytest.fixture
def bought(shop: Shop, price: Price) -> Subscription:
    """Somebody who pays for it."""
    customer = shop.create_customer("ada@example.com", name="Ada")
    shop.add_card(customer.id)
    return shop.subscribe(customer.id, price.id, 3)
