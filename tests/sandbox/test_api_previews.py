"""The upcoming invoice: what the next renewal, or a change, would cost."""

import time
from typing import Any

import pytest
import stripe

from tests.sandbox.shop import Shop
from tests.sandbox.test_api_billing import START, batch
from tests.sandbox.test_api_billing import subscribed as back_dated


def preview(shop: Shop, **params: Any) -> stripe.Invoice:
    """Return the upcoming invoice."""
    return shop.v1.invoices.create_preview(params)  # type: ignore[arg-type]


def item_of(subscription: stripe.Subscription) -> Any:
    """Return the one item of a subscription."""
    (item,) = subscription["items"].data
    return item


def test_the_next_invoice_is_the_renewal_of_the_subscription_that_ends_first(shop: Shop) -> None:
    customer = shop.customer()
    shop.v1.subscriptions.create(
        {"customer": customer, "items": [{"price": shop.plans["Pro"].yearly}]}
    )
    monthly = shop.subscribe(customer, "Team", 3)
    end = item_of(monthly).current_period_end
    upcoming = preview(shop, customer=customer)
    assert (upcoming.status, upcoming.billing_reason) == ("draft", "upcoming")
    assert (upcoming.total, upcoming.amount_due, upcoming.currency) == (6000, 6000, "usd")
    assert (upcoming.created, upcoming.period_end) == (end, end)
    assert upcoming.next_payment_attempt == end + 3600
    assert upcoming.number is None
    (line,) = upcoming.lines.data
    assert line.description == "3 × Team (at $20.00 / month)"
    assert line.period.start == end
    assert upcoming.parent is not None
    assert upcoming.parent.subscription_details is not None
    assert upcoming.parent.subscription_details.subscription == monthly.id


def test_it_holds_what_a_change_left_to_be_billed(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Team", 2)
    item = item_of(subscription).id
    shop.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "quantity": 5}]})
    lines = preview(shop, customer=customer).lines.data
    assert [line.amount for line in lines] == [-4000, 10000, 10000]
    assert lines[0].description is not None
    assert lines[0].description.startswith("Unused time on 2 × Team after")
    assert lines[0].parent is not None
    assert lines[0].parent.subscription_item_details is not None
    assert lines[0].parent.subscription_item_details.proration
    regular = preview(shop, customer=customer, preview_mode="recurring")
    assert [line.amount for line in regular.lines.data] == [10000]


def test_a_credit_lowers_what_is_due(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    shop.v1.customers.update(customer, {"balance": -5000})
    upcoming = preview(shop, subscription=subscription.id)
    assert (upcoming.total, upcoming.amount_due, upcoming.starting_balance) == (14900, 9900, -5000)


def test_the_invoice_that_comes_is_the_one_foretold(shop: Shop) -> None:
    customer, subscription = back_dated(shop)
    item = item_of(shop.subscription(subscription))
    change = {"items": [{"id": item.id, "quantity": 7}]}
    batch(shop, {"path": f"/v1/subscriptions/{subscription}", "params": change, "at": START + 500})
    foretold = preview(shop, customer=customer)
    shop.advance(customer, foretold.created + 7200)
    (newest,) = shop.v1.invoices.list({"customer": customer, "limit": 1}).data
    assert (newest.created, newest.total) == (foretold.created, foretold.total)
    told = [(line.description, line.amount, line.period.end) for line in foretold.lines.data]
    assert [(line.description, line.amount, line.period.end) for line in newest.lines.data] == told


def test_a_change_is_priced_and_not_made(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Starter")
    item = item_of(subscription)
    events = len(shop.v1.events.list({"limit": 100}).data)
    details = {"items": [{"id": item.id, "price": shop.plans["Pro"].monthly}]}
    upcoming = preview(shop, subscription=subscription.id, subscription_details=details)
    assert [line.amount for line in upcoming.lines.data] == [-2900, 14900, 14900]
    at_once = preview(
        shop,
        subscription=subscription.id,
        subscription_details={**details, "proration_behavior": "always_invoice"},
    )
    assert [line.amount for line in at_once.lines.data] == [-2900, 14900]
    assert at_once.created <= time.time()
    yearly = preview(
        shop,
        subscription=subscription.id,
        subscription_details={"items": [{"id": item.id, "price": shop.plans["Pro"].yearly}]},
    )
    assert [line.amount for line in yearly.lines.data] == [-2900, 149000]
    assert yearly.status == "draft"
    assert shop.subscription(subscription.id).to_dict() == subscription.to_dict()
    assert len(shop.v1.events.list({"limit": 100}).data) == events
    assert len(shop.v1.invoices.list({"customer": customer}).data) == 1


def test_proration_counts_from_the_date_given(shop: Shop) -> None:
    subscription = shop.subscribe(shop.customer(), "Starter")
    item = item_of(subscription)
    half = (item.current_period_start + item.current_period_end) // 2
    details = {
        "items": [{"id": item.id, "price": shop.plans["Pro"].monthly}],
        "proration_date": half,
    }
    upcoming = preview(shop, subscription=subscription.id, subscription_details=details)
    assert [line.amount for line in upcoming.lines.data[:2]] == [-1450, 7450]
    details["proration_date"] = item.current_period_end + 1
    with pytest.raises(stripe.InvalidRequestError) as caught:
        preview(shop, subscription=subscription.id, subscription_details=details)
    assert caught.value.param == "subscription_details[proration_date]"


def test_cancelling_now_gives_back_what_was_not_used(shop: Shop) -> None:
    subscription = shop.subscribe(shop.customer(), "Starter")
    upcoming = preview(
        shop, subscription=subscription.id, subscription_details={"cancel_now": True}
    )
    assert (upcoming.total, upcoming.amount_due) == (-2900, 0)
    assert shop.subscription(subscription.id).status == "active"


def test_a_new_subscription_is_priced_before_it_is_made(shop: Shop) -> None:
    customer = shop.customer(card="")
    items = [{"price": shop.plans["Team"].monthly, "quantity": 4}]
    upcoming = preview(shop, customer=customer, subscription_details={"items": items})
    assert upcoming.total == 8000
    assert shop.v1.subscriptions.list({"customer": customer, "status": "all"}).data == []


def test_who_renews_nothing_has_no_upcoming_invoice(shop: Shop) -> None:
    customer = shop.customer()
    messages = []
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            preview(shop, customer=customer)
        assert (caught.value.http_status, caught.value.code) == (404, "invoice_upcoming_none")
        messages.append(caught.value.user_message)
        shop.subscribe(customer, cancel_at_period_end=True)
    assert messages == [f"No upcoming invoices for customer: '{customer}'"] * 2


@pytest.mark.parametrize(
    ("params", "message", "param"),
    [
        ({}, "Missing required param: customer.", "customer"),
        ({"customer": "cus_none"}, "No such customer: 'cus_none'", "customer"),
        ({"subscription": "sub_none"}, "No such subscription: 'sub_none'", "subscription"),
        ({"schedule": "sub_sched_none"}, "No such subscription_schedule", "schedule"),
        ({"subscription": None, "preview_mode": "past"}, "Invalid preview_mode", "preview_mode"),
        (
            {"subscription": None, "subscription_details": {"items": [{"price": "price_none"}]}},
            "No such price: 'price_none'",
            "subscription_details[items][0][price]",
        ),
        (
            {"subscription": None, "subscription_details": {"nonsense": "1"}},
            "Received unknown parameter",
            "subscription_details[nonsense]",
        ),
    ],
)
def test_a_preview_that_cannot_be_is_refused(
    shop: Shop, params: dict[str, Any], message: str, param: str
) -> None:
    if "subscription" in params and params["subscription"] is None:
        params = {**params, "subscription": shop.subscribe(shop.customer()).id}
    with pytest.raises(stripe.InvalidRequestError, match=message) as caught:
        preview(shop, **params)
    assert caught.value.param == param


def test_a_subscription_of_somebody_else_is_refused(shop: Shop) -> None:
    subscription = shop.subscribe(shop.customer())
    with pytest.raises(stripe.InvalidRequestError, match="does not belong"):
        preview(shop, customer=shop.customer(), subscription=subscription.id)
