"""Buying a plan: opening the provider's hosted checkout for a team that has none."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

from sqlmodel import col, select

from billing_ui.accounts.limits import TooManyTries
from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.customers import (
    choose_customer,
    current_customer,
    ensure_customer,
    live_subscriptions,
    mark_deleted,
    payer_of,
    usable_customer,
)
from billing_ui.billing.return_urls import PRICING_PAGE, absolute_url, allowed_return_url
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.visits import record_visit, tell_of_visit, visit_return_url
from billing_ui.billing.words import provider_name
from billing_ui.models import Customer, Price, Product, VisitKind
from billing_ui.payments.types import (
    MAX_QUANTITY,
    CheckoutSession,
    CustomerDeleted,
    InvalidRequest,
    NoCustomer,
    StartCheckoutInput,
)

_MAX_GENERATIONS: Final = 3


@dataclass(frozen=True)
class OpenedCheckout:
    """A checkout waiting for the person; `url` is a credential: never stored, never logged."""

    url: str = field(repr=False)
    visit_id: UUID


async def open_checkout(
    services: Services,
    identity: Identity,
    price_id: str,
    quantity: int = 1,
    return_url: str | None = None,
    *,
    currency: str | None = None,
    locale: str | None = None,
) -> OpenedCheckout:
    """Open a checkout session for one price, and record the visit.

    Plans are bought at the active provider. The team's customer is created there when there is none, or when
    it was deleted. A team with a live subscription is refused, wherever it has it: that is looked up at its
    providers, since a second subscription is the one mistake that costs money.

    Args:
        price_id: an active recurring price of an active product in our catalogue.
        quantity: how many units, 1 or more; other than 1 only for products that count units.
        return_url: where the person goes after the return page; None for the billing page.
        currency: lower-case ISO code, one that the price has; None for the price's own.
        locale: IETF language tag of the checkout's pages.

    Raises:
        NoTeam, NotAllowed: who asks may not.
        ProviderMismatch: the team's customer belongs to a provider that is neither the active nor a legacy one.
        InvalidReturnUrl: the return URL is not on an allowed origin.
        InvalidRequest: price, quantity or currency cannot be had, or there is a live subscription.
        TooManyTries: the token has made too many calls.
        PaymentError: as `Driver.start_checkout` and `sync_customer`.
    """
    team_id = require(identity, Action.CHECKOUT)
    driver = services.drivers.active
    provider = driver.provider.value
    if not driver.capabilities.checkout:
        raise InvalidRequest(f"{driver.display_name} has no checkout here.")
    async with services.database.read() as session:
        existing = await current_customer(session, team_id, services.settings.served_providers)
    if existing is not None:
        usable_customer(existing, services.settings.served_providers)
    return_to = allowed_return_url(services.settings, return_url)
    price, product = await _buyable(services, identity, provider, price_id)
    currency = currency.lower() if currency else None
    _check(product, price, quantity, currency)
    await services.limits.count_call(identity)
    await _refuse_beside_another_plan(services, team_id)
    visit_id = uuid4()
    back = absolute_url(services.settings, return_to or PRICING_PAGE)
    for _ in range(_MAX_GENERATIONS):
        customer = await ensure_customer(services, identity, team_id)
        request = StartCheckoutInput(
            payer=payer_of(customer),
            price_id=price.id,
            quantity=quantity,
            adjustable_quantity=product.unit_label is not None,
            currency=currency,
            success_url=visit_return_url(services.settings, visit_id),
            cancel_url=back,
            locale=locale,
        )
        try:
            checkout = await _start(services, customer, request)
        except (CustomerDeleted, NoCustomer):
            # Deleted at the provider, or of another account: the team starts again with a new customer.
            await mark_deleted(services, customer.id)
            continue
        await record_visit(
            services.database,
            visit_id,
            identity,
            customer.id,
            VisitKind.CHECKOUT,
            return_url=return_to,
        )
        await tell_of_visit(
            services.database, visit_id, identity, VisitKind.CHECKOUT, target=product.name
        )
        return OpenedCheckout(url=checkout.checkout_url, visit_id=visit_id)
    raise CustomerDeleted


async def _start(
    services: Services, customer: Customer, request: StartCheckoutInput
) -> CheckoutSession:
    result = await sync_customer(services, customer.id)
    if result.snapshot.customer.deleted:
        raise CustomerDeleted
    async with services.database.read() as session:
        if await live_subscriptions(session, customer.id):
            raise InvalidRequest(
                "Your team already has a plan. Switch it in the billing portal instead."
            )
    return await services.drivers.active.start_checkout(request)


async def _refuse_beside_another_plan(services: Services, team_id: UUID) -> None:
    """Make sure that the team has no live plan with any customer but the one it buys with, which `_start` looks at.

    Raises:
        InvalidRequest: it has.
        ProviderUnavailable: a provider cannot tell.
    """
    active, *_ = served = services.settings.served_providers
    query = select(Customer).where(
        Customer.team_id == team_id,
        col(Customer.provider).in_(served),
        col(Customer.provider_customer_id).is_not(None),
        col(Customer.deleted_at).is_(None),
    )
    async with services.database.read() as session:
        found = (await session.exec(query)).all()
    buying = choose_customer([one for one in found if one.provider == active], served)
    for customer in found:
        if customer is buying:
            continue
        # Of one that the provider does not know, our copy is all there is to go by.
        with suppress(NoCustomer):
            await sync_customer(services, customer.id)
        async with services.database.read() as session:
            if await live_subscriptions(session, customer.id):
                raise InvalidRequest(
                    f"Your team already has a plan at {provider_name(customer.provider)}. "
                    "Switch it in the billing portal, or choose a new one when it has ended."
                )


async def _buyable(
    services: Services, identity: Identity, provider: str, price_id: str
) -> tuple[Price, Product]:
    found = await _find(services, provider, price_id)
    if found is None:
        # It may be newer than our copy of the catalogue. Who makes prices up is soon taken at our copy's word.
        with suppress(TooManyTries):
            await services.limits.count_lookup(identity)
            await refresh_catalog(services)
            found = await _find(services, provider, price_id)
    if found is None:
        raise InvalidRequest("priceId: there is no such price.")
    price, product = found
    if not (price.active and product.active and price.interval):
        raise InvalidRequest(f"priceId: {product.name} is not for sale at this price.")
    return price, product


async def _find(services: Services, provider: str, price_id: str) -> tuple[Price, Product] | None:
    query = (
        select(Price, Product)
        .join(
            Product,
            (col(Product.provider) == col(Price.provider))
            & (col(Product.id) == col(Price.product_id)),
        )
        .where(Price.provider == provider, Price.id == price_id)
    )
    async with services.database.read() as session:
        return (await session.exec(query)).first()


def _check(product: Product, price: Price, quantity: int, currency: str | None) -> None:
    if not 1 <= quantity <= MAX_QUANTITY:
        raise InvalidRequest(f"quantity: must be from 1 to {MAX_QUANTITY}.")
    if quantity != 1 and product.unit_label is None:
        raise InvalidRequest(f"quantity: {product.name} is sold once per team.")
    if currency is not None and currency not in (price.currency, *price.amounts):
        raise InvalidRequest(f"currency: {product.name} has no price in {currency.upper()}.")
