"""Our copy of the catalogue, and the one portal configuration made of it."""

import asyncio
from datetime import timedelta

import pytest
from sqlmodel import col, select

from billing_ui.billing.catalog import portal_configuration_id, refresh_catalog
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import Catalog, PortalConfiguration, Price, Product
from billing_ui.payments.types import (
    CatalogPrice,
    CatalogProduct,
    CatalogSnapshot,
    NoActivePrices,
    ProviderUnavailable,
)
from tests.unit.billing.factories import PRO, catalog
from tests.unit.billing.fake_driver import FakeDriver


async def row(services: Services) -> Catalog:
    """Return the catalogue's row."""
    async with services.database.read() as session:
        return (await session.exec(select(Catalog))).one()


async def stored(services: Services) -> CatalogSnapshot:
    """Return what our tables say is sold."""
    async with services.database.read() as session:
        products = (await session.exec(select(Product).order_by(col(Product.position)))).all()
        prices = (await session.exec(select(Price).order_by(col(Price.position)))).all()
    ours = {"provider", "position"}
    return CatalogSnapshot(
        provider="stripe",
        products=tuple(
            CatalogProduct(
                **product.model_dump(exclude=ours),
                prices=tuple(
                    CatalogPrice(**price.model_dump(exclude=ours))
                    for price in prices
                    if price.product_id == product.id
                ),
            )
            for product in products
        ),
    )


async def test_what_is_stored_is_what_was_fetched(services: Services, driver: FakeDriver) -> None:
    await refresh_catalog(services)
    assert await stored(services) == driver.catalog
    fetched = await row(services)
    assert fetched.applied == fetched.wanted
    assert fetched.lease_owner is None


async def test_what_is_gone_at_the_provider_is_gone_here(
    services: Services, driver: FakeDriver
) -> None:
    await refresh_catalog(services)
    starter, pro, _ = driver.catalog.products
    driver.catalog = driver.catalog.model_copy(
        update={"products": (pro.model_copy(update={"prices": pro.prices[:1]}), starter)}
    )
    await refresh_catalog(services)
    assert await stored(services) == driver.catalog


async def test_a_provider_that_is_down_leaves_the_copy_as_it_is(
    services: Services, driver: FakeDriver
) -> None:
    await refresh_catalog(services)
    driver.fail("fetch_catalog", ProviderUnavailable())
    with pytest.raises(ProviderUnavailable):
        await refresh_catalog(services)
    assert await stored(services) == driver.catalog
    failed = await row(services)
    assert failed.wanted > failed.applied
    assert failed.lease_owner is None


async def test_refreshes_at_once_wait_for_each_other_and_end_with_the_newest(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    hold = driver.hold("fetch_catalog:answer")
    first = asyncio.create_task(refresh_catalog(services))
    await hold.reached.wait()
    driver.catalog = catalog(archived=(PRO,))
    second = asyncio.create_task(refresh_catalog(other_process))
    await asyncio.sleep(0)
    hold.release()
    await asyncio.gather(first, second)
    assert await stored(services) == driver.catalog


async def test_a_refresh_whose_process_died_is_taken_over(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    hold = driver.hold("fetch_catalog:answer")
    dying = asyncio.create_task(refresh_catalog(services))
    await hold.reached.wait()
    async with services.database.write() as session:
        held = (await session.exec(select(Catalog))).one()
        held.lease_until = utc_now() - timedelta(seconds=1)
        session.add(held)
    driver.catalog = catalog(archived=(PRO,))
    await refresh_catalog(other_process)
    # The one thought dead wakes up with an old catalogue, which is refused.
    hold.release()
    await dying
    assert await stored(services) == driver.catalog


# ---------------------------------------------------------------- the portal configuration


async def test_a_refresh_makes_no_configuration(services: Services, driver: FakeDriver) -> None:
    await refresh_catalog(services)
    assert driver.configurations == {}


async def test_the_configuration_is_made_once_and_found_again(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    made = await asyncio.gather(
        *(
            portal_configuration_id(process)
            for process in (services, other_process)
            for _ in range(3)
        )
    )
    assert len(set(made)) == 1
    assert list(driver.configurations) == [made[0]]
    calls = driver.calls[:]
    assert await portal_configuration_id(services) == made[0]
    assert driver.calls == calls


async def test_a_crash_after_making_it_ends_with_one_configuration(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    hold = driver.hold("ensure_portal_configuration:answer")
    dying = asyncio.create_task(portal_configuration_id(services))
    await hold.reached.wait()
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    assert await portal_configuration_id(other_process) in driver.configurations
    assert len(driver.configurations) == 1


async def test_a_changed_catalogue_updates_the_configuration_in_place(
    services: Services, driver: FakeDriver
) -> None:
    name = await portal_configuration_id(services)
    assert name
    before = driver.configurations[name]
    driver.catalog = catalog(archived=(PRO,))
    await refresh_catalog(services)
    assert list(driver.configurations) == [name]
    assert driver.configurations[name] != before
    async with services.database.read() as session:
        stored = (await session.exec(select(PortalConfiguration))).one()
    assert (stored.id, stored.hash) == (name, driver.configurations[name])


async def test_nothing_to_offer_is_said_by_name(services: Services, driver: FakeDriver) -> None:
    driver.fail("ensure_portal_configuration", NoActivePrices())
    with pytest.raises(NoActivePrices, match="No active prices"):
        await portal_configuration_id(services)
    assert await portal_configuration_id(services)
