"""Lists of all customers, subscriptions and invoices: the same in every field as what one customer's snapshot says."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe

from billing_ui.payments.stripe import StripeDriver
from billing_ui.payments.types import CatalogSnapshot, ListedPage, Listing, Snapshot
from tests.unit.payments.shop import Shop

# Long ago, so that what other tests make in the same sandbox stays out of the lists.
SEEDED_FROM, SEEDED_TO = 1_500_000_000, 1_500_864_000


def moment(seconds: int) -> datetime:
    """Return Unix time as a datetime."""
    return datetime.fromtimestamp(seconds, UTC)


async def walk(
    driver: StripeDriver, listing: Listing, catalog: CatalogSnapshot, **bounds: Any
) -> AsyncIterator[ListedPage]:
    """Walk a listing from its first page to its last."""
    cursor: str | None = None
    while True:
        page = await driver.list_page(listing, catalog, cursor=cursor, **bounds)
        yield page
        if (cursor := page.cursor) is None:
            return


async def everything(
    driver: StripeDriver, catalog: CatalogSnapshot, customer: str
) -> dict[Listing, Snapshot]:
    """Return what the lists say of one customer of this minute."""
    since = moment(int(time.time()) - 3600)
    return {
        listing: snapshot
        for listing in Listing
        async for page in walk(driver, listing, catalog, created_from=since)
        for snapshot in page.snapshots
        if snapshot.customer.id == customer
    }


async def test_lists_say_of_a_customer_what_its_snapshot_says(
    driver: StripeDriver, shop: Shop, sdk: stripe.StripeClient
) -> None:
    product = await shop.product("Listed", unit_label="seat")
    monthly = await shop.price(product, 1500, currency_options={"eur": {"unit_amount": 1400}})
    metered = await shop.price(product, 3000, "year")
    customer = await shop.customer(driver)
    await sdk.v1.customers.update_async(
        customer, {"phone": "+49 30 1234", "address": {"city": "Berlin", "country": "DE"}}
    )
    await sdk.v1.customers.tax_ids.create_async(
        customer, {"type": "eu_vat", "value": "DE123456789"}
    )
    await shop.subscribe(customer, monthly)
    canceled = await shop.subscribe(customer, metered)
    await sdk.v1.subscriptions.cancel_async(canceled.id)
    catalog = await driver.fetch_catalog()
    whole = await driver.fetch_snapshot(customer)
    listed = await everything(driver, catalog, customer)
    assert all(snapshot.partial for snapshot in listed.values())
    assert listed[Listing.CUSTOMERS].customer == whole.customer
    # The JSON beside each row is compared as well.
    assert listed[Listing.SUBSCRIPTIONS].subscriptions == whole.subscriptions
    assert len(whole.subscriptions) == 2
    assert whole.subscriptions[0].items[0].unit_label == "seat"
    assert listed[Listing.INVOICES].invoices == whole.invoices
    assert len(whole.invoices) == 2


async def test_an_amount_in_another_currency_comes_from_the_catalogue(
    driver: StripeDriver, shop: Shop
) -> None:
    product = await shop.product("Abroad")
    price = await shop.price(product, 1500, currency_options={"eur": {"unit_amount": 1400}})
    customer = await shop.customer(driver)
    await shop.subscribe(customer, price, currency="eur")
    listed = await everything(driver, await driver.fetch_catalog(), customer)
    [subscription] = listed[Listing.SUBSCRIPTIONS].subscriptions
    assert subscription.items[0].unit_amount == 1400
    assert listed[Listing.SUBSCRIPTIONS].subscriptions == (
        (await driver.fetch_snapshot(customer)).subscriptions
    )


async def test_a_price_the_catalogue_does_not_know_is_shown_by_its_product(
    driver: StripeDriver, shop: Shop
) -> None:
    product = await shop.product("Unheard of")
    customer = await shop.customer(driver)
    await shop.subscribe(customer, await shop.price(product, 1500))
    listed = await everything(driver, CatalogSnapshot(provider="stripe", products=()), customer)
    [subscription] = listed[Listing.SUBSCRIPTIONS].subscriptions
    assert [(item.plan_name, item.unit_amount) for item in subscription.items] == [(product, 1500)]


@pytest.mark.parametrize("listing", Listing)
async def test_ranges_and_pages_give_everything_once(
    driver: StripeDriver, sandbox_url: str, listing: Listing
) -> None:
    async with httpx.AsyncClient(base_url=sandbox_url, trust_env=False) as control:
        wish = {"customers": 250, "created_from": SEEDED_FROM, "created_to": SEEDED_TO}
        (await control.post("/_control/seed", json=wish)).raise_for_status()
    catalog = await driver.fetch_catalog()
    # The customers are as old as was asked for; what they have follows a minute later, or with the months.
    middle = moment(SEEDED_FROM + 432_000)
    ids: list[str] = []
    for bounds in ({"created_to": middle}, {"created_from": middle}):
        pages = [page async for page in walk(driver, listing, catalog, **bounds)]
        assert all(page.count == 100 for page in pages[:-1])
        for page in pages:
            for snapshot in page.snapshots:
                found: tuple[Any, ...] = {
                    Listing.CUSTOMERS: (snapshot.customer,),
                    Listing.SUBSCRIPTIONS: snapshot.subscriptions,
                    Listing.INVOICES: snapshot.invoices,
                }[listing]
                ids += [one.id for one in found]
        moments = [page.reached for page in pages if page.reached]
        assert moments == sorted(moments, reverse=True)
    every = [page async for page in walk(driver, listing, catalog)]
    assert len(ids) == len(set(ids)) == sum(page.count for page in every)


async def test_an_empty_range_is_an_empty_last_page(driver: StripeDriver) -> None:
    page = await driver.list_page(
        Listing.INVOICES,
        CatalogSnapshot(provider="stripe", products=()),
        created_to=moment(1_000_000_000),
    )
    assert page == ListedPage(snapshots=(), count=0, reached=None, cursor=None)
