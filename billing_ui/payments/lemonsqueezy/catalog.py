"""What a store sells: products, the variants of each that can be bought, and what those cost."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from html.parser import HTMLParser
from typing import Final

from billing_ui.payments.catalog import days, in_shown_order, interval_of
from billing_ui.payments.lemonsqueezy.client import Client, parsed
from billing_ui.payments.lemonsqueezy.mapping import unit_amount, unit_label
from billing_ui.payments.lemonsqueezy.resources import (
    PriceAttributes,
    ProductAttributes,
    Resource,
    StoreAttributes,
    SubscriptionAttributes,
    VariantAttributes,
)
from billing_ui.payments.snapshot import retrieved
from billing_ui.payments.types import CatalogPrice, CatalogProduct, CatalogSnapshot
from billing_ui.settings import Provider

AT_ONCE: Final = 4
"""How many things are asked for at the same time: Lemon Squeezy allows few calls."""

_BLOCKS: Final = frozenset({"p", "div", "br", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6"})


async def fetch_store(client: Client, store_id: str) -> StoreAttributes:
    """Return the store.

    Raises:
        Refused: the key knows no such store.
        PaymentError: as `Client.get`.
    """
    found = await client.get("stores", store_id)
    return parsed(StoreAttributes, found.data).attributes


async def fetch_catalog(client: Client, store_id: str, currency: str) -> CatalogSnapshot:
    """Return every product of a store with all its variants, drafts included.

    Variants and prices can only be listed for all stores of the account together.

    Args:
        currency: the store's, lower case.

    Raises:
        ExceptionGroup: one of the calls failed.
    """
    async with asyncio.TaskGroup() as group:
        products = group.create_task(_all_products(client, store_id))
        variants = group.create_task(_all_variants(client))
        prices = group.create_task(_all_prices(client))
    return catalog_of(products.result(), variants.result(), prices.result(), currency)


async def _all_products(client: Client, store_id: str) -> list[Resource[ProductAttributes]]:
    query = {"filter[store_id]": store_id}
    return [found async for found in client.walk(ProductAttributes, "products", query)]


async def _all_variants(client: Client) -> list[Resource[VariantAttributes]]:
    return [found async for found in client.walk(VariantAttributes, "variants", {})]


async def _all_prices(client: Client) -> list[Resource[PriceAttributes]]:
    return [found async for found in client.walk(PriceAttributes, "prices", {})]


# ---------------------------------------------------------------- what subscriptions are charged by


async def fetch_prices(
    client: Client, subscriptions: Sequence[Resource[SubscriptionAttributes]]
) -> dict[str, Resource[PriceAttributes]]:
    """Return the price that each subscription is charged by, by the subscription's id.

    An older one than the variant's newest keeps those who bought at it, so the subscription says which. One in
    a free trial does not say yet: it is going to be the newest. The newest hundred prices of all are listed, and
    only what is not among them is asked for by itself, once for all who pay it.

    Raises:
        ExceptionGroup: one of the calls failed.
    """
    if not subscriptions:
        return {}
    newest = await _newest_prices(client, {})
    by_id, by_variant = {price.id: price for price in newest}, _newest_by_variant(newest)
    paid = {
        one.id: str(item.price_id)
        for one in subscriptions
        if (item := one.attributes.first_subscription_item)
    }
    tried = {one.id: one.attributes.variant_id for one in subscriptions if one.id not in paid}

    async def older(price_id: str) -> Resource[PriceAttributes]:
        return parsed(PriceAttributes, (await client.get("prices", price_id)).data)

    async def of_variant(variant_id: str) -> list[Resource[PriceAttributes]]:
        return await _newest_prices(client, {"filter[variant_id]": variant_id})

    found, _ = await retrieved(set(paid.values()) - by_id.keys(), older, AT_ONCE)
    by_id |= {price.id: price for price in found}
    unlisted = map(str, set(tried.values()) - by_variant.keys())
    pages, _ = await retrieved(unlisted, of_variant, AT_ONCE)
    by_variant |= _newest_by_variant(price for page in pages for price in page)
    return {id_: by_id[price_id] for id_, price_id in paid.items()} | {
        id_: by_variant[variant] for id_, variant in tried.items() if variant in by_variant
    }


async def _newest_prices(
    client: Client, query: Mapping[str, str]
) -> list[Resource[PriceAttributes]]:
    page = await client.get_page("prices", 1, query)
    return [parsed(PriceAttributes, document) for document in page.data]


def _newest_by_variant(
    prices: Iterable[Resource[PriceAttributes]],
) -> dict[int, Resource[PriceAttributes]]:
    """Return each variant's newest price; two of one second are told apart by their ids, which count up."""
    ordered = sorted(prices, key=lambda price: (price.attributes.created_at, int(price.id)))
    return {price.attributes.variant_id: price for price in ordered}


# ---------------------------------------------------------------- as ours


def catalog_of(
    products: Iterable[Resource[ProductAttributes]],
    variants: Iterable[Resource[VariantAttributes]],
    prices: Iterable[Resource[PriceAttributes]],
    currency: str,
) -> CatalogSnapshot:
    """Return products with their variants in the order they are shown.

    A variant is what a price is elsewhere: what is chosen, bought and switched to. Products stand by what they
    cost per day at least, cheapest first; variants by the length of their interval, then in the store's order.

    Args:
        products: those of one store.
        variants: all, of which those of other products are left out.
        prices: all; of each variant the newest counts.
        currency: the store's, lower case.
    """
    by_product: dict[str, list[Resource[VariantAttributes]]] = {}
    for variant in variants:
        by_product.setdefault(str(variant.attributes.product_id), []).append(variant)
    newest = _newest_by_variant(prices)
    oldest_first = sorted(products, key=lambda product: (product.attributes.created_at, product.id))
    # There is nowhere to say which position a product has.
    made = (
        (_product_of(product, by_product.get(product.id, ()), newest, currency), "")
        for product in oldest_first
    )
    return CatalogSnapshot(provider=Provider.LEMONSQUEEZY, products=in_shown_order(made))


def _product_of(
    product: Resource[ProductAttributes],
    variants: Sequence[Resource[VariantAttributes]],
    newest: Mapping[int, Resource[PriceAttributes]],
    currency: str,
) -> CatalogProduct:
    description, features = described(product.attributes.description or "")
    active = product.attributes.status == "published"
    priced = [
        (variant, newest[int(variant.id)].attributes)
        for variant in variants
        if int(variant.id) in newest
    ]
    priced.sort(key=lambda pair: (_days(pair[1]), pair[0].attributes.sort, int(pair[0].id)))
    labels = (unit_label(price) for _, price in priced)
    return CatalogProduct(
        id=product.id,
        name=product.attributes.name,
        description=description or None,
        active=active,
        features=features,
        unit_label=next((label for label in labels if label), None),
        prices=tuple(
            _price_of(
                variant, price, currency, active and _for_sale(variant, alone=len(variants) == 1)
            )
            for variant, price in priced
        ),
    )


def _for_sale(variant: Resource[VariantAttributes], *, alone: bool) -> bool:
    # The one that stands for its product is called pending (https://docs.lemonsqueezy.com/api/variants).
    status = variant.attributes.status
    return status == "published" or (status == "pending" and alone)


def _price_of(
    variant: Resource[VariantAttributes], price: PriceAttributes, currency: str, active: bool
) -> CatalogPrice:
    amount = unit_amount(price)
    interval = price.renewal_interval_unit if price.category == "subscription" else None
    return CatalogPrice(
        id=variant.id,
        product_id=str(variant.attributes.product_id),
        active=active,
        currency=currency,
        amounts={} if amount is None else {currency: amount},
        interval=interval_of(interval),
        interval_count=price.renewal_interval_quantity or 1,
    )


def _days(price: PriceAttributes) -> float:
    return days(price.renewal_interval_unit, price.renewal_interval_quantity or 1)


class _Reader(HTMLParser):
    """Reads a description: what stands in list items apart from the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.points: list[str] = []
        self._in_point = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "li":
            self._in_point += 1
            self.points.append("")
        elif tag in _BLOCKS:
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "li" and self._in_point:
            self._in_point -= 1
        elif tag in _BLOCKS:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        if self._in_point:
            self.points[-1] += data
        else:
            self.text.append(data)


def described(html: str) -> tuple[str, tuple[str, ...]]:
    """Return the text of a product's description, and the items of the lists in it, which are its features."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    points = (" ".join(point.split()) for point in reader.points)
    return " ".join("".join(reader.text).split()), tuple(point for point in points if point)
