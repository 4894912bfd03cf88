"""Polar's objects as ours: customers, subscriptions, payment methods and orders."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from polar.v2026_10.outputs import Address as PolarAddress
from polar.v2026_10.outputs import (
    Customer,
    CustomerPaymentMethodCard,
    CustomerPaymentMethodKrCard,
    LegacyRecurringProductPrice,
    LegacyRecurringProductPriceFixed,
    Order,
    PaymentMethod,
    ProductPrice,
    ProductPriceFixed,
    ProductPriceMeteredTiers,
    ProductPriceMeteredUnit,
    ProductPriceSeatBased,
    ProductPriceUnitBased,
    Subscription,
)

from billing_ui.payments.mapping import generation_in, team_in
from billing_ui.payments.types import (
    Address,
    Payer,
    SnapshotCustomer,
    SnapshotInvoice,
    SnapshotItem,
    SnapshotPaymentMethod,
    SnapshotSubscription,
    SubscriptionState,
    TaxId,
)

STATES = {
    "active": SubscriptionState.ACTIVE,
    "canceled": SubscriptionState.ENDED,
    "incomplete": SubscriptionState.INCOMPLETE,
    "incomplete_expired": SubscriptionState.ENDED,
    "past_due": SubscriptionState.PAST_DUE,
    "paused": SubscriptionState.PAUSED,
    "trialing": SubscriptionState.TRIALING,
    "unpaid": SubscriptionState.UNPAID,
}
"""Polar's status -> our state, before a scheduled end is looked at. `canceled` is Polar's word once it has ended."""

_GOING_ON = frozenset(
    {SubscriptionState.ACTIVE, SubscriptionState.TRIALING, SubscriptionState.PAST_DUE}
)
"""The states in which a pause at the period's end can still be to come."""

INVOICE_STATUSES = {
    "draft": "draft",
    "paid": "paid",
    "partially_refunded": "partially_refunded",
    "pending": "open",
    "refunded": "refunded",
    "void": "void",
}
"""Polar's status of an order -> an invoice's; one that we have no word for keeps Polar's."""

Price: TypeAlias = LegacyRecurringProductPrice | ProductPrice
"""Any of the kinds of price that Polar has."""


def moment(text: str | None) -> datetime | None:
    """Return an ISO 8601 time as an aware UTC datetime."""
    return None if text is None else instant(text)


def instant(text: str) -> datetime:
    """Return an ISO 8601 time that is there as an aware UTC datetime; without an offset it is UTC.

    Raises:
        ValueError: `text` is no time.
    """
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


# ---------------------------------------------------------------- customers


def external_id(payer: Payer) -> str:
    """Return the id of `payer` that Polar keeps unique in an organization.

    Polar frees it when a customer is deleted; a generation of its own keeps one that is being deleted and the
    next one apart all the same.
    """
    team_id = str(payer.team_id)
    return team_id if payer.generation == 1 else f"{team_id}:{payer.generation}"


def metadata(payer: Payer) -> dict[str, str | int | float | bool]:
    """Return what says at Polar whose customer it is; unlike the external id it outlives a deletion."""
    return {"team_id": str(payer.team_id), "generation": payer.generation}


def customer_of(customer: Customer) -> SnapshotCustomer:
    """Return a customer."""
    return SnapshotCustomer(
        id=customer.id,
        deleted=customer.deleted_at is not None,
        team_id=team_in(str(customer.metadata.get("team_id", ""))),
        generation=generation_in(str(customer.metadata.get("generation", ""))),
        email=customer.email,
        name=customer.billing_name or customer.name,
        address=_address_of(customer.billing_address),
        tax_ids=_tax_ids_of(customer.tax_id),
    )


def _address_of(address: PolarAddress | None) -> Address | None:
    if address is None:
        return None
    return Address(
        line1=address.line1,
        line2=address.line2,
        city=address.city,
        state=address.state,
        postal_code=address.postal_code,
        country=address.country,
    )


def _tax_ids_of(pair: Sequence[object] | None) -> tuple[TaxId, ...]:
    """Return what Polar has as a pair of number and kind."""
    match pair:
        case [str(value), str(kind)]:
            return (TaxId(type=kind, value=value),)
    return ()


# ---------------------------------------------------------------- subscriptions


def state_of(subscription: Subscription) -> SubscriptionState:
    """Return our word for a subscription; a status we do not know is `UNKNOWN`, never a guess."""
    state = STATES.get(subscription.status, SubscriptionState.UNKNOWN)
    ends = subscription.cancel_at_period_end or subscription.ends_at is not None
    if ends and state in (SubscriptionState.ACTIVE, SubscriptionState.TRIALING):
        return SubscriptionState.CANCELING
    return state


def subscription_of(subscription: Subscription) -> SnapshotSubscription:
    """Return a subscription. Polar's have no items; the one of ours is the product that is subscribed to."""
    state = state_of(subscription)
    period_end = instant(subscription.current_period_end)
    cancel_at = moment(subscription.ends_at)
    if cancel_at is None and subscription.cancel_at_period_end:
        cancel_at = period_end
    return SnapshotSubscription(
        id=subscription.id,
        status=subscription.status,
        state=state,
        currency=subscription.currency.lower(),
        created_at=instant(subscription.created_at),
        items=(_item_of(subscription),),
        current_period_start=instant(subscription.current_period_start),
        current_period_end=period_end,
        cancel_at=None if state is SubscriptionState.ENDED else cancel_at,
        canceled_at=moment(subscription.canceled_at),
        ended_at=moment(subscription.ended_at),
        trial_end=moment(subscription.trial_end),
        pauses_at=period_end if subscription.pause_at_period_end and state in _GOING_ON else None,
        resumes_at=moment(subscription.resumes_at),
        raw=raw(subscription),
    )


def _item_of(subscription: Subscription) -> SnapshotItem:
    currency = subscription.currency.lower()
    quantity = subscription.seats if subscription.seats is not None else subscription.units
    return SnapshotItem(
        id=subscription.id,
        # A product of Polar's has one interval: it is what a price is elsewhere, and what a checkout names.
        price_id=subscription.product_id,
        product_id=subscription.product_id,
        plan_name=subscription.product.name,
        unit_label=unit_label(subscription.prices),
        quantity=1 if quantity is None else quantity,
        unit_amount=_unit_amount(subscription, quantity),
        currency=currency,
        interval=subscription.recurring_interval,
        interval_count=subscription.recurring_interval_count,
        current_period_start=instant(subscription.current_period_start),
        current_period_end=instant(subscription.current_period_end),
    )


def _unit_amount(subscription: Subscription, quantity: int | None) -> int | None:
    """Return what one unit costs; None when that depends on use, or differs from unit to unit."""
    upfront = [price for price in subscription.prices if not is_metered(price)]
    if not upfront:
        return None
    if quantity is None:
        # A price the customer chose, or an older one of the product, stands here only.
        return subscription.amount
    if len(upfront) > 1:
        return None
    each = amount_per_unit(upfront[0], quantity)
    return each if each is not None and each * quantity == subscription.amount else None


def is_metered(price: Price) -> bool:
    """Return whether a price is for what is used, and charged afterwards."""
    return isinstance(price, ProductPriceMeteredUnit | ProductPriceMeteredTiers)


def is_per_unit(price: Price) -> bool:
    """Return whether a price is for each seat or unit."""
    return isinstance(price, ProductPriceSeatBased | ProductPriceUnitBased)


def unit_label(prices: Sequence[Price]) -> str | None:
    """Return what is counted, when the quantity can be chosen."""
    for price in prices:
        if isinstance(price, ProductPriceSeatBased):
            return "seat"
        if isinstance(price, ProductPriceUnitBased):
            # Nouns by locale and by plural form (`=1`, `other`); Polar's own default is "unit".
            forms = (price.unit_label or {}).get("en", {})
            return forms.get("=1") or forms.get("other") or "unit"
    return None


def amount_per_unit(price: Price, quantity: int = 1) -> int | None:
    """Return what one of `quantity` units costs in minor units; None when there is no single amount."""
    if isinstance(price, ProductPriceFixed | LegacyRecurringProductPriceFixed):
        return price.price_amount
    if isinstance(price, ProductPriceSeatBased):
        seats = price.seat_tiers
        if seats.seat_tier_type == "graduated" and len(seats.tiers) > 1:
            return None
        for tier in seats.tiers:
            if tier.max_seats is None or quantity <= tier.max_seats:
                return tier.price_per_seat
    if isinstance(price, ProductPriceUnitBased):
        if price.tiers.type == "graduated" and len(price.tiers.tiers) > 1:
            return None
        for step in price.tiers.tiers:
            if step.bound is None or quantity <= step.bound:
                return _whole(step.unit_amount)
    return None


def _whole(amount: str) -> int | None:
    """Return an amount that Polar writes as a decimal number; None for a fraction of the minor unit."""
    number, _, fraction = amount.partition(".")
    whole = number.isascii() and number.isdigit() and not fraction.strip("0")
    return int(number) if whole else None


# ---------------------------------------------------------------- payment methods and orders


def payment_method_of(method: PaymentMethod) -> SnapshotPaymentMethod:
    """Return a payment method."""
    details = (
        method.method_metadata
        if isinstance(method, CustomerPaymentMethodCard | CustomerPaymentMethodKrCard)
        else None
    )
    return SnapshotPaymentMethod(
        id=method.id,
        type=method.type,
        brand=details.brand if details else None,
        last4=details.last4 if details else None,
        exp_month=getattr(details, "exp_month", None),
        exp_year=getattr(details, "exp_year", None),
        is_default=method.is_default,
    )


def invoice_of(order: Order) -> SnapshotInvoice:
    """Return an order as the invoice it is.

    Polar makes an order's PDF when somebody asks for it, behind an address that soon expires: no address
    of it can be kept.
    """
    status = INVOICE_STATUSES.get(order.status, order.status)
    settled = order.paid or status == "void"
    return SnapshotInvoice(
        id=order.id,
        number=order.invoice_number,
        status=status,
        currency=order.currency.lower(),
        total=order.total_amount,
        amount_due=order.due_amount,
        amount_paid=order.due_amount if order.paid else 0,
        amount_remaining=0 if settled else order.due_amount,
        created_at=instant(order.created_at),
        next_attempt_at=moment(order.next_payment_attempt_at),
        subscription_id=order.subscription_id,
        raw=raw(order),
    )


def raw(thing: Any) -> dict[str, Any]:
    """Return an object of the SDK as the JSON it was made of, without the product and the customer it repeats."""
    whole: dict[str, Any] = dataclasses.asdict(thing)
    return {name: value for name, value in whole.items() if name not in ("product", "customer")}
