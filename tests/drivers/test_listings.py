"""Lists of everything: complete, each thing once, newest first, and in every field as a snapshot has it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from billing_ui.clock import utc_now
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import CatalogSnapshot, ListedPage, Listing, Snapshot
from tests.drivers.world import World, payer

CUSTOMERS = 7
SEEDED = 230


async def walk(
    driver: Driver, listing: Listing, catalog: CatalogSnapshot, **bounds: Any
) -> AsyncIterator[ListedPage]:
    """Walk a listing from its first page to its last."""
    cursor: str | None = None
    while True:
        page = await driver.list_page(listing, catalog, cursor=cursor, **bounds)
        yield page
        if (cursor := page.cursor) is None:
            return


def listed(listing: Listing, snapshot: Snapshot) -> tuple[Any, ...]:
    """Return what of a snapshot stands in a listing."""
    return {
        Listing.CUSTOMERS: (snapshot.customer,),
        Listing.SUBSCRIPTIONS: snapshot.subscriptions,
        Listing.INVOICES: snapshot.invoices,
    }[listing]


@pytest.mark.parametrize("listing", Listing)
async def test_a_list_says_of_each_customer_what_its_snapshot_says(
    listing: Listing, driver: Driver, world: World
) -> None:
    offer = world.offer("Listed", 1500, unit_label="seat")
    customers = []
    for number in range(CUSTOMERS):
        customer = await driver.ensure_customer(payer())
        world.add_card(customer)
        bought = world.subscribe(customer, offer, number + 1)
        if number == 0:
            world.end(bought)
        if number == 1:
            world.cancel(bought)
        customers.append(customer)
    catalog = await driver.fetch_catalog()
    found: dict[str, list[Any]] = {customer: [] for customer in customers}
    async for page in walk(driver, listing, catalog):
        for snapshot in page.snapshots:
            assert snapshot.partial
            if snapshot.customer.id in found:
                found[snapshot.customer.id] += listed(listing, snapshot)
    for customer in customers:
        whole = await driver.fetch_snapshot(customer)
        assert found[customer] == list(listed(listing, whole))


@pytest.mark.parametrize("listing", Listing)
async def test_pages_give_everything_once_and_the_newest_first(
    listing: Listing, driver: Driver, world: World
) -> None:
    world.offer("Seeded")
    world.control.do("seed", {"customers": SEEDED})
    catalog = await driver.fetch_catalog()
    pages = [page async for page in walk(driver, listing, catalog)]
    assert len(pages) > 1
    ids = [
        one.id for page in pages for snapshot in page.snapshots for one in listed(listing, snapshot)
    ]
    assert SEEDED <= len(ids) == len(set(ids))
    assert len(ids) <= sum(page.count for page in pages)
    reached = [page.reached for page in pages]
    assert None not in reached
    assert reached == sorted(reached, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize("listing", Listing)
async def test_a_range_of_time_narrows_a_list_where_the_provider_can(
    listing: Listing, driver: Driver, world: World
) -> None:
    customer = await driver.ensure_customer(payer())
    world.add_card(customer)
    world.subscribe(customer, world.offer("Today"))
    catalog = await driver.fetch_catalog()

    async def ids(**bounds: Any) -> set[str]:
        return {
            one.id
            async for page in walk(driver, listing, catalog, **bounds)
            for snapshot in page.snapshots
            for one in listed(listing, snapshot)
        }

    everything = await ids()
    lately = utc_now().replace(microsecond=0) - timedelta(hours=1)
    if driver.capabilities.lists_by_time:
        after, before = await ids(created_from=lately), await ids(created_to=lately)
        assert after | before == everything
        assert not after & before
        assert after
    tomorrow = utc_now().replace(microsecond=0) + timedelta(days=1)
    assert await ids(created_to=tomorrow) == everything
