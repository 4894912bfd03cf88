"""Test clocks: a few customers' own time, and what happens in it."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.stripe import lifecycle
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from tests.sandbox.shop import Shop
from tests.sandbox.test_api_billing import subscribed as back_dated

DAY = 86400
START = int(datetime(2024, 1, 31, 10, 30, tzinfo=UTC).timestamp())


def clock_at(shop: Shop, moment: int = START) -> str:
    """Return a new clock that stands at a Unix time."""
    return shop.v1.test_helpers.test_clocks.create({"frozen_time": moment, "name": "Ours"}).id


def advance(shop: Shop, clock: str, to: int) -> stripe.test_helpers.TestClock:
    """Advance a clock and return it when it is ready."""
    clocks = shop.v1.test_helpers.test_clocks
    moved = clocks.advance(clock, {"frozen_time": to})
    assert moved.status == "advancing"
    assert moved.status_details.advancing is not None
    assert moved.status_details.advancing.target_frozen_time == to
    deadline = time.monotonic() + 30
    while (moved := clocks.retrieve(clock)).status == "advancing":
        assert time.monotonic() < deadline
    assert (moved.status, moved.frozen_time) == ("ready", to)
    return moved


def subscribed(shop: Shop, clock: str, card: str = "pm_card_visa", **fields: Any) -> Any:
    """Return a customer on a clock and their subscription."""
    customer = shop.customer(card, test_clock=clock)
    return customer, shop.subscribe(customer, **fields)


def invoices(shop: Shop, customer: str) -> list[stripe.Invoice]:
    """Return a customer's invoices, oldest first."""
    listed = shop.v1.invoices.list({"customer": customer, "limit": 100}).data
    return listed[::-1]


def told(shop: Shop, **wish: Any) -> list[stripe.Event]:
    """Return what was told until now, newest first; other tests may have told of the future."""
    until: Any = {"created": {"lte": int(time.time())}, "limit": 100, **wish}
    return shop.v1.events.list(until).data


def day(moment: int | None) -> str:
    """Return the date of a Unix time."""
    assert moment is not None
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def test_everything_of_a_clocked_customer_happens_at_its_time(shop: Shop) -> None:
    clock = clock_at(shop)
    customer, subscription = subscribed(shop, clock)
    assert shop.v1.customers.retrieve(customer).created == START
    assert (subscription.created, subscription.test_clock) == (START, clock)
    (invoice,) = invoices(shop, customer)
    assert (invoice.created, invoice.status, invoice.test_clock) == (START, "paid", clock)
    assert told(shop)[0].created >= time.time() - 60


def test_subscriptions_renew_at_the_clocks_time(shop: Shop) -> None:
    clock = clock_at(shop)
    customer, subscription = subscribed(shop, clock)
    advance(shop, clock, START + 40 * DAY)
    assert [day(one.created) for one in invoices(shop, customer)] == ["2024-01-31", "2024-02-29"]
    assert {one.status for one in invoices(shop, customer)} == {"paid"}
    renewed = shop.subscription(subscription.id)
    assert day(renewed["items"].data[0].current_period_end) == "2024-03-31"
    assert renewed.latest_invoice == invoices(shop, customer)[-1].id
    types = [event.type for event in told(shop)]
    ready, *rest = types[: types.index("test_helpers.test_clock.advancing")]
    assert ready == "test_helpers.test_clock.ready"
    assert {"customer.subscription.updated", "invoice.created", "invoice.paid"} <= set(rest)


def test_a_renewal_is_told_of_with_its_invoice(shop: Shop) -> None:
    clock = clock_at(shop)
    customer, subscription = subscribed(shop, clock)
    first = subscription.latest_invoice
    advance(shop, clock, START + 35 * DAY)
    event = told(shop, type="customer.subscription.updated")[0]
    assert event.data.object["latest_invoice"] == invoices(shop, customer)[-1].id
    previous = event.data["previous_attributes"]
    assert previous["latest_invoice"] == first
    assert "items" in previous


def test_a_trial_is_announced_and_ends(shop: Shop) -> None:
    clock = clock_at(shop)
    customer, subscription = subscribed(shop, clock, trial_period_days=10)
    assert subscription.status == "trialing"
    advance(shop, clock, START + 8 * DAY)
    assert len(shop.events("customer.subscription.trial_will_end", customer)) == 1
    assert shop.subscription(subscription.id).status == "trialing"
    advance(shop, clock, START + 11 * DAY)
    assert shop.subscription(subscription.id).status == "active"
    assert [one.total for one in invoices(shop, customer)] == [0, 14900]


def test_a_failed_renewal_is_tried_again_and_at_last_given_up(shop: Shop) -> None:
    clock = clock_at(shop)
    customer, subscription = subscribed(shop, clock)
    failing = shop.v1.payment_methods.attach(
        "pm_card_chargeCustomerFail", {"customer": customer}
    ).id
    settings: Any = {"invoice_settings": {"default_payment_method": failing}}
    shop.v1.customers.update(customer, settings)
    advance(shop, clock, START + 30 * DAY)
    assert shop.subscription(subscription.id).status == "past_due"
    assert invoices(shop, customer)[-1].attempt_count == 1
    advance(shop, clock, START + 50 * DAY)
    assert invoices(shop, customer)[-1].attempt_count == 4
    assert shop.subscription(subscription.id).status == "canceled"


def test_a_cancellation_happens_when_the_period_ends(shop: Shop) -> None:
    clock = clock_at(shop)
    customer, subscription = subscribed(shop, clock, cancel_at_period_end=True)
    advance(shop, clock, START + 28 * DAY)
    assert shop.subscription(subscription.id).status == "active"
    advance(shop, clock, START + 30 * DAY)
    ended = shop.subscription(subscription.id)
    assert (ended.status, day(ended.ended_at)) == ("canceled", "2024-02-29")
    assert len(invoices(shop, customer)) == 1


def test_no_other_time_touches_a_clocked_customer(shop: Shop) -> None:
    customer, subscription = subscribed(shop, clock_at(shop))
    body = {"customer": customer, "to": START + 90 * DAY}
    answer = httpx.post(f"{shop.origin}/_control/advance", json=body)
    assert answer.status_code == 400
    other, _ = back_dated(shop, START)
    shop.advance(other, START + 40 * DAY)
    assert len(invoices(shop, other)) == 2
    assert len(invoices(shop, customer)) == 1
    assert shop.subscription(subscription.id).to_dict() == subscription.to_dict()


def test_lists_show_what_is_on_a_clock_only_when_asked(shop: Shop) -> None:
    clock = clock_at(shop)
    customer, subscription = subscribed(shop, clock)
    listed = shop.v1.customers.list({"test_clock": clock}).data
    assert [one.id for one in listed] == [customer]
    assert customer not in [one.id for one in shop.v1.customers.list({"limit": 100}).data]
    of_clock = shop.v1.subscriptions.list({"test_clock": clock}).data
    assert [one.id for one in of_clock] == [subscription.id]
    of_customer = shop.v1.subscriptions.list({"customer": customer}).data
    assert [one.id for one in of_customer] == [subscription.id]
    everywhere = shop.v1.subscriptions.list({"limit": 100}).data
    assert subscription.id not in [one.id for one in everywhere]


def test_a_clock_takes_its_customers_with_it(shop: Shop) -> None:
    clock = clock_at(shop)
    customer, subscription = subscribed(shop, clock)
    assert clock in [one.id for one in shop.v1.test_helpers.test_clocks.list().data]
    assert shop.v1.test_helpers.test_clocks.delete(clock).deleted
    assert shop.v1.customers.retrieve(customer).deleted
    assert shop.subscription(subscription.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="No such test_helpers"):
        shop.v1.test_helpers.test_clocks.retrieve(clock)


def test_a_clock_goes_only_so_far_and_never_back(shop: Shop) -> None:
    clock = clock_at(shop)
    clocks = shop.v1.test_helpers.test_clocks
    with pytest.raises(stripe.InvalidRequestError, match="after its current frozen time"):
        clocks.advance(clock, {"frozen_time": START})
    subscribed(shop, clock)
    with pytest.raises(stripe.InvalidRequestError, match="more than two intervals"):
        clocks.advance(clock, {"frozen_time": START + 70 * DAY})
    for _ in range(2):
        shop.customer(test_clock=clock)
    with pytest.raises(stripe.InvalidRequestError, match="at most 3 customers"):
        shop.customer(test_clock=clock)
    with pytest.raises(stripe.InvalidRequestError, match="No such test_helpers"):
        shop.customer(test_clock="clock_none")


def test_while_a_clock_advances_one_may_look_but_not_touch(tmp_path: Path) -> None:
    account = Account(Store(tmp_path / "sandbox.db"), "http://127.0.0.1:1")
    clock = account.call("post", "/v1/test_helpers/test_clocks", {"frozen_time": START})["id"]
    customer = account.call("post", "/v1/customers", {"test_clock": clock})["id"]
    path = f"/v1/test_helpers/test_clocks/{clock}"
    account.call("post", f"{path}/advance", {"frozen_time": START + DAY})
    with pytest.raises(StripeError, match="Test clock advancement underway"):
        account.perform("POST", f"/v1/customers/{customer}", {"name": "Ada"})
    assert account.perform("GET", f"/v1/customers/{customer}", {})["name"] is None
    while lifecycle.step_test_clocks(account):
        pass
    assert account.call("get", path)["status"] == "ready"
    assert account.call("post", f"/v1/customers/{customer}", {"name": "Ada"})["name"] == "Ada"
