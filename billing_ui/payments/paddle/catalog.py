"""What is sold at Paddle: its products with their prices, in the order they are shown."""

import asyncio
from collections.abc import Iterable
from math import inf
from typing import Final

from paddle_billing.Entities.Price import Price
from paddle_billing.Entities.Product import Product
from paddle_billing.Entities.Shared import CatalogType
from paddle_billing.Resources.Prices.Operations import ListPrices
from paddle_billing.Resources.Products.Operations import ListProducts

from billing_ui.payments.catalog import days, in_shown_order, interval_of
from billing_ui.payments.client import first_failure
from billing_ui.payments.paddle.client import Paddle
from billing_ui.payments.paddle.mapping import currency_of, text_in, value_in
from billing_ui.payments.paddle.snapshot import ACTIVE_AND_ARCHIVED
from billing_ui.payments.types import CatalogPrice, CatalogProduct, CatalogSnapshot
from billing_ui.settings import Provider

_STANDARD: Final = CatalogType("standard")


async def fetch_catalog(paddle: Paddle) -> CatalogSnapshot:
    """Return every product with all its prices, archived ones included.

    What was made for one transaction alone (Paddle's type `custom`) is not in the catalogue.

    Raises:
        PaymentError: one of the calls failed.
    """
    statuses, types = list(ACTIVE_AND_ARCHIVED), [_STANDARD]
    with first_failure():
        async with asyncio.TaskGroup() as group:
            products = group.create_task(
                paddle.everything(
                    lambda client: client.products,
                    lambda pager: ListProducts(pager, statuses=statuses, types=types),
                )
            )
            prices = group.create_task(
                paddle.everything(
                    lambda client: client.prices,
                    lambda pager: ListPrices(pager, statuses=statuses, types=types),
                )
            )
    return catalog_of(products.result().items, prices.result().items)


def catalog_of(products: Iterable[Product], prices: Iterable[Price]) -> CatalogSnapshot:
    """Return products with their prices in the order they are shown.

    Products stand by `position` (a whole number) in their custom data, then by what they cost per day at
    least, cheapest first; prices by the length of their interval, the newest of one interval first.
    Paddle has no place for features and for what a unit is called either: `features` (a list of
    sentences) and `unit_label` (such as "seat") are taken from the custom data, too.
    """
    by_product: dict[str, list[Price]] = {}
    for price in sorted(prices, key=_shown_order):
        by_product.setdefault(price.product_id, []).append(price)
    made = (
        (
            _product_of(product, by_product.get(product.id, ())),
            text_in(product.custom_data, "position"),
        )
        for product in sorted(products, key=lambda product: (product.created_at, product.id))
    )
    return CatalogSnapshot(provider=Provider.PADDLE, products=in_shown_order(made))


def _product_of(product: Product, prices: Iterable[Price]) -> CatalogProduct:
    features = value_in(product.custom_data, "features")
    return CatalogProduct(
        id=product.id,
        name=product.name,
        description=product.description,
        active=product.status.value == "active",
        features=tuple(str(one) for one in features) if isinstance(features, list) else (),
        unit_label=text_in(product.custom_data, "unit_label") or None,
        prices=tuple(_price_of(price) for price in prices),
    )


def _price_of(price: Price) -> CatalogPrice:
    currency = currency_of(price)
    cycle = price.billing_cycle
    return CatalogPrice(
        id=price.id,
        product_id=price.product_id,
        active=price.status.value == "active",
        currency=currency,
        # In which other currency somebody pays is decided in Paddle's checkout, by their country.
        amounts={currency: int(price.unit_price.amount)},
        interval=interval_of(cycle.interval.value if cycle else None),
        interval_count=cycle.frequency if cycle else 1,
    )


def _shown_order(price: Price) -> tuple[float, float, str]:
    cycle = price.billing_cycle
    lasting = days(cycle.interval.value, cycle.frequency) if cycle else inf
    return lasting, -price.created_at.timestamp(), price.id
