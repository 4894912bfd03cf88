"""What the driver tells of a customer of Lemon Squeezy's, and of a whole store page by page."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing_ui.clock import utc_now
from billing_ui.payments.lemonsqueezy import LemonSqueezyDriver, client, snapshot
from billing_ui.payments.types import (
    CatalogSnapshot,
    CursorGone,
    ListedPage,
    Listing,
    SubscriptionState,
)
from billing_ui.sandbox.shop.model import Invoice, Price, Subscription
from tests.unit.payments.lemon import Lemon, document, lemon_driver, one, page, serving_lemon
from tests.unit.payments.scripted import ScriptedServer, json_answer

DAY = 86_400
NO_CATALOG = CatalogSnapshot(provider="lemonsqueezy", products=())


@pytest.fixture
async def lemon() -> AsyncIterator[Lemon]:
    """A running Lemon Squeezy."""
    async with serving_lemon() as served:
        yield served


@pytest.fixture
async def driver(lemon: Lemon) -> AsyncIterator[LemonSqueezyDriver]:
    """A driver on it."""
    opened = lemon_driver(lemon.url)
    yield opened
    await opened.close()


# ---------------------------------------------------------------- one customer


async def test_who_cannot_pay_is_told_when_it_is_tried_again(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    customer = lemon.subscriber(lemon.plan())
    lemon.shop.add_card(customer, "4000000000000341")
    [subscription] = lemon.shop.find(Subscription)
    lemon.shop.advance(subscription.period_end, customer)
    told = await driver.fetch_snapshot(customer)
    [late] = told.subscriptions
    assert (late.state, late.current_period_end) == (SubscriptionState.PAST_DUE, None)
    [owed] = [invoice for invoice in told.invoices if invoice.status == "open"]
    assert owed.next_attempt_at == datetime.fromtimestamp(subscription.period_end + 3 * DAY, UTC)
    assert owed.amount_remaining == owed.total


async def test_who_bought_at_an_older_price_still_pays_that_and_it_is_asked_for_once(
    scripted: ScriptedServer,
) -> None:
    times = {"created_at": "2026-01-03T10:00:00Z"}
    customer = document("customers", "3", store_id=1, name="Ada", email="a@x.test", **times)
    bought = [
        document(
            "subscriptions",
            number,
            store_id=1,
            customer_id=3,
            product_id=11,
            variant_id=12,
            product_name="Pro",
            status="active",
            first_subscription_item={"id": 70, "price_id": 90, "quantity": 1},
            **times,
        )
        for number in ("7", "8")
    ]
    terms = {"variant_id": 12, "category": "subscription", "scheme": "standard"}
    newer = document("prices", "91", **terms, unit_price=2500, **times)
    older = document("prices", "90", **terms, unit_price=2000, **times)
    answers = {
        "/v1/stores/1": one(document("stores", "1", name="Acme", currency="EUR")),
        "/v1/customers/3": one(customer, *bought),
        "/v1/prices": page(newer),
        "/v1/prices/90": one(older),
        "/v1/subscription-invoices": page(),
    }

    async def answer(request):  # type: ignore[no-untyped-def]
        return await json_answer(answers[request.path])(request)

    scripted.answers = [answer]
    driver = lemon_driver(scripted.url)
    told = (await driver.fetch_snapshot("3")).subscriptions
    await driver.close()
    assert [(each.items[0].unit_amount, each.currency) for each in told] == [(2000, "eur")] * 2
    assert [seen.path for seen in scripted.seen].count("/v1/prices/90") == 1


async def test_a_trial_is_told_at_the_price_it_is_going_to_have(
    lemon: Lemon, driver: LemonSqueezyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One price on a page: the plan's own is not on the first any more.
    monkeypatch.setattr(client, "PAGE", 1)
    plan = lemon.plan("Pro", 14900)
    customer = lemon.subscriber(plan, trial_days=14)
    lemon.plan("Newer", 900)
    [trial] = (await driver.fetch_snapshot(customer)).subscriptions
    assert (trial.state, trial.items[0].unit_amount) == (SubscriptionState.TRIALING, 14900)


async def test_the_newest_invoices_are_told_and_every_one_since_a_day(
    lemon: Lemon, driver: LemonSqueezyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "INVOICES", 3)
    monkeypatch.setattr(client, "PAGE", 2)
    began = int(utc_now().timestamp()) - 400 * DAY
    with lemon.shop.at(began):
        customer = lemon.subscriber(lemon.plan())
    lemon.shop.advance(int(utc_now().timestamp()), customer)
    every = [invoice.id for invoice in lemon.shop.find(Invoice)]
    assert len(every) > 10

    newest = await driver.fetch_snapshot(customer)
    assert [invoice.id for invoice in newest.invoices] == every[:3]

    since = utc_now() - timedelta(days=200)
    recent = await driver.fetch_snapshot(customer, invoices_since=since)
    wanted = [one.id for one in lemon.shop.find(Invoice) if one.created >= since.timestamp()]
    assert [invoice.id for invoice in recent.invoices] == wanted
    assert len(wanted) > 3

    asked = await driver.fetch_snapshot(customer, invoices=(every[-1], every[0], "999"))
    assert [invoice.id for invoice in asked.invoices] == [*every[:3], every[-1]]
    assert asked.deleted_invoices == ("999",)


async def test_somebody_elses_invoice_is_not_told(lemon: Lemon, driver: LemonSqueezyDriver) -> None:
    plan = lemon.plan()
    mine, _ = lemon.subscriber(plan), lemon.subscriber(plan, "eve@example.com")
    theirs = lemon.shop.find(Invoice)[0].id
    told = await driver.fetch_snapshot(mine, invoices=(theirs,))
    assert theirs not in {invoice.id for invoice in told.invoices}
    assert told.deleted_invoices == (theirs,)


async def test_a_refund_is_told(lemon: Lemon, driver: LemonSqueezyDriver) -> None:
    customer = lemon.subscriber(lemon.plan())
    [invoice] = lemon.shop.find(Invoice)
    lemon.shop.refund(invoice.id, 100)
    assert (await driver.fetch_snapshot(customer)).invoices[0].status == "paid"
    lemon.shop.refund(invoice.id)
    assert (await driver.fetch_snapshot(customer)).invoices[0].status == "refunded"


async def test_the_same_is_told_the_same_each_time(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    customer = lemon.subscriber(lemon.plan())
    first = await driver.fetch_snapshot(customer)
    # Addresses signed at another time would be a change where there is none.
    with lemon.shop.at(int(utc_now().timestamp()) + 60):
        assert await driver.fetch_snapshot(customer) == first


# ---------------------------------------------------------------- everybody


async def listed(driver: LemonSqueezyDriver, listing: Listing, **fields: Any) -> list[ListedPage]:
    """Return every page of a listing."""
    pages = [await driver.list_page(listing, NO_CATALOG, **fields)]
    while (cursor := pages[-1].cursor) is not None:
        pages.append(await driver.list_page(listing, NO_CATALOG, cursor=cursor, **fields))
    return pages


def back_dated(lemon: Lemon, plan: Price, count: int) -> list[str]:
    """Make customers, one a day until now; return their ids, newest first."""
    now = int(utc_now().timestamp())
    made = []
    for number in range(count):
        with lemon.shop.at(now - number * DAY):
            made.append(lemon.subscriber(plan, f"c{number}@example.com"))
    return made


@pytest.mark.parametrize("listing", Listing)
async def test_everything_is_listed_newest_first(
    listing: Listing, lemon: Lemon, driver: LemonSqueezyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    made = back_dated(lemon, lemon.plan(), 5)
    pages = await listed(driver, listing)
    assert [page.count for page in pages] == [2, 2, 1]
    found = [snapshot.customer.id for page in pages for snapshot in page.snapshots]
    assert found == made
    assert all(snapshot.partial for page in pages for snapshot in page.snapshots)
    reached = [page.reached for page in pages if page.reached]
    assert reached == sorted(reached, reverse=True)


async def test_a_listed_subscription_is_told_as_a_snapshot_tells_it(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    customer = lemon.subscriber(lemon.plan(unit_label="seat"), quantity=3)
    [page] = await listed(driver, Listing.SUBSCRIPTIONS)
    whole = await driver.fetch_snapshot(customer)
    assert page.snapshots[0].subscriptions == whole.subscriptions


async def test_a_range_of_time_is_kept_to(
    lemon: Lemon, driver: LemonSqueezyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    made = back_dated(lemon, lemon.plan(), 8)
    now = utc_now()
    pages = await listed(
        driver,
        Listing.CUSTOMERS,
        created_from=now - timedelta(days=4, hours=12),
        created_to=now - timedelta(days=1, hours=12),
    )
    found = [snapshot.customer.id for page in pages for snapshot in page.snapshots]
    assert found == made[2:5]
    # The pages behind the range are not asked for.
    assert len(pages) == 3


async def test_who_is_made_meanwhile_hides_nobody(
    lemon: Lemon, driver: LemonSqueezyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    plan = lemon.plan()
    made = back_dated(lemon, plan, 4)
    first = await driver.list_page(Listing.CUSTOMERS, NO_CATALOG)
    lemon.subscriber(plan, "late@example.com")
    second = await driver.list_page(Listing.CUSTOMERS, NO_CATALOG, cursor=first.cursor)
    third = await driver.list_page(Listing.CUSTOMERS, NO_CATALOG, cursor=second.cursor)
    seen = {one.customer.id for page in (first, second, third) for one in page.snapshots}
    assert seen == set(made)


@pytest.mark.parametrize("cursor", ["cus_1", "", "-1", "²"])
async def test_what_is_no_page_is_refused(cursor: str, driver: LemonSqueezyDriver) -> None:
    with pytest.raises(CursorGone):
        await driver.list_page(Listing.CUSTOMERS, NO_CATALOG, cursor=cursor)


async def test_an_empty_store_has_one_empty_page(driver: LemonSqueezyDriver) -> None:
    [only] = await listed(driver, Listing.CUSTOMERS)
    assert (only.count, only.reached, only.snapshots) == (0, None, ())


async def test_an_archived_plan_keeps_its_name(lemon: Lemon, driver: LemonSqueezyDriver) -> None:
    plan = lemon.plan("Legacy", 900)
    customer = lemon.subscriber(plan)
    lemon.shop.save(replace(plan, archived=True))
    [kept] = (await driver.fetch_snapshot(customer)).subscriptions
    assert (kept.items[0].plan_name, kept.items[0].unit_amount) == ("Legacy", 900)
