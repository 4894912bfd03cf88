"""Every answer has every field the SDK's classes declare, and no other."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import httpx
import pytest
import stripe
from stripe import ListObject, SearchResultObject

from billing_ui.sandbox.stripe import shapes
from tests.sandbox.shop import Shop

KEY = {"Authorization": "Bearer sk_test_answers"}


def faults(cls: Any, answer: dict[str, Any], where: str = "") -> Iterator[str]:
    """Yield what of an answer is not as an SDK class declares it."""
    hints = shapes.fields(cls)
    for name in answer.keys() - hints.keys():
        yield f"{where}{name} is unknown"
    for name, hint in hints.items():
        optional = shapes.is_optional(hint)
        if name not in answer:
            if not optional:
                yield f"{where}{name} is missing"
        elif answer[name] is None:
            if not optional:
                yield f"{where}{name} is null"
        else:
            yield from wrong(hint, answer[name], cls, f"{where}{name}.")


def wrong(hint: Any, value: Any, cls: Any, where: str) -> Iterator[str]:
    """Yield what is wrong with a value that is there."""
    for option in shapes.members(shapes.resolve(hint, cls.__module__)):
        member = shapes.resolve(option, cls.__module__)
        if isinstance(value, dict) and shapes.is_object(member):
            yield from faults(member, value, where)
        elif isinstance(value, dict) and get_origin(member) in (ListObject, SearchResultObject):
            if {"object", "data", "has_more", "url"} - value.keys():
                yield f"{where} is no list"
            item = shapes.resolve(get_args(member)[0], cls.__module__)
            for one in value.get("data", []):
                yield from faults(item, one, f"{where}[].")
        elif isinstance(value, list) and get_origin(member) is list:
            item = get_args(member)[0]
            for one in value:
                yield from wrong(item, one, cls, f"{where}[].")
        elif hint in (str, int, bool) and type(value) is not hint:
            yield f"{where} is a {type(value).__name__}, not a {hint.__name__}"


PATHS = {
    "/v1/customers": stripe.Customer,
    "/v1/products": stripe.Product,
    "/v1/prices": stripe.Price,
    "/v1/subscriptions?status=all": stripe.Subscription,
    "/v1/invoices?expand[]=data.payments": stripe.Invoice,
    "/v1/invoiceitems": stripe.InvoiceItem,
    "/v1/payment_methods": stripe.PaymentMethod,
    "/v1/payment_intents": stripe.PaymentIntent,
    "/v1/setup_intents": stripe.SetupIntent,
    "/v1/charges": stripe.Charge,
    "/v1/events": stripe.Event,
    "/v1/checkout/sessions?expand[]=data.line_items": stripe.checkout.Session,
    "/v1/billing_portal/configurations": stripe.billing_portal.Configuration,
}


@pytest.fixture
def busy_shop(shop: Shop) -> Shop:
    """A shop in which a bit of everything has happened."""
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Team", 3)
    item = subscription["items"].data[0].id
    shop.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "quantity": 5}]})
    shop.subscribe(shop.customer(), trial_period_days=7)
    shop.subscribe(shop.customer(card="pm_card_chargeCustomerFail"))
    shop.v1.setup_intents.create({"payment_method": "pm_card_visa", "confirm": True})
    shop.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer,
            "line_items": [{"price": shop.plans["Pro"].monthly, "quantity": 1}],
            "success_url": "https://app.example.com/done",
        }
    )
    shop.configuration()
    return shop


def test_everything_listed_is_as_declared(busy_shop: Shop) -> None:
    for path, cls in PATHS.items():
        answer = httpx.get(busy_shop.origin + path, headers=KEY).json()
        assert answer["data"], path
        for one in answer["data"]:
            assert list(faults(cls, one)) == [], path


def test_a_portal_session_is_as_declared(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer).id
    session = shop.v1.billing_portal.sessions.create(
        {
            "customer": customer,
            "configuration": shop.configuration(),
            "return_url": "https://app.example.com/billing",
            "flow_data": {
                "type": "subscription_cancel",
                "subscription_cancel": {"subscription": subscription},
            },
        }
    )
    assert list(faults(stripe.billing_portal.Session, session.to_dict())) == []
    assert session.url.startswith(f"{shop.origin}/p/session/")


def test_nothing_private_is_ever_answered(busy_shop: Shop) -> None:
    for path in PATHS:
        text = httpx.get(busy_shop.origin + path, headers=KEY).text
        assert '"_' not in text
        assert "4242424242424242" not in text
