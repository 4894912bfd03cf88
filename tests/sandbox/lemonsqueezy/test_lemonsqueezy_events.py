"""What Lemon Squeezy's sandbox tells of a change, and how it signs that."""

import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest

from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.lemonsqueezy.dialect import LemonSqueezyDialect
from billing_ui.sandbox.shop.model import Endpoint, Event, Invoice, Subscription
from billing_ui.sandbox.shop.shop import Shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    """An empty shop."""
    store = Store(":memory:")
    yield Shop(store, Outbox(store), LemonSqueezyDialect(), "http://127.0.0.1:8420", "Acme")
    store.close()


@pytest.fixture
def bought(shop: Shop) -> Subscription:
    """Somebody's subscription, of which everything was told already."""
    product = shop.create_product("Pro")
    price = shop.create_price(product.id, 900)
    customer = shop.create_customer("ada@example.com", name="Ada")
    shop.add_card(customer.id)
    made = shop.subscribe(customer.id, price.id, metadata={"team_id": "t"})
    forget(shop)
    return made


def forget(shop: Shop) -> None:
    """Forget what was told until now."""
    for event in shop.find(Event):
        shop.forget(event)


def told(shop: Shop) -> list[str]:
    """Return the types of everything told, in the order it was told."""
    return [event.type for event in shop.find(Event, oldest_first=True)]


def test_a_purchase_is_told_with_its_order_and_payment(shop: Shop) -> None:
    product = shop.create_product("Pro")
    price = shop.create_price(product.id, 900)
    customer = shop.create_customer("ada@example.com")
    assert told(shop) == []
    shop.add_card(customer.id)
    shop.subscribe(customer.id, price.id)
    assert told(shop) == [
        "order_created",
        "subscription_created",
        "subscription_payment_success",
        "subscription_updated",
    ]


@pytest.mark.parametrize(
    ("happens", "names"),
    [
        (("cancel",), ["subscription_updated", "subscription_cancelled"]),
        (("cancel", "keep"), ["subscription_updated", "subscription_resumed"]),
        (("pause",), ["subscription_updated", "subscription_paused"]),
        (("pause", "resume"), ["subscription_updated", "subscription_unpaused"]),
        (("end_now",), ["subscription_updated", "subscription_expired"]),
    ],
)
def test_each_change_has_its_events(
    happens: tuple[str, ...], names: list[str], shop: Shop, bought: Subscription
) -> None:
    for what in happens:
        forget(shop)
        getattr(shop, what)(bought.id)
    assert told(shop) == names


def test_a_failed_payment_and_its_recovery_are_told(shop: Shop, bought: Subscription) -> None:
    shop.add_card(bought.customer, "4000000000000341")
    forget(shop)
    shop.advance(bought.period_end, bought.customer)
    assert told(shop) == [
        "subscription_updated",
        "subscription_payment_failed",
        "subscription_updated",
    ]
    shop.add_card(bought.customer)
    forget(shop)
    shop.pay(shop.open_invoices(bought.id)[0].id)
    assert told(shop) == [
        "subscription_payment_success",
        "subscription_payment_recovered",
        "subscription_updated",
    ]


def test_a_refund_is_told(shop: Shop, bought: Subscription) -> None:
    shop.refund(shop.find(Invoice)[0].id)
    assert told(shop) == ["subscription_payment_refunded"]


def test_a_card_is_told_of_by_what_it_pays(shop: Shop, bought: Subscription) -> None:
    shop.add_card(bought.customer, "5555555555554444")
    assert set(told(shop)) == {"subscription_updated"}
    newest = shop.find(Event)[0].payload["data"]["attributes"]
    assert (newest["card_brand"], newest["card_last_four"]) == ("mastercard", "4444")


def test_customers_and_what_is_sold_have_no_events(shop: Shop, bought: Subscription) -> None:
    shop.update_customer(bought.customer, name="Ada Lovelace")
    shop.update_product(bought.product, name="Max")
    shop.create_price(bought.product, 100)
    assert told(shop) == []


def test_what_was_handed_to_the_checkout_comes_back_with_each_event(
    shop: Shop, bought: Subscription
) -> None:
    shop.cancel(bought.id)
    shop.refund(shop.find(Invoice)[0].id)
    for event in shop.find(Event):
        meta = event.payload["meta"]
        assert meta["custom_data"] == {"team_id": "t"}
        assert (meta["event_name"], meta["test_mode"]) == (event.type, True)


def test_an_event_is_signed_over_its_body_alone(shop: Shop, bought: Subscription) -> None:
    shop.cancel(bought.id)
    [event, _] = shop.find(Event)
    endpoint = Endpoint(id="1", created=0, updated=0, url="http://127.0.0.1:1/", secret="s3cret")
    first = shop.dialect.parcel(endpoint, event, 1)
    assert first == shop.dialect.parcel(endpoint, event, 999_999)
    assert first.headers["X-Event-Name"] == event.type
    digest = hmac.new(b"s3cret", first.body, hashlib.sha256).hexdigest()
    assert first.headers["X-Signature"] == digest
    assert json.loads(first.body) == event.payload
