"""What the pricing page shows: the plans there are, and which of them the team has."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.teams import count_members
from billing_ui.billing.customers import current_customer, driver_of, live_subscriptions
from billing_ui.billing.services import Services
from billing_ui.billing.words import no_checkout, no_plan_changes, provider_mismatch
from billing_ui.clock import utc_now
from billing_ui.models import Catalog, Customer, Price, Product, SubscriptionItem
from billing_ui.settings import Provider

CATALOG_MAX_AGE: Final = timedelta(hours=1)
"""After this long the catalogue is looked at again, in case the provider's word of a change was lost."""


@dataclass(frozen=True)
class PricingPrice:
    """One recurring price; `amounts` maps lower-case ISO currencies to minor units per unit."""

    id: str
    interval: str
    interval_count: int
    amounts: dict[str, int]


@dataclass(frozen=True)
class PricingProduct:
    """One product that can be bought; `unit_label` (such as "seat") says that its quantity can be chosen."""

    id: str
    name: str
    description: str | None
    features: tuple[str, ...]
    unit_label: str | None
    prices: tuple[PricingPrice, ...]


@dataclass(frozen=True)
class Pricing:
    """The plans there are, and what the team has of them.

    Attributes:
        provider: whose plans they are: the active one's, or a legacy one's for a team that has a plan there.
        currencies: lower-case ISO codes to choose from. A customer pays in one currency for good: once it
            has one, that is the only choice.
        current_price_id, current_product_id: of the first item of the newest live subscription.
        current_quantity: how many units that item has.
        members: how many people the team has.
        has_live_subscription: plans are then switched in the portal, never bought a second time.
        can_checkout: whether the person may buy a plan here and now.
        can_switch: whether the person may switch plans in the portal here and now.
        obstacle: why neither can be had by somebody whose role allows it; None without such a reason.
        out_of_date: whether the catalogue should be fetched again, in the background.
    """

    provider: Provider
    products: tuple[PricingProduct, ...]
    currencies: tuple[str, ...]
    current_price_id: str | None = None
    current_product_id: str | None = None
    current_quantity: int | None = None
    members: int = 0
    has_live_subscription: bool = False
    can_checkout: bool = False
    can_switch: bool = False
    obstacle: str | None = None
    out_of_date: bool = False


async def load_pricing(services: Services, identity: Identity | None) -> Pricing:
    """Return what the pricing page shows to `identity`; to somebody without a session or team, the plans alone."""
    active = services.drivers.active
    if identity is None or identity.team_id is None:
        async with services.database.read() as session:
            return await _plans_of(session, active.provider)
    team_id, served = require(identity, Action.VIEW_PLAN), services.settings.served_providers
    async with services.database.read() as session:
        members = await count_members(session, team_id)
        customer = await current_customer(session, team_id, served)
        current, live = await _current_item(session, customer)
        usable = customer is None or customer.provider in served
        # A plan is switched where it is, and a new one is bought at the active provider.
        at = Provider(customer.provider) if customer and usable and live else active.provider
        plans = await _plans_of(session, at)
    obstacle = None
    if customer and not usable:
        obstacle = provider_mismatch(customer.provider, active.provider)
    elif live and not driver_of(services.drivers, customer).capabilities.plan_changes:
        obstacle = no_plan_changes(plans.provider)
    elif not live and not active.capabilities.checkout:
        obstacle = no_checkout(active.provider)
    currencies = plans.currencies
    if (
        customer
        and customer.provider == plans.provider
        and customer.deleted_at is None
        and customer.currency in currencies
    ):
        currencies = (customer.currency,)
    return replace(
        plans,
        currencies=currencies,
        current_price_id=current.price_id if current else None,
        current_product_id=current.product_id if current else None,
        current_quantity=current.quantity if current else None,
        members=members,
        has_live_subscription=live,
        can_checkout=identity.may(Action.CHECKOUT) and not obstacle and not live,
        can_switch=identity.may(Action.OPEN_PORTAL) and not obstacle and live,
        obstacle=obstacle,
    )


async def _plans_of(session: AsyncSession, provider: Provider) -> Pricing:
    """Return what a provider sells, to whoever it may be."""
    products, default_currency = await _load_products(session, provider.value)
    return Pricing(
        provider=provider,
        products=products,
        currencies=_currencies(products, first=default_currency),
        out_of_date=_is_out_of_date(await session.get(Catalog, provider.value)),
    )


async def _load_products(
    session: AsyncSession, provider: str
) -> tuple[tuple[PricingProduct, ...], str | None]:
    """Return what can be bought, in the order it is shown, and the currency most prices are in."""
    query = (
        select(Product, Price)
        .join(
            Price,
            (col(Price.provider) == col(Product.provider))
            & (col(Price.product_id) == col(Product.id)),
        )
        .where(
            Product.provider == provider,
            col(Product.active).is_(True),
            col(Price.active).is_(True),
            col(Price.interval).is_not(None),
        )
        .order_by(col(Product.position), col(Price.position))
    )
    products: dict[str, Product] = {}
    prices: dict[str, list[Price]] = defaultdict(list)
    for product, price in (await session.exec(query)).all():
        products[product.id] = product
        prices[product.id].append(price)
    found = [price.currency for of_one in prices.values() for price in of_one]
    default_currency = max(found, key=found.count, default=None)
    return tuple(_product(product, prices[product.id]) for product in products.values()), (
        default_currency
    )


async def _current_item(
    session: AsyncSession, customer: Customer | None
) -> tuple[SubscriptionItem | None, bool]:
    if customer is None:
        return None, False
    subscriptions = await live_subscriptions(session, customer.id)
    if not subscriptions:
        return None, False
    query = (
        select(SubscriptionItem)
        .where(
            SubscriptionItem.provider == customer.provider,
            SubscriptionItem.subscription_id == subscriptions[0].id,
        )
        .order_by(col(SubscriptionItem.position))
        .limit(1)
    )
    return (await session.exec(query)).first(), True


def _product(product: Product, prices: list[Price]) -> PricingProduct:
    # Of several prices of one interval, the one the product names, else the first.
    shown: dict[tuple[str | None, int], Price] = {}
    for price in sorted(prices, key=lambda price: price.id != product.default_price_id):
        shown.setdefault((price.interval, price.interval_count), price)
    return PricingProduct(
        id=product.id,
        name=product.name,
        description=product.description,
        features=tuple(product.features),
        unit_label=product.unit_label,
        prices=tuple(
            PricingPrice(price.id, price.interval, price.interval_count, dict(price.amounts))
            for price in sorted(shown.values(), key=lambda price: price.position)
            if price.interval is not None
        ),
    )


def _currencies(products: tuple[PricingProduct, ...], *, first: str | None) -> tuple[str, ...]:
    found = {
        currency for product in products for price in product.prices for currency in price.amounts
    }
    return tuple(sorted(found, key=lambda currency: (currency != first, currency)))


def _is_out_of_date(catalog: Catalog | None) -> bool:
    if catalog is None or catalog.fetched_at is None:
        return True
    return catalog.wanted > catalog.applied or utc_now() - catalog.fetched_at > CATALOG_MAX_AGE
