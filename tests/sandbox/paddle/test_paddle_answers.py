"""Every answer has every field that the SDK's entities have, and the SDK reads it."""

import dataclasses
import importlib
import types
import typing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from paddle_billing.Entities.Address import Address
from paddle_billing.Entities.Business import Business
from paddle_billing.Entities.Customer import Customer
from paddle_billing.Entities.CustomerPortalSession import CustomerPortalSession
from paddle_billing.Entities.Event import Event
from paddle_billing.Entities.EventType import EventType
from paddle_billing.Entities.NotificationSetting import NotificationSetting
from paddle_billing.Entities.PaymentMethod import PaymentMethod
from paddle_billing.Entities.Price import Price
from paddle_billing.Entities.Product import Product
from paddle_billing.Entities.Subscription import Subscription
from paddle_billing.Entities.Transaction import Transaction
from paddle_billing.Notifications.Entities.Entity import Entity
from paddle_billing.Notifications.Entities.UndefinedEntity import UndefinedEntity

from billing_ui.sandbox.core.cards import FAILS_WHEN_CHARGED, MASTERCARD
from billing_ui.sandbox.shop.model import Address as Kept
from billing_ui.sandbox.shop.model import Checkout
from billing_ui.sandbox.shop.model import Event as KeptEvent
from billing_ui.sandbox.shop.model import Subscription as KeptSubscription
from billing_ui.sandbox.shop.shop import Shop
from tests.sandbox.paddle.conftest import Caller

Json = dict[str, Any]

INCLUDED = {
    "Product": {"prices"},
    "Price": {"product"},
    "Subscription": {"next_transaction", "recurring_transaction_details"},
    "Transaction": {
        *("address", "adjustments", "adjustment_totals", "business", "customer", "discount"),
        "available_payment_methods",
    },
}
"""What stands in an entity only when it is asked for."""


def missing(entity: type, value: Json, path: str = "") -> Iterator[str]:
    """Yield the fields of an entity that its JSON lacks, at every depth."""
    module = importlib.import_module(entity.__module__)
    hints = typing.get_type_hints(entity, vars(module))
    for field in dataclasses.fields(entity):
        name = "line_items" if field.name == "lineItems" else field.name
        if name not in value:
            if name not in INCLUDED.get(entity.__name__, ()):
                yield f"{path}.{name}"
            continue
        for inner in _entities(hints[field.name]):
            values = value[name] if isinstance(value[name], list) else [value[name]]
            for one in values:
                if isinstance(one, dict):
                    yield from missing(inner, one, f"{path}.{name}")


def _entities(hint: Any) -> Iterator[type]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is not None:
        for part in typing.get_args(hint):
            yield from _entities(part)
    elif dataclasses.is_dataclass(hint) and hint.__name__ not in ("CustomData", "Undefined"):
        yield typing.cast(type, hint)


def lived(shop: Shop, bought: KeptSubscription) -> None:
    """Let a customer do everything that shows in an answer."""
    shop.update_customer(
        bought.customer, address=Kept(line1="Main St 1", country="DE"), tax_id="DE123456789"
    )
    shop.change_plan(bought.id, quantity=5)
    trial = shop.create_price(shop.create_product("Trial").id, 500, trial_days=7)
    shop.subscribe(bought.customer, trial.id)
    shop.add_card(bought.customer, MASTERCARD)
    late = shop.subscribe(bought.customer, bought.price)
    shop.open_checkout(bought.price, customer_id=bought.customer)
    shop.refund(_first(shop, late))
    shop.add_card(bought.customer, FAILS_WHEN_CHARGED)
    shop.advance(late.period_end + 60)
    shop.end_now(late.id)
    shop.cancel(bought.id)


def _first(shop: Shop, subscription: KeptSubscription) -> str:
    invoice = shop.latest_invoice(subscription.id)
    assert invoice is not None
    return invoice.id


LISTS: list[tuple[Any, Callable[[KeptSubscription], str]]] = [
    (Customer, lambda _: "/customers"),
    (Address, lambda bought: f"/customers/{bought.customer}/addresses"),
    (Business, lambda bought: f"/customers/{bought.customer}/businesses"),
    (PaymentMethod, lambda bought: f"/customers/{bought.customer}/payment-methods"),
    (Product, lambda _: "/products"),
    (Product, lambda _: "/products?include=prices"),
    (Price, lambda _: "/prices?include=product"),
    (Subscription, lambda _: "/subscriptions"),
    (Transaction, lambda _: "/transactions"),
    (Event, lambda _: "/events"),
    (EventType, lambda _: "/event-types"),
    (NotificationSetting, lambda _: "/notification-settings"),
]


@pytest.mark.parametrize(("entity", "url"), LISTS)
def test_every_entity_has_every_field_and_is_read_by_the_sdk(
    entity: Any,
    url: Callable[[KeptSubscription], str],
    shop: Shop,
    call: Caller,
    bought: KeptSubscription,
) -> None:
    shop.register_endpoint("https://app.example.com/hook", "pdl_ntfset_secret")
    lived(shop, bought)
    listed = call.data("GET", url(bought))
    assert listed
    for one in listed:
        read = entity.from_dict(one)
        assert dataclasses.is_dataclass(read)
        if entity is not Event:
            assert list(missing(entity, one)) == []


def test_what_is_charged_next_has_every_field(
    shop: Shop, call: Caller, bought: KeptSubscription
) -> None:
    both = "next_transaction,recurring_transaction_details"
    one = call.data("GET", f"/subscriptions/{bought.id}?include={both}")
    read = Subscription.from_dict(one)
    assert read.next_transaction is not None
    assert list(missing(Subscription, one)) == []
    assert INCLUDED["Subscription"] <= set(one)


def test_a_portal_session_has_every_field(call: Caller, bought: KeptSubscription) -> None:
    url = f"/customers/{bought.customer}/portal-sessions"
    one = call.data("POST", url, {"subscription_ids": [bought.id]})
    assert CustomerPortalSession.from_dict(one).urls.subscriptions[0].id == bought.id
    assert list(missing(CustomerPortalSession, one)) == []


def test_every_kind_of_event_is_read_by_the_sdk_as_what_it_is_about(
    shop: Shop, bought: KeptSubscription
) -> None:
    lived(shop, bought)
    shop.keep(bought.id)
    shop.remove_card(shop.cards(bought.customer)[-1].id)
    events = shop.find(KeptEvent)
    for event in events:
        read = Entity.from_dict_for_event_type(event.payload["data"], event.type)
        assert not isinstance(read, UndefinedEntity), event.type
        assert list(missing(type(read), event.payload["data"])) == [], event.type
    assert {event.type.partition(".")[0] for event in events} == {
        *("customer", "payment_method", "price", "product", "subscription", "transaction"),
    }


def test_a_missing_field_is_noticed(call: Caller, bought: KeptSubscription) -> None:
    [one] = call.data("GET", "/subscriptions")
    del one["items"][0]["price"]["quantity"]["maximum"]
    assert list(missing(Subscription, one)) == [".items.price.quantity.maximum"]


# ---------------------------------------------------------------- a life, as Paddle tells it


def test_a_subscription_is_told_as_it_stands(
    shop: Shop, call: Caller, bought: KeptSubscription
) -> None:
    def told() -> Subscription:
        return Subscription.from_dict(call.data("GET", f"/subscriptions/{bought.id}"))

    assert (told().status, told().items[0].quantity) == ("active", 3)
    assert told().next_billed_at == datetime.fromtimestamp(bought.period_end, UTC)
    shop.cancel(bought.id)
    change = told().scheduled_change
    assert change is not None
    assert (change.action, told().status, told().next_billed_at) == ("cancel", "active", None)
    shop.keep(bought.id)
    assert told().scheduled_change is None
    shop.pause(bought.id, bought.period_end)
    change = told().scheduled_change
    assert change is not None
    assert (change.action, told().status) == ("resume", "paused")
    assert told().current_billing_period is None
    shop.end_now(bought.id)
    assert (told().status, told().canceled_at is not None) == ("canceled", True)


def test_a_checkout_is_the_transaction_it_becomes(
    shop: Shop, call: Caller, bought: KeptSubscription
) -> None:
    items = [{"price_id": bought.price, "quantity": 2}]
    body = {"items": items, "customer_id": bought.customer, "custom_data": {"team_id": "t"}}
    opened = Transaction.from_dict(call.data("POST", "/transactions", body))
    assert (opened.status, opened.invoice_number, opened.billed_at) == ("draft", None, None)
    assert opened.checkout is not None
    assert opened.checkout.url == shop.checkout_url(shop.get(Checkout, opened.id))
    shop.complete_checkout(opened.id)
    paid = Transaction.from_dict(call.data("GET", f"/transactions/{opened.id}"))
    assert (paid.status, paid.details.totals.grand_total) == ("completed", "29800")
    assert paid.payments[0].status == "captured"
    listed = call.data("GET", f"/transactions?id={opened.id}")
    assert [one["status"] for one in listed] == ["completed"]
