"""What Stripe sells, and the portal configuration made of it: once, and found again by its metadata."""

import asyncio
import hashlib
import json
from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING, cast

import stripe

from billing_ui.payments.catalog import days, in_shown_order, interval_of
from billing_ui.payments.stripe.client import PAGE, all_pages, is_missing, stored_failure
from billing_ui.payments.stripe.mapping import id_of, metadata_of, unit_amount
from billing_ui.payments.types import (
    MAX_QUANTITY,
    CatalogPrice,
    CatalogProduct,
    CatalogSnapshot,
    NoActivePrices,
    PortalConfigurationRef,
    ProductNotActive,
)
from billing_ui.settings import Provider

if TYPE_CHECKING:
    from stripe.params.billing_portal import (
        ConfigurationCreateParams,
        ConfigurationCreateParamsFeatures,
        ConfigurationCreateParamsFeaturesSubscriptionUpdateProduct,
        ConfigurationUpdateParamsFeatures,
    )

HEADLINE = "Manage your subscription"

_PRODUCTS_IN_PORTAL = 10
_MANAGED_BY = "billing-ui"


# ---------------------------------------------------------------- the catalogue


def options_path(currency: str) -> str:
    """Return what to expand of a price to get its amounts in every currency.

    Args:
        currency: one the price is sold in, such as its own. Expanding what lies below an option
            includes the options themselves, and a path to an entry that exists is always valid.
    """
    return f"currency_options.{currency}.tiers"


async def fetch_catalog(client: stripe.StripeClient) -> CatalogSnapshot:
    """Return every product with all its prices, archived ones included.

    Raises:
        ExceptionGroup: one of the calls failed.
    """
    async with asyncio.TaskGroup() as group:
        products = group.create_task(all_pages(client.v1.products.list_async({"limit": PAGE})))
        plain = group.create_task(all_pages(client.v1.prices.list_async({"limit": PAGE})))
    async with asyncio.TaskGroup() as group:
        full = [
            group.create_task(_prices_in(client, currency))
            for currency in sorted({price.currency for price in plain.result()})
        ]
    prices = [price for call in full for price in call.result()]
    return catalog_of(products.result(), prices)


async def _prices_in(client: stripe.StripeClient, currency: str) -> list[stripe.Price]:
    return await all_pages(
        client.v1.prices.list_async(
            {
                "currency": currency,
                "limit": PAGE,
                "expand": [f"data.{options_path(currency)}"],
            }
        )
    )


def catalog_of(
    products: Iterable[stripe.Product], prices: Iterable[stripe.Price]
) -> CatalogSnapshot:
    """Return products with their prices in the order they are shown.

    Products stand by metadata `position` (a whole number), then by what they cost per day at least,
    cheapest first; prices by the length of their interval, the newest of one interval first.

    Args:
        products: all products.
        prices: all prices, with their currency options.
    """
    by_product: dict[str, list[stripe.Price]] = {}
    for price in sorted(prices, key=_shown_order):
        by_product.setdefault(id_of(price.product) or "", []).append(price)
    made = (
        (_product_of(product, by_product.get(product.id, ())), metadata_of(product, "position"))
        for product in sorted(products, key=lambda product: (product.created, product.id))
    )
    return CatalogSnapshot(provider=Provider.STRIPE, products=in_shown_order(made))


def _product_of(product: stripe.Product, prices: Iterable[stripe.Price]) -> CatalogProduct:
    return CatalogProduct(
        id=product.id,
        name=product.name,
        description=product.description,
        active=product.active,
        features=tuple(feature.name for feature in product.marketing_features if feature.name),
        unit_label=product.unit_label,
        default_price_id=id_of(product.default_price),
        prices=tuple(_price_of(price, product.id) for price in prices),
    )


def _price_of(price: stripe.Price, product_id: str) -> CatalogPrice:
    options = price.currency_options if "currency_options" in price else None
    currencies = {price.currency, *(options.to_dict() if options else ())}
    amounts = {currency: unit_amount(price, currency) for currency in sorted(currencies)}
    return CatalogPrice(
        id=price.id,
        product_id=product_id,
        active=price.active,
        currency=price.currency,
        # A tiered or metered price has no single amount.
        amounts={currency: amount for currency, amount in amounts.items() if amount is not None},
        interval=interval_of(price.recurring.interval if price.recurring else None),
        interval_count=price.recurring.interval_count if price.recurring else 1,
    )


def _shown_order(price: stripe.Price) -> tuple[float, int, str]:
    recurring = price.recurring
    lasting = days(recurring.interval, recurring.interval_count) if recurring else inf
    return lasting, -price.created, price.id


# ---------------------------------------------------------------- the portal configuration


async def ensure_configuration(
    client: stripe.StripeClient, catalog: CatalogSnapshot, known: PortalConfigurationRef | None
) -> PortalConfigurationRef:
    """Return the configuration for `catalog`: `known` when it fits, else found, updated in place or made.

    Two processes that make one at the same moment send the same idempotency key, and get the same one.

    Raises:
        ProductNotActive: one must be made, and no product is active.
        NoActivePrices: one must be made, and no active product has an active recurring price.
    """
    try:
        content = portal_content(catalog)
    except (ProductNotActive, NoActivePrices):
        if known is None and (found := await _find(client)):
            known = PortalConfigurationRef(id=found.id, hash=metadata_of(found, "content_hash"))
        if known is None:
            raise
        return known
    digest = content_hash(content)
    if known is not None:
        if known.hash == digest:
            return known
        if updated := await _update(client, known.id, content, digest):
            return updated
    found = await _find(client)
    if found is not None:
        if found.active and metadata_of(found, "content_hash") == digest:
            return PortalConfigurationRef(id=found.id, hash=digest)
        if updated := await _update(client, found.id, content, digest):
            return updated
    content["metadata"] = _metadata(digest)
    create = client.v1.billing_portal.configurations.create_async
    key = f"{_MANAGED_BY}:portal-configuration:{digest}"
    try:
        made = await create(content, {"idempotency_key": key})
    except stripe.APIError as error:
        # Stripe stores failures too, and would repeat this one for a day, to everybody. What was looked
        # for above is not there, so the attempt made nothing.
        failed = stored_failure(error)
        if not failed:
            raise
        made = await create(content, {"idempotency_key": f"{key}:{failed}"})
    return PortalConfigurationRef(id=made.id, hash=digest)


async def _find(client: stripe.StripeClient) -> "stripe.billing_portal.Configuration | None":
    page = await client.v1.billing_portal.configurations.list_async({"limit": PAGE})
    ours = [
        configuration
        async for configuration in page.auto_paging_iter()
        if metadata_of(configuration, "managed_by") == _MANAGED_BY
    ]
    # Should there ever be several, every process picks the same one.
    return min(ours, key=lambda one: (not one.active, one.created, one.id), default=None)


async def _update(
    client: stripe.StripeClient,
    configuration_id: str,
    content: "ConfigurationCreateParams",
    digest: str,
) -> PortalConfigurationRef | None:
    """Give a configuration this content and make it active; None when it does not exist."""
    try:
        await client.v1.billing_portal.configurations.update_async(
            configuration_id,
            {
                "active": True,
                "business_profile": {"headline": HEADLINE},
                # One shape, to which the SDK gives two names.
                "features": cast("ConfigurationUpdateParamsFeatures", content["features"]),
                "metadata": _metadata(digest),
            },
        )
    except stripe.InvalidRequestError as error:
        # Made with another account or in the other mode.
        if is_missing(error):
            return None
        raise
    return PortalConfigurationRef(id=configuration_id, hash=digest)


def portal_content(catalog: CatalogSnapshot) -> "ConfigurationCreateParams":
    """Return what the portal configuration for `catalog` holds.

    Raises:
        ProductNotActive: no product is active.
        NoActivePrices: no active product has an active recurring price.
    """
    active = [product for product in catalog.products if product.active]
    if not active:
        raise ProductNotActive()
    offered = [
        (product, prices) for product in active if (prices := _one_price_per_interval(product))
    ]
    if not offered:
        raise NoActivePrices()
    products = [_offer(product, prices) for product, prices in offered[:_PRODUCTS_IN_PORTAL]]
    return {"business_profile": {"headline": HEADLINE}, "features": _features(products)}


def _features(
    products: "list[ConfigurationCreateParamsFeaturesSubscriptionUpdateProduct]",
) -> "ConfigurationCreateParamsFeatures":
    return {
        "customer_update": {
            "enabled": True,
            "allowed_updates": ["address", "email", "name", "phone", "tax_id"],
        },
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {
            "enabled": True,
            "mode": "at_period_end",
            "cancellation_reason": {
                "enabled": True,
                "options": [
                    "too_expensive",
                    "missing_features",
                    "switched_service",
                    "unused",
                    "other",
                ],
            },
        },
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price", "quantity", "promotion_code"],
            "proration_behavior": "create_prorations",
            "products": products,
        },
    }


def _offer(
    product: CatalogProduct, prices: list[CatalogPrice]
) -> "ConfigurationCreateParamsFeaturesSubscriptionUpdateProduct":
    return {
        "product": product.id,
        "prices": [price.id for price in prices],
        "adjustable_quantity": (
            {"enabled": True, "minimum": 1, "maximum": MAX_QUANTITY}
            if product.unit_label
            else {"enabled": False}
        ),
    }


def _one_price_per_interval(product: CatalogProduct) -> list[CatalogPrice]:
    # Stripe refuses a product with two prices of one interval.
    chosen: dict[tuple[str, int], CatalogPrice] = {}
    for price in product.prices:
        if price.active and price.interval:
            interval = (price.interval, price.interval_count)
            if interval not in chosen or price.id == product.default_price_id:
                chosen[interval] = price
    return list(chosen.values())


def content_hash(content: "ConfigurationCreateParams") -> str:
    """Return the hash by which a configuration is known to hold `content`."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _metadata(digest: str) -> dict[str, str]:
    return {"managed_by": _MANAGED_BY, "content_hash": digest}
