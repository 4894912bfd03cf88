"""Subscriptions and invoices: what is billed, when, and what is told of it."""

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.shop import Shop

DAY = 86400
START = int(datetime(2024, 1, 31, 10, 30, tzinfo=UTC).timestamp())


def batch(shop: Shop, *calls: dict[str, Any]) -> list[dict[str, Any]]:
    """Run calls, each with `path`, `params` and `at`, and return their answers."""
    listed = [{"method": "post", **call} for call in calls]
    answer = httpx.post(f"{shop.origin}/_control/batch", json={"calls": listed})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def subscribed(shop: Shop, at: int = START, card: str = "pm_card_visa", **fields: Any) -> Any:
    """Return a customer's id and a subscription that began at a Unix time."""
    settings = {"default_payment_method": card}
    paying = {"payment_method": card, "invoice_settings": settings} if card else {}
    items = [{"price": shop.plans["Pro"].monthly}]
    customer, subscription = batch(
        shop,
        {"path": "/v1/customers", "params": paying, "at": at, "as": "customer"},
        {
            "path": "/v1/subscriptions",
            "params": {"customer": "{customer.id}", "items": items, **fields},
            "at": at,
        },
    )
    return customer["id"], subscription["id"]


def advance(shop: Shop, customer: str, to: int) -> None:
    """Let time pass for a customer."""
    body = {"customer": customer, "to": to}
    httpx.post(f"{shop.origin}/_control/advance", json=body).raise_for_status()


def invoices(shop: Shop, customer: str) -> list[stripe.Invoice]:
    """Return a customer's invoices, oldest first."""
    listed = shop.v1.invoices.list({"customer": customer, "limit": 100}).auto_paging_iter()
    return list(listed)[::-1]


def date(moment: int | None) -> str:
    """Return a Unix time's date."""
    assert moment is not None
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def test_the_first_invoice_is_paid_when_the_subscription_begins(shop: Shop) -> None:
    subscription = shop.subscribe(shop.customer(), quantity=2)
    assert subscription.status == "active"
    item = subscription["items"].data[0]
    assert item.current_period_end > item.current_period_start
    assert isinstance(subscription.latest_invoice, str)
    invoice = shop.v1.invoices.retrieve(subscription.latest_invoice, {"expand": ["payments"]})
    assert (invoice.status, invoice.total, invoice.amount_paid) == ("paid", 29800, 29800)
    assert invoice.billing_reason == "subscription_create"
    assert invoice.parent is not None
    assert invoice.parent.subscription_details is not None
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert invoice.lines.data[0].description == "2 × Pro (at $149.00 / month)"
    assert invoice.payments is not None
    assert invoice.payments.data[0].amount_paid == 29800


def test_a_subscription_can_be_paid_in_another_currency_of_its_price(shop: Shop) -> None:
    subscription = shop.subscribe(shop.customer(), currency="eur")
    assert subscription.currency == "eur"
    assert invoices(shop, str(subscription.customer))[0].total == 14800


def test_without_a_card_there_is_no_subscription(shop: Shop) -> None:
    customer = shop.customer(card="")
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        shop.subscribe(customer)
    assert shop.v1.subscriptions.list({"customer": customer, "status": "all"}).data == []


def test_a_card_that_fails_leaves_it_incomplete_until_it_expires(shop: Shop) -> None:
    customer, subscription = subscribed(shop, card="pm_card_chargeCustomerFail")
    assert shop.subscription(subscription).status == "incomplete"
    invoice = invoices(shop, customer)[0]
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    advance(shop, customer, START + DAY)
    assert shop.subscription(subscription).status == "incomplete_expired"
    assert invoices(shop, customer)[0].status == "void"


def test_error_if_incomplete_makes_nothing(shop: Shop) -> None:
    customer = shop.customer(card="pm_card_chargeCustomerFail")
    with pytest.raises(stripe.CardError):
        shop.subscribe(customer, payment_behavior="error_if_incomplete")
    assert shop.v1.subscriptions.list({"customer": customer, "status": "all"}).data == []
    assert invoices(shop, customer) == []


def test_default_incomplete_waits_for_its_payment_intent(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(
        customer, payment_behavior="default_incomplete", expand=["latest_invoice.payments"]
    ).to_dict()
    assert made["status"] == "incomplete"
    intent = made["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"]
    shop.v1.payment_intents.confirm(intent, {"payment_method": shop.default_card(customer) or ""})
    assert shop.subscription(made["id"]).status == "active"


def test_a_failed_payment_is_kept_although_the_call_fails(shop: Shop) -> None:
    customer, _ = subscribed(shop, at=int(time.time()), card="pm_card_chargeCustomerFail")
    invoice = invoices(shop, customer)[0]
    with pytest.raises(stripe.CardError) as caught:
        shop.v1.invoices.pay(invoice.id)
    assert caught.value.http_status == 402
    assert invoices(shop, customer)[0].attempt_count == 2


# -------------------------------------------------------------------------------------- changes


def test_more_seats_are_charged_for_the_rest_of_the_period(shop: Shop) -> None:
    customer, subscription = subscribed(shop, at=START)
    item = shop.subscription(subscription)["items"].data[0]
    middle = (item.current_period_start + item.current_period_end) // 2
    batch(
        shop,
        {
            "path": f"/v1/subscriptions/{subscription}",
            "params": {"items": [{"id": item.id, "quantity": 3}]},
            "at": middle,
        },
    )
    pending = shop.v1.invoice_items.list({"customer": customer, "pending": True}).data
    assert [entry.amount for entry in pending] == [22350, -7450]
    assert all(entry.proration for entry in pending)
    advance(shop, customer, item.current_period_end + DAY)
    renewal = invoices(shop, customer)[-1]
    assert renewal.billing_reason == "subscription_cycle"
    assert [line.amount for line in renewal.lines.data] == [-7450, 22350, 44700]
    assert renewal.total == 59600


def test_another_interval_begins_a_new_period_and_is_billed_at_once(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    item = made["items"].data[0].id
    changed = shop.v1.subscriptions.update(
        made.id, {"items": [{"id": item, "price": shop.plans["Pro"].yearly}]}
    )
    new = changed["items"].data[0]
    assert new.price.id == shop.plans["Pro"].yearly
    assert new.current_period_end - new.current_period_start > 360 * DAY
    invoice = invoices(shop, customer)[-1]
    assert invoice.billing_reason == "subscription_update"
    assert changed.latest_invoice == invoice.id
    assert invoice.total == pytest.approx(149000 - 14900, abs=2)


def test_proration_can_be_left_out_or_billed_at_once(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    item = made["items"].data[0].id
    swap: Any = {"items": [{"id": item, "price": shop.plans["Team"].monthly}]}
    swap["proration_behavior"] = "none"
    shop.v1.subscriptions.update(made.id, swap)
    assert shop.v1.invoice_items.list({"customer": customer}).data == []
    swap = {"items": [{"id": item, "quantity": 10}], "proration_behavior": "always_invoice"}
    shop.v1.subscriptions.update(made.id, swap)
    assert invoices(shop, customer)[-1].billing_reason == "subscription_update"
    assert invoices(shop, customer)[-1].total == pytest.approx(18000, abs=2)


def test_a_downgrade_credits_the_customers_balance(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    swap: Any = {
        "items": [{"id": made["items"].data[0].id, "price": shop.plans["Starter"].monthly}],
        "proration_behavior": "always_invoice",
    }
    shop.v1.subscriptions.update(made.id, swap)
    invoice = invoices(shop, customer)[-1]
    assert (invoice.status, invoice.amount_due) == ("paid", 0)
    assert shop.v1.customers.retrieve(customer).balance == invoice.total < 0


def test_cancelling_at_the_period_end_can_be_taken_back(shop: Shop) -> None:
    made = shop.subscribe(shop.customer())
    end = made["items"].data[0].current_period_end
    cancelled = shop.v1.subscriptions.update(
        made.id, {"cancel_at": "min_period_end", "cancellation_details": {"feedback": "unused"}}
    )
    assert (cancelled.cancel_at, cancelled.cancel_at_period_end) == (end, False)
    assert cancelled.cancellation_details is not None
    assert cancelled.cancellation_details.feedback == "unused"
    kept = shop.v1.subscriptions.update(made.id, {"cancel_at": ""})
    assert (kept.cancel_at, kept.canceled_at, kept.status) == (None, None, "active")


# --------------------------------------------------------------------------------- time passing


def test_renewals_follow_the_anchor_through_short_months(shop: Shop) -> None:
    customer, subscription = subscribed(shop)
    advance(shop, customer, START + 130 * DAY)
    periods = [(date(i.lines.data[0].period.start)) for i in invoices(shop, customer)]
    assert periods == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]
    assert {invoice.status for invoice in invoices(shop, customer)} == {"paid"}
    item = shop.subscription(subscription)["items"].data[0]
    assert date(item.current_period_end) == "2024-06-30"


def test_a_renewal_is_drafted_and_an_hour_later_paid(shop: Shop) -> None:
    customer, subscription = subscribed(shop)
    end = shop.subscription(subscription)["items"].data[0].current_period_end
    advance(shop, customer, end + 60)
    draft = invoices(shop, customer)[-1]
    assert (draft.status, draft.created, draft.number) == ("draft", end, None)
    advance(shop, customer, end + 3600)
    paid = invoices(shop, customer)[-1]
    assert (paid.id, paid.status, paid.status_transitions.paid_at) == (draft.id, "paid", end + 3600)


def test_a_trial_is_announced_ends_and_is_billed(shop: Shop) -> None:
    customer, subscription = subscribed(shop, trial_period_days=14)
    trial = shop.subscription(subscription)
    assert (trial.status, trial.trial_end) == ("trialing", START + 14 * DAY)
    assert invoices(shop, customer)[0].total == 0
    advance(shop, customer, START + 12 * DAY)
    assert len(shop.events("customer.subscription.trial_will_end", customer)) == 1
    assert shop.subscription(subscription).status == "trialing"
    advance(shop, customer, START + 15 * DAY)
    assert shop.subscription(subscription).status == "active"
    assert invoices(shop, customer)[-1].total == 14900


@pytest.mark.parametrize(("wish", "status"), [("cancel", "canceled"), ("pause", "paused")])
def test_a_trial_without_a_card_ends_as_asked(shop: Shop, wish: str, status: str) -> None:
    customer, subscription = subscribed(
        shop,
        card="",
        trial_period_days=14,
        trial_settings={"end_behavior": {"missing_payment_method": wish}},
    )
    advance(shop, customer, START + 15 * DAY)
    assert shop.subscription(subscription).status == status
    assert len(invoices(shop, customer)) == 1


@pytest.mark.parametrize(
    "change", [{"cancel_at_period_end": True}, {"cancel_at": "min_period_end"}]
)
def test_what_is_to_be_cancelled_ends_with_its_period(shop: Shop, change: dict[str, Any]) -> None:
    customer, subscription = subscribed(shop)
    path = f"/v1/subscriptions/{subscription}"
    batch(shop, {"path": path, "params": change, "at": START + DAY})
    end = shop.subscription(subscription).cancel_at
    assert date(end) == "2024-02-29"
    advance(shop, customer, START + 60 * DAY)
    ended = shop.subscription(subscription)
    assert (ended.status, ended.ended_at, ended.canceled_at) == ("canceled", end, START + DAY)
    assert len(invoices(shop, customer)) == 1
    assert shop.events("customer.subscription.deleted", customer)[0]["id"] == subscription


def test_a_renewal_that_fails_is_past_due_tried_again_and_given_up(shop: Shop) -> None:
    customer, subscription = subscribed(shop)
    settings = {"invoice_settings": {"default_payment_method": "pm_card_chargeCustomerFail"}}
    batch(shop, {"path": f"/v1/customers/{customer}", "params": settings, "at": START + DAY})
    advance(shop, customer, START + 31 * DAY)
    assert shop.subscription(subscription).status == "past_due"
    owed = invoices(shop, customer)[-1]
    assert (owed.status, owed.attempt_count) == ("open", 1)
    assert date(owed.next_payment_attempt) == "2024-03-03"
    assert shop.v1.customers.retrieve(customer).delinquent is True
    advance(shop, customer, START + 35 * DAY)
    assert invoices(shop, customer)[-1].attempt_count == 2
    advance(shop, customer, START + 55 * DAY)
    ended = shop.subscription(subscription)
    assert ended.status == "canceled"
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "payment_failed"
    assert invoices(shop, customer)[-1].next_payment_attempt is None


@pytest.mark.parametrize(
    ("then", "later"), [("unpaid", "draft"), ("past_due", "open"), ("cancel", None)]
)
def test_what_was_tried_in_vain_becomes_what_the_owner_has_chosen(
    shop: Shop, then: str, later: str | None
) -> None:
    customer, subscription = subscribed(shop)
    settings = {"invoice_settings": {"default_payment_method": "pm_card_chargeCustomerFail"}}
    batch(shop, {"path": f"/v1/customers/{customer}", "params": settings, "at": START + DAY})
    choice = httpx.post(f"{shop.origin}/_control/dunning", json={"then": then})
    choice.raise_for_status()
    advance(shop, customer, START + 55 * DAY)
    assert shop.subscription(subscription).status == ("canceled" if later is None else then)
    assert [invoice.status for invoice in invoices(shop, customer)] == ["paid", "open"]
    advance(shop, customer, START + 63 * DAY)
    # What is billed to somebody who is on hold is not charged.
    assert [invoice.status for invoice in invoices(shop, customer)][2:] == (
        [later] if later else []
    )
    httpx.post(f"{shop.origin}/_control/dunning", json={"then": "cancel"}).raise_for_status()


def test_a_new_card_heals_what_was_past_due(shop: Shop) -> None:
    customer, subscription = subscribed(shop)
    settings = {"invoice_settings": {"default_payment_method": "pm_card_chargeCustomerFail"}}
    batch(shop, {"path": f"/v1/customers/{customer}", "params": settings, "at": START + DAY})
    advance(shop, customer, START + 31 * DAY)
    card = shop.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer}).id
    paid = shop.v1.invoices.pay(invoices(shop, customer)[-1].id, {"payment_method": card})
    assert (paid.status, paid.next_payment_attempt) == ("paid", None)
    assert shop.subscription(subscription).status == "active"
    assert shop.v1.customers.retrieve(customer).delinquent is False


@pytest.mark.parametrize(
    ("behavior", "status"),
    [("keep_as_draft", "draft"), ("void", "void"), ("mark_uncollectible", "uncollectible")],
)
def test_paused_collection_charges_nothing(shop: Shop, behavior: str, status: str) -> None:
    customer, subscription = subscribed(shop)
    params = {"pause_collection": {"behavior": behavior, "resumes_at": START + 40 * DAY}}
    path = f"/v1/subscriptions/{subscription}"
    batch(shop, {"path": path, "params": params, "at": START + DAY})
    advance(shop, customer, START + 31 * DAY)
    assert shop.subscription(subscription).status == "active"
    assert invoices(shop, customer)[-1].status == status
    advance(shop, customer, START + 61 * DAY)
    assert shop.subscription(subscription).pause_collection is None
    assert invoices(shop, customer)[-1].status == "paid"


# ------------------------------------------------------------------------------- checkout pages


def paid_page(shop: Shop, session: str, card: str = "tok_visa") -> httpx.Response:
    """Pay a checkout session, as Stripe's own CLI does."""
    method = shop.v1.payment_methods.create(
        {
            "type": "card",
            "card": {"token": card},
            "billing_details": {"email": "buyer@example.com", "name": "Buyer"},
        }
    )
    headers = {"Authorization": "Bearer sk_test_page"}
    url = f"{shop.origin}/v1/payment_pages/{session}"
    page = httpx.get(url, headers=headers).json()
    data = {"payment_method": method.id, "expected_amount": page["amount"]}
    return httpx.post(f"{url}/confirm", headers=headers, data=data)


def test_a_paid_page_makes_customer_subscription_and_event(shop: Shop) -> None:
    setup = shop.v1.prices.create(
        {"product_data": {"name": "Setup"}, "currency": "usd", "unit_amount": 5000}
    )
    made = shop.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [
                {"price": shop.plans["Team"].monthly, "quantity": 4},
                {"price": setup.id, "quantity": 1},
            ],
            "success_url": "https://app.example.com/done",
            "subscription_data": {"metadata": {"team": "7"}},
        }
    )
    assert made.amount_total == 13000
    assert paid_page(shop, made.id).json()["state"] == "succeeded"
    done = shop.v1.checkout.sessions.retrieve(made.id, {"expand": ["subscription", "customer"]})
    whole = done.to_dict()
    assert (whole["status"], whole["payment_status"], whole["url"]) == ("complete", "paid", None)
    assert whole["customer"]["email"] == "buyer@example.com"
    assert whole["subscription"]["status"] == "active"
    assert whole["subscription"]["metadata"] == {"team": "7"}
    assert invoices(shop, whole["customer"]["id"])[0].total == 13000
    told = shop.v1.events.list({"type": "checkout.session.completed", "limit": 1}).data[0]
    assert told.to_dict()["data"]["object"]["id"] == made.id
    assert paid_page(shop, made.id).status_code == 400


def test_a_single_payment_makes_no_subscription(shop: Shop) -> None:
    price_data: Any = {"currency": "usd", "unit_amount": 700, "product_data": {"name": "Mug"}}
    made = shop.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price_data": price_data, "quantity": 3}],
            "success_url": "https://app.example.com/done",
            "payment_intent_data": {
                "metadata": {"order": "9"},
                "shipping": {"name": "Buyer", "address": {"line1": "1 Main St", "city": "Hope"}},
            },
        }
    )
    paid_page(shop, made.id)
    done = shop.v1.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent"]}).to_dict()
    assert (done["subscription"], done["customer"]) == (None, None)
    intent = done["payment_intent"]
    assert (intent["amount_received"], intent["status"]) == (2100, "succeeded")
    assert intent["metadata"] == {"order": "9"}
    assert intent["shipping"]["address"]["city"] == "Hope"


def test_a_page_whose_card_fails_leaves_nothing_behind(shop: Shop) -> None:
    made = shop.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price": shop.plans["Pro"].monthly, "quantity": 1}],
            "success_url": "https://app.example.com/done",
        }
    )
    answer = paid_page(shop, made.id, "tok_chargeCustomerFail")
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "card_declined")
    left = shop.v1.checkout.sessions.retrieve(made.id)
    assert (left.status, left.customer, left.subscription) == ("open", None, None)


# --------------------------------------------------------------------------------------- events


def test_an_update_is_told_with_its_former_values(shop: Shop) -> None:
    customer = shop.customer(metadata={"plan": "old", "kept": "yes"})
    shop.v1.customers.update(customer, {"name": "Renamed", "metadata": {"plan": "new"}})
    event = shop.v1.events.list({"type": "customer.updated", "limit": 1}).data[0]
    told = event.to_dict()
    assert told["data"]["object"]["name"] == "Renamed"
    assert told["data"]["previous_attributes"] == {
        "metadata": {"plan": "old"},
        "name": "Northwind Labs",
    }
    assert told["request"]["id"].startswith("req_")
    assert told["api_version"] == stripe.api_version
    assert shop.v1.events.retrieve(event.id).id == event.id


def test_what_changes_nothing_tells_nothing(shop: Shop) -> None:
    customer = shop.customer()
    before = shop.v1.events.list({"limit": 1}).data[0].id
    shop.v1.customers.update(customer, {"name": "Northwind Labs"})
    assert shop.v1.events.list({"limit": 1}).data[0].id == before


def test_a_detached_card_is_told_with_whose_it_was(shop: Shop) -> None:
    customer = shop.customer()
    shop.v1.payment_methods.detach(shop.default_card(customer) or "")
    event = shop.v1.events.list({"type": "payment_method.detached", "limit": 1}).data[0].to_dict()
    assert event["data"]["object"]["customer"] is None
    assert event["data"]["previous_attributes"] == {"customer": customer}


def test_a_subscription_tells_its_whole_story(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    shop.v1.customers.delete(customer)
    told = [event.type for event in shop.v1.events.list({"limit": 30}).data][::-1]
    story = [
        "customer.created",
        "payment_method.attached",
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.deleted",
    ]
    start = len(told) - 1 - told[::-1].index("customer.created")
    assert [
        type_ for type_ in told[start:] if type_ in story and type_ != "customer.updated"
    ] == story
    assert shop.subscription(made.id).status == "canceled"


def test_events_are_listed_by_type_and_time(shop: Shop) -> None:
    shop.customer()
    types: Any = ["customer.created", "payment_method.attached"]
    listed = shop.v1.events.list({"types": types, "limit": 2}).data
    assert {event.type for event in listed} == set(types)
    future: Any = {"created": {"gt": int(time.time()) + 60}}
    assert shop.v1.events.list(future).data == []
    assert shop.v1.events.list({"delivery_success": False}).data == []
