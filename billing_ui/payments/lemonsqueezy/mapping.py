"""Lemon Squeezy's objects as ours: customers, subscriptions, payment methods and invoices."""

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing_ui.clock import from_unix
from billing_ui.payments.lemonsqueezy.resources import (
    CustomerAttributes,
    InvoiceAttributes,
    PriceAttributes,
    Resource,
    SubscriptionAttributes,
)
from billing_ui.payments.mapping import metadata, team_in, whole_number
from billing_ui.payments.types import (
    Address,
    Payer,
    SnapshotCustomer,
    SnapshotInvoice,
    SnapshotItem,
    SnapshotPaymentMethod,
    SnapshotSubscription,
    SubscriptionState,
)

STATES: Final = {
    "active": SubscriptionState.ACTIVE,
    # Paid for until `ends_at`, and can be taken back until then.
    "cancelled": SubscriptionState.CANCELING,
    "expired": SubscriptionState.ENDED,
    "on_trial": SubscriptionState.TRIALING,
    "past_due": SubscriptionState.PAST_DUE,
    "paused": SubscriptionState.PAUSED,
    "unpaid": SubscriptionState.UNPAID,
}
"""Lemon Squeezy's status -> our state; it needs no second look, as each has a status of its own."""

INVOICE_STATUSES: Final = {
    "paid": "paid",
    # Part of it was given back; it is paid all the same.
    "partial_refund": "paid",
    "pending": "open",
    "refunded": "refunded",
    "void": "void",
}
"""Lemon Squeezy's status of an invoice -> ours; one we do not know is told as it is."""

_COUNTED_SCHEMES: Final = frozenset({"graduated", "package", "volume"})
_MARK: Final = "billing-ui"
_CREDENTIALS: Final = "urls"


# ---------------------------------------------------------------- whose customer it is


def mark_of(payer: Payer, key: bytes) -> str:
    """Return what a customer is marked with, so that it can be told to be ours and whose.

    Lemon Squeezy keeps no data of ours with a customer (https://github.com/lmsqueezy/lemonsqueezy.js/issues/89),
    so this stands in the field for the city. The first purchase puts the billing address there, but by then
    the id is saved. Who buys may write anything into an address: hence the signature, over the e-mail as well,
    so that no mark is good for another customer.

    Args:
        payer: of whom the e-mail must be known.
        key: what the mark is signed with.
    """
    return _mark(payer.team_id, payer.generation, payer.email or "", key)


def _mark(team_id: UUID, generation: int, email: str, key: bytes) -> str:
    said = f"{_MARK}/{team_id}/{generation}"
    digest = hmac.digest(key, f"{said}/{email.casefold()}".encode(), "sha256")
    return f"{said}/{digest.hex()[:32]}"


def _marked_for(customer: CustomerAttributes, key: bytes) -> tuple[UUID, int] | None:
    """Return team and generation that a customer is marked for, None when no mark of ours is good for it."""
    city = customer.city or ""
    match city.split("/"):
        case [_, team, number, _] if (team_id := team_in(team)) and (
            generation := whole_number(number)
        ):
            found = team_id, generation
            wanted = _mark(*found, customer.email, key)
            return found if hmac.compare_digest(wanted.encode(), city.encode()) else None
    return None


def purchase_data(payer: Payer, opened_at: datetime, key: bytes) -> dict[str, str]:
    """Return what a checkout is given, and brings back with every event of its purchase: for which team it is.

    Anybody can make up a checkout for the store, with whatever data: hence the signature.

    Args:
        opened_at: when the checkout is opened (UTC).
        key: what the marks of our customers are signed with.
    """
    said = metadata(payer) | {"opened_at": str(int(opened_at.timestamp()))}
    return said | {"mark": _purchase_mark(*said.values(), key=key)}


def purchaser_of(event: Mapping[str, Any], key: bytes) -> tuple[UUID, datetime] | None:
    """Return for which team an event's purchase was made, and when its checkout was opened (UTC).

    Args:
        event: as it was stored.
        key: what `purchase_data` was signed with; None is returned of data that it did not sign.
    """
    match event:
        case {
            "meta": {
                "custom_data": {
                    "team_id": str(team_id),
                    "generation": str(generation),
                    "opened_at": str(opened_at),
                    "mark": str(mark),
                }
            }
        }:
            wanted = _purchase_mark(team_id, generation, opened_at, key=key)
            if hmac.compare_digest(wanted.encode(), mark.encode()):
                return UUID(team_id), from_unix(int(opened_at))
    return None


def _purchase_mark(*said: str, key: bytes) -> str:
    # Begun as no mark of a customer is: those can be read in a billing address.
    return hmac.digest(key, f"{_MARK} purchase/{'/'.join(said)}".encode(), "sha256").hex()[:32]


# ---------------------------------------------------------------- a customer and what it has


def customer_of(
    customer: Resource[CustomerAttributes], key: bytes, currency: str | None = None
) -> SnapshotCustomer:
    """Return a customer.

    Args:
        key: what the marks of our customers are signed with.
        currency: the store's, lower case, where it is known.
    """
    said = customer.attributes
    marked = _marked_for(said, key)
    city = None if (said.city or "").startswith(f"{_MARK}/") else said.city
    known = city or said.region or said.country
    team_id, generation = marked or (None, 1)
    return SnapshotCustomer(
        id=customer.id,
        team_id=team_id,
        generation=generation,
        email=said.email,
        name=said.name,
        address=Address(city=city, state=said.region, country=said.country) if known else None,
        currency=currency,
    )


def state_of(subscription: SubscriptionAttributes) -> SubscriptionState:
    """Return our word for a subscription; a status we do not know is `UNKNOWN`, never a guess."""
    return STATES.get(subscription.status, SubscriptionState.UNKNOWN)


def subscription_of(
    subscription: Resource[SubscriptionAttributes],
    price: Resource[PriceAttributes] | None,
    currency: str,
) -> SnapshotSubscription:
    """Return a subscription with its one item.

    Lemon Squeezy tells neither when a period began nor when a cancellation was asked for. Of a subscription
    that is past due it tells when the next try to charge will be, and no longer when the period ends.

    Args:
        price: what it is charged by, None when that is not known.
        currency: the store's, lower case.
    """
    said = subscription.attributes
    state = state_of(said)
    ends = said.ends_at
    period_end = {
        SubscriptionState.CANCELING: ends,
        SubscriptionState.ENDED: ends,
        SubscriptionState.PAST_DUE: None,
        SubscriptionState.UNPAID: None,
    }.get(state, said.renews_at)
    item = _item_of(subscription, price.attributes if price else None, currency)
    return SnapshotSubscription(
        id=subscription.id,
        status=said.status,
        state=state,
        currency=currency,
        created_at=said.created_at,
        items=(item.model_copy(update={"current_period_end": period_end}),),
        current_period_end=period_end,
        cancel_at=ends if state is SubscriptionState.CANCELING else None,
        ended_at=ends if state is SubscriptionState.ENDED else None,
        trial_end=said.trial_ends_at,
        resumes_at=said.pause.resumes_at if said.pause else None,
        raw=without_credentials(subscription.raw),
    )


def _item_of(
    subscription: Resource[SubscriptionAttributes],
    price: PriceAttributes | None,
    currency: str,
) -> SnapshotItem:
    said, item = subscription.attributes, subscription.attributes.first_subscription_item
    return SnapshotItem(
        # In a free trial there is none yet.
        id=str(item.id) if item else f"{subscription.id}-trial",
        # What is bought and switched to is a variant; its prices only say what it costs, and when.
        price_id=str(said.variant_id),
        product_id=str(said.product_id),
        plan_name=said.product_name,
        unit_label=unit_label(price) if price else None,
        quantity=None if item is None or item.is_usage_based else item.quantity,
        unit_amount=unit_amount(price) if price else None,
        currency=currency,
        interval=price.renewal_interval_unit if price else None,
        interval_count=(price.renewal_interval_quantity if price else None) or 1,
    )


def unit_amount(price: PriceAttributes) -> int | None:
    """Return what one unit costs, in minor units; None when nothing is paid by the unit (tiers, packages, use)."""
    if price.scheme != "standard" or price.usage_aggregation is not None:
        return None
    return None if price.category == "pwyw" else price.unit_price


def unit_label(price: PriceAttributes) -> str | None:
    """Return what is counted, where the price shows that something is; Lemon Squeezy has no word for it."""
    return "unit" if price.scheme in _COUNTED_SCHEMES else None


def payment_methods_of(
    subscriptions: Iterable[Resource[SubscriptionAttributes]],
) -> tuple[SnapshotPaymentMethod, ...]:
    """Return the cards that live subscriptions were last paid with, that of the newest one as the default.

    Lemon Squeezy tells of no other payment methods, and nothing of what is not a card.

    Args:
        subscriptions: a customer's, newest first.
    """
    cards: dict[tuple[str, str], SnapshotPaymentMethod] = {}
    for subscription in subscriptions:
        said = subscription.attributes
        if not (said.card_brand and said.card_last_four and state_of(said).live):
            continue
        cards.setdefault(
            (said.card_brand, said.card_last_four),
            SnapshotPaymentMethod(
                # A card has no id there. This one is the subscription's, which no other customer's can be.
                id=f"subscription-{subscription.id}",
                type="card",
                brand=said.card_brand,
                last4=said.card_last_four,
                is_default=not cards,
            ),
        )
    return tuple(cards.values())


def invoice_of(invoice: Resource[InvoiceAttributes]) -> SnapshotInvoice:
    """Return an invoice; Lemon Squeezy gives it no number."""
    said = invoice.attributes
    status = INVOICE_STATUSES.get(said.status, said.status)
    paid = said.total if status in ("paid", "refunded") else 0
    return SnapshotInvoice(
        id=invoice.id,
        number=None,
        status=status,
        currency=said.currency.lower(),
        total=said.total,
        amount_due=said.total,
        amount_paid=paid,
        amount_remaining=said.total if status == "open" else 0,
        created_at=said.created_at,
        subscription_id=str(said.subscription_id),
        pdf_url=said.urls.invoice_url,
        raw=invoice.raw,
    )


def without_credentials(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without the addresses that let in whoever has them: for a day, and objects are stored."""
    attributes = resource.get("attributes")
    if not isinstance(attributes, Mapping) or _CREDENTIALS not in attributes:
        return dict(resource)
    kept = {name: value for name, value in attributes.items() if name != _CREDENTIALS}
    return {**resource, "attributes": kept}
