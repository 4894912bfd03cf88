"""What is sold is told with its prices, whether it still is or not."""

from billing_ui.payments.driver import Driver
from billing_ui.payments.types import CatalogPrice, CatalogProduct
from tests.drivers.world import Offer, World


async def told(driver: Driver, offer: Offer) -> tuple[CatalogProduct, CatalogPrice]:
    """Return what the catalogue says of an offer."""
    catalog = await driver.fetch_catalog()
    assert catalog.provider == driver.provider
    [product] = [one for one in catalog.products if one.id == offer.product]
    [price] = [one for one in product.prices if one.id == offer.price]
    return product, price


async def test_a_plan_is_told_with_its_price(driver: Driver, world: World) -> None:
    offer = world.offer("Meridian", 2500, "year")
    product, price = await told(driver, offer)
    assert (product.name, product.active, price.active) == ("Meridian", True, True)
    assert (price.product_id, price.currency, price.amounts) == (
        *(offer.product, "usd"),
        {"usd": 2500},
    )
    assert (price.interval, price.interval_count) == ("year", 1)


async def test_a_plan_that_is_sold_no_more_is_told_as_such(driver: Driver, world: World) -> None:
    offer = world.offer("Bygone")
    world.archive(offer)
    product, price = await told(driver, offer)
    assert not (product.active and price.active)


async def test_every_product_is_told_once_however_many_there_are(
    driver: Driver, world: World
) -> None:
    before = await driver.fetch_catalog()
    offers = [world.offer(f"Plan {number}", 1000 + number) for number in range(105)]
    catalog = await driver.fetch_catalog()
    ids = [product.id for product in catalog.products]
    assert len(ids) == len(set(ids)) == len(before.products) + len(offers)
    assert {offer.product for offer in offers} <= set(ids)
