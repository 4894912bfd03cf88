"""What Polar's driver tells of a customer, of everybody, and of what is sold."""

from datetime import timedelta
from typing import Any

import pytest

from billing_ui.clock import from_unix, utc_now
from billing_ui.payments.polar import snapshot as module
from billing_ui.payments.types import CatalogSnapshot, CursorGone, Listing, NoCustomer
from billing_ui.sandbox.core.periods import DAY
from billing_ui.sandbox.shop.model import Customer, Event, Interval, Invoice, Product, Subscription
from tests.unit.payments.polar_shop import Polar
from tests.unit.payments.requests import payer

NO_CATALOG = CatalogSnapshot(provider="polar", products=())
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def renewing(polar: Polar, times: int) -> Customer:
    """Return a customer who has paid every week for so many weeks."""
    plan = polar.plan("Weekly", 700, interval=Interval.WEEK)
    begin = int(utc_now().timestamp()) - times * 7 * DAY + DAY
    with polar.shop.at(begin):
        customer = polar.subscriber(plan)
    polar.shop.advance(int(utc_now().timestamp()), customer.id)
    return customer


# ---------------------------------------------------------------- snapshots


async def test_a_snapshot_takes_four_calls(polar: Polar) -> None:
    driver, customer = polar.driver(), polar.subscriber(polar.plan())
    told = await driver.fetch_snapshot(customer.id)
    assert len(polar.calls) == module.SNAPSHOT_CALLS == driver.capabilities.snapshot_calls
    assert len(told.subscriptions) == len(told.payment_methods) == len(told.invoices) == 1
    await driver.close()


@pytest.mark.parametrize("bought", [True, False])
async def test_a_deleted_customer_is_told_from_an_unknown_one(bought: bool, polar: Polar) -> None:
    driver = polar.driver()
    customer = (
        polar.subscriber(polar.plan()).id if bought else await driver.ensure_customer(payer())
    )
    polar.shop.delete_customer(customer)
    told = await driver.fetch_snapshot(customer)
    assert (told.customer.id, told.customer.deleted) == (customer, True)
    assert (told.subscriptions, len(told.invoices)) == ((), int(bought))
    await driver.close()


@pytest.mark.parametrize("customer", [UNKNOWN, "cus_1", "../orders", "", UNKNOWN + "/state"])
async def test_nobody_is_no_customer(customer: str, polar: Polar) -> None:
    driver = polar.driver()
    with pytest.raises(NoCustomer):
        await driver.fetch_snapshot(customer)
    assert customer == UNKNOWN or polar.calls == []
    await driver.close()


async def test_the_newest_orders_are_told_and_older_ones_when_asked_for(
    polar: Polar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INVOICES", 4)
    driver, customer = polar.driver(), renewing(polar, 10)
    every = [one.id for one in polar.shop.find(Invoice, customer=customer.id)]
    told = await driver.fetch_snapshot(customer.id)
    assert [one.id for one in told.invoices] == every[:4]

    asked = await driver.fetch_snapshot(customer.id, invoices=(every[9], every[0], UNKNOWN, "in_1"))
    assert [one.id for one in asked.invoices] == [*every[:4], every[9]]
    assert asked.deleted_invoices == (UNKNOWN, "in_1")

    since = from_unix(polar.shop.get(Invoice, every[5]).created)
    later = await driver.fetch_snapshot(customer.id, invoices_since=since)
    assert [one.id for one in later.invoices][:6] == every[:6]
    await driver.close()


async def test_another_customers_order_is_not_told(polar: Polar) -> None:
    driver, plan = polar.driver(), polar.plan()
    one, other = polar.subscriber(plan), polar.subscriber(plan, "grace@example.com")
    [foreign] = polar.shop.find(Invoice, customer=other.id)
    told = await driver.fetch_snapshot(one.id, invoices=(foreign.id,))
    assert foreign.id not in {invoice.id for invoice in told.invoices}
    assert told.deleted_invoices == (foreign.id,)
    await driver.close()


async def test_an_order_given_back_in_part_or_whole_is_told(polar: Polar) -> None:
    driver, customer = polar.driver(), polar.subscriber(polar.plan())
    [invoice] = polar.shop.find(Invoice, customer=customer.id)
    statuses = []
    for amount in (100, None):
        polar.shop.refund(invoice.id, amount)
        [told] = (await driver.fetch_snapshot(customer.id)).invoices
        statuses.append(told.status)
    assert statuses == ["partially_refunded", "refunded"]
    await driver.close()


async def test_a_failed_payment_is_past_due_and_says_when_it_is_tried_again(polar: Polar) -> None:
    driver, customer = polar.driver(), polar.subscriber(polar.plan())
    polar.shop.add_card(customer.id, "4000000000000341")
    [subscription] = polar.shop.find(Subscription, customer=customer.id)
    polar.shop.advance(subscription.period_end + 60, customer.id)
    told = await driver.fetch_snapshot(customer.id)
    assert (told.subscriptions[0].state, told.invoices[0].status) == ("past_due", "open")
    assert told.invoices[0].amount_remaining == 14900
    assert told.invoices[0].next_attempt_at == from_unix(subscription.period_end + 3 * DAY)
    await driver.close()


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize("listing", Listing)
async def test_a_range_of_time_is_looked_at_here(listing: Listing, polar: Polar) -> None:
    driver, plan = polar.driver(), polar.plan()
    now = int(utc_now().timestamp())
    for days in (3, 2, 1):
        with polar.shop.at(now - days * DAY):
            polar.subscriber(plan, f"{days}@example.com")

    async def count(**bounds: Any) -> tuple[int, str | None]:
        page = await driver.list_page(listing, NO_CATALOG, **bounds)
        return len(page.snapshots), page.cursor

    border = from_unix(now - 2 * DAY)
    assert await count() == (3, None)
    assert await count(created_from=border) == (2, None)
    assert await count(created_to=border) == (1, None)
    assert await count(created_from=border, created_to=border + timedelta(seconds=1)) == (1, None)
    await driver.close()


@pytest.mark.parametrize("cursor", ["", "0", "-1", "x", "٣", "1" * 20])
async def test_a_cursor_that_is_none_of_ours_leads_nowhere(cursor: str, polar: Polar) -> None:
    driver = polar.driver()
    with pytest.raises(CursorGone):
        await driver.list_page(Listing.CUSTOMERS, NO_CATALOG, cursor=cursor)
    await driver.close()


async def test_a_page_after_the_last_is_empty(polar: Polar) -> None:
    driver = polar.driver()
    page = await driver.list_page(Listing.INVOICES, NO_CATALOG, cursor="7")
    assert (page.snapshots, page.count, page.reached, page.cursor) == ((), 0, None, None)
    await driver.close()


# ---------------------------------------------------------------- the catalogue


async def test_what_is_sold_is_told_with_what_belongs_to_it(polar: Polar) -> None:
    driver = polar.driver()
    yearly = polar.plan(
        "Pro yearly", 149000, interval=Interval.YEAR, features=("Audit log", "Support")
    )
    seats = polar.plan("Team", 2000, unit_label="seat")
    old = polar.plan("Legacy", 100)
    polar.shop.update_product(old.id, archived=True)
    catalog = {one.id: one for one in (await driver.fetch_catalog()).products}
    assert catalog[yearly.id].features == ("Audit log", "Support")
    [price] = catalog[yearly.id].prices
    assert (price.id, price.amounts, price.interval) == (yearly.id, {"usd": 149000}, "year")
    assert catalog[seats.id].unit_label == "seat"
    assert catalog[seats.id].prices[0].amounts == {"usd": 2000}
    assert not catalog[old.id].active
    await driver.close()


async def test_products_stand_by_their_position_and_then_by_what_they_cost(polar: Polar) -> None:
    driver = polar.driver()
    polar.plan("Dear", 9900)
    polar.plan("Cheap", 900)
    polar.plan("First", 50000, metadata={"position": 1})
    polar.plan("Odd", 1, metadata={"position": "x"})
    told = [one.name for one in (await driver.fetch_catalog()).products]
    assert told == ["First", "Odd", "Cheap", "Dear"]
    await driver.close()


# ---------------------------------------------------------------- the log


async def test_the_log_is_walked_from_a_moment_newest_first_over_all_its_pages(
    polar: Polar,
) -> None:
    driver, plan = polar.driver(), polar.plan()
    now = int(utc_now().timestamp())
    with polar.shop.at(now - 5 * DAY):
        polar.subscriber(plan, "early@example.com")
    late = []
    for number in range(60):
        with polar.shop.at(now - DAY + number):
            late.append(polar.subscriber(plan, f"{number}@example.com").id)
    events = [event async for event in driver.list_events(from_unix(now - DAY))]
    assert len(events) > 100
    assert {event.customer_id for event in events} == set(late)
    assert [one.created_at for one in events] == sorted(
        (one.created_at for one in events), reverse=True
    )
    assert len({event.id for event in events}) == len(events)
    await driver.close()


async def test_the_log_is_read_whatever_else_is_in_it(polar: Polar) -> None:
    driver, customer = polar.driver(), polar.subscriber(polar.plan())
    polar.shop.update_product(polar.shop.find(Product)[0].id, name="Renamed")
    assert polar.shop.find(Event)[0].type == "product.updated"
    polar.shop.delete_customer(customer.id)
    events = [event async for event in driver.list_events(utc_now() - timedelta(hours=1))]
    assert "customer.deleted" in {event.type for event in events}
    assert {event.customer_id for event in events} == {customer.id}
    await driver.close()
