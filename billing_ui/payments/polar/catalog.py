"""What Polar sells: products, each with one interval and a price per currency."""

from collections.abc import AsyncIterator, Iterable

from polar.v2026_10.outputs import Product

from billing_ui.payments.catalog import in_shown_order, interval_of
from billing_ui.payments.polar.client import PAGE, PolarClient
from billing_ui.payments.polar.mapping import amount_per_unit, is_metered, unit_label
from billing_ui.payments.types import CatalogPrice, CatalogProduct, CatalogSnapshot
from billing_ui.settings import Provider


async def fetch_catalog(client: PolarClient) -> CatalogSnapshot:
    """Return every product with its price, archived ones included.

    Raises:
        polar.base.PolarError: one of the calls failed.
    """
    return catalog_of([product async for product in _products(client)])


async def _products(client: PolarClient) -> AsyncIterator[Product]:
    async for product in client.products.iter_list(limit=PAGE):
        yield product


def catalog_of(products: Iterable[Product]) -> CatalogSnapshot:
    """Return products in the order they are shown.

    They stand by metadata `position` (a whole number), then by what they cost per day, cheapest first.

    Args:
        products: all products, each of them with its prices.
    """
    made = (
        (product_of(product), str(product.metadata.get("position", "")))
        for product in sorted(products, key=lambda product: (product.created_at, product.id))
    )
    return CatalogSnapshot(provider=Provider.POLAR, products=in_shown_order(made))


def product_of(product: Product) -> CatalogProduct:
    """Return a product with the one price it has.

    A checkout names a product, and a product has one interval: its price, in whatever currencies, is told by
    the product's own id. Polar's prices are replaced when an amount changes, so theirs would not last.
    """
    return CatalogProduct(
        id=product.id,
        name=product.name,
        description=product.description,
        active=not product.is_archived,
        features=tuple(benefit.description for benefit in product.benefits),
        unit_label=unit_label(product.prices),
        default_price_id=product.id,
        prices=(_price_of(product),),
    )


def _price_of(product: Product) -> CatalogPrice:
    amounts: dict[str, int | None] = {}
    for price in product.prices:
        if price.source == "catalog" and not price.is_archived and not is_metered(price):
            # A currency that has two parts to it, such as a basic fee and seats, has no single amount.
            currency = price.price_currency.lower()
            amounts[currency] = None if currency in amounts else amount_per_unit(price)
    return CatalogPrice(
        id=product.id,
        product_id=product.id,
        # Elsewhere than in the catalogue a product that is not public can still be bought, by who knows of it.
        active=not product.is_archived and product.visibility == "public",
        currency=_default_currency(product),
        amounts={currency: amount for currency, amount in amounts.items() if amount is not None},
        interval=interval_of(product.recurring_interval),
        interval_count=product.recurring_interval_count or 1,
    )


def _default_currency(product: Product) -> str:
    """Return the currency of the first price, which is the one the product was made with."""
    return product.prices[0].price_currency.lower() if product.prices else "usd"
