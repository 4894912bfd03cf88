"""What Paddle tells of: which events a change makes, and how each is signed."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Final

from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.paddle import shapes, transaction_shapes
from billing_ui.sandbox.paddle.ids import new_id
from billing_ui.sandbox.shop.dialect import Change, ChangeKind, Told
from billing_ui.sandbox.shop.model import (
    Card,
    Checkout,
    CheckoutStatus,
    Customer,
    Endpoint,
    Event,
    Invoice,
    Json,
    Kind,
    Price,
    Product,
    Record,
    Status,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

EVENT_TYPES: Final = (
    *("address.created", "address.updated", "business.created", "business.updated"),
    *("customer.created", "customer.updated"),
    *("payment_method.deleted", "payment_method.saved"),
    *("price.created", "price.updated", "product.created", "product.updated"),
    *("subscription.activated", "subscription.canceled", "subscription.created"),
    *("subscription.imported", "subscription.past_due", "subscription.paused"),
    *("subscription.resumed", "subscription.trialing", "subscription.updated"),
    *("transaction.billed", "transaction.canceled", "transaction.completed"),
    *("transaction.created", "transaction.paid", "transaction.past_due"),
    *("transaction.payment_failed", "transaction.ready", "transaction.revised"),
    "transaction.updated",
)
"""Every type of event that a destination can be told of."""

_EVENTS: Final[Mapping[ChangeKind, tuple[str, ...]]] = {
    ChangeKind.CUSTOMER_CREATED: ("customer.created",),
    ChangeKind.CUSTOMER_UPDATED: ("customer.updated",),
    ChangeKind.CUSTOMER_DELETED: ("customer.updated",),
    ChangeKind.PRODUCT_CREATED: ("product.created",),
    ChangeKind.PRODUCT_UPDATED: ("product.updated",),
    ChangeKind.PRICE_CREATED: ("price.created",),
    ChangeKind.PRICE_UPDATED: ("price.updated",),
    ChangeKind.CARD_ADDED: ("payment_method.saved",),
    ChangeKind.CARD_REMOVED: ("payment_method.deleted",),
    ChangeKind.SUBSCRIPTION_CREATED: ("subscription.created",),
    ChangeKind.SUBSCRIPTION_ACTIVATED: ("subscription.activated",),
    ChangeKind.SUBSCRIPTION_UPDATED: ("subscription.updated",),
    ChangeKind.SUBSCRIPTION_RENEWED: ("subscription.updated",),
    ChangeKind.SUBSCRIPTION_CANCEL_SCHEDULED: ("subscription.updated",),
    ChangeKind.SUBSCRIPTION_KEPT: ("subscription.updated",),
    ChangeKind.SUBSCRIPTION_PAUSED: ("subscription.paused", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_RESUMED: ("subscription.resumed", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_PAST_DUE: ("subscription.past_due", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_UNPAID: ("subscription.updated",),
    ChangeKind.SUBSCRIPTION_RECOVERED: ("subscription.updated",),
    ChangeKind.SUBSCRIPTION_ENDED: ("subscription.canceled", "subscription.updated"),
    ChangeKind.INVOICE_CREATED: ("transaction.created", "transaction.billed"),
    ChangeKind.INVOICE_PAID: ("transaction.paid", "transaction.completed"),
    ChangeKind.INVOICE_FAILED: ("transaction.payment_failed", "transaction.past_due"),
    ChangeKind.INVOICE_REFUNDED: ("transaction.updated",),
    ChangeKind.INVOICE_CLOSED: ("transaction.canceled",),
    ChangeKind.CHECKOUT_COMPLETED: ("transaction.completed",),
}


def told(shop: Shop, change: Change) -> Iterator[Told]:
    """Return the events of a change, with the transactions of nothing that Paddle makes of some."""
    subject = change.subject
    if change.kind is ChangeKind.CHECKOUT_COMPLETED and isinstance(subject, Checkout):
        if shop.peek(Invoice, subject.id) is not None:
            # It became a transaction that was told of already.
            return
        subject = _began_trial(shop, subject)
    yield from (_event(shop, name, subject) for name in _EVENTS.get(change.kind, ()))
    if change.kind is ChangeKind.SUBSCRIPTION_CREATED and isinstance(subject, Subscription):
        if subject.status is Status.TRIALING:
            yield _event(shop, "subscription.trialing", subject)
            _nothing_paid(shop, subject, "api")
    elif isinstance(subject, Card) and _is_new_default(change, subject):
        for running in shop.find(Subscription, customer=subject.customer):
            if running.live:
                made = _nothing_paid(shop, running, transaction_shapes.METHOD_CHANGE)
                yield _event(shop, "transaction.completed", made)


def _is_new_default(change: Change, card: Card) -> bool:
    before = change.before
    was_default = isinstance(before, Card) and before.default
    return change.kind is not ChangeKind.CARD_REMOVED and card.default and not was_default


def _nothing_paid(shop: Shop, running: Subscription, origin: str) -> Checkout:
    """Keep the transaction of nothing by which a trial begins or a card is exchanged; it tells the card."""
    card = shop.card_charged(running.customer, running)
    return shop.save(
        Checkout(
            id=new_id(Kind.CHECKOUT, shop.now),
            created=shop.now,
            updated=shop.now,
            metadata=running.metadata,
            extra={"origin": origin, "card": _shown(card)},
            price=running.price,
            quantity=running.quantity,
            customer=running.customer,
            expires_at=shop.now,
            status=CheckoutStatus.COMPLETE,
            subscription=running.id,
        )
    )


def _began_trial(shop: Shop, checkout: Checkout) -> Checkout:
    """Let a checkout be the transaction of nothing by which its trial began, instead of a second one."""
    for other in shop.find(Checkout, customer=checkout.customer):
        if other.id != checkout.id and other.subscription == checkout.subscription:
            shop.forget(other)
    card = shop.card_charged(str(checkout.customer), None)
    return shop.save(replace(checkout, extra={**checkout.extra, "card": _shown(card)}))


def _shown(card: Card | None) -> Json | None:
    if card is None:
        return None
    kept = asdict(card)
    return {name: kept[name] for name in ("id", "brand", "exp_month", "exp_year")} | {
        "last4": card.last4
    }


def _event(shop: Shop, name: str, subject: Record) -> Told:
    event_id = new_id(Kind.EVENT, shop.now)
    payload = {
        "event_id": event_id,
        "event_type": name,
        "occurred_at": shapes.moment(shop.now),
        "notification_id": f"ntf_{event_id.partition('_')[2]}",
        "data": _data(shop, name, subject),
    }
    return Told(name, payload, event_id)


def _data(shop: Shop, name: str, subject: Record) -> Json:
    match subject:
        case Customer():
            return shapes.customer(subject)
        case Product():
            return shapes.product(subject)
        case Price():
            return shapes.price(subject)
        case Card():
            shown = shapes.payment_method(subject)
            kept = {key: value for key, value in shown.items() if key not in _CARD_ONLY}
            return kept | ({"deletion_reason": "api"} if name.endswith(".deleted") else {})
        case Subscription():
            shown = shapes.subscription(shop, subject, links=False)
            return shown | ({"transaction_id": None} if name.endswith(".created") else {})
        case Invoice() | Checkout():
            return transaction_shapes.transaction(shop, subject)
    raise AssertionError(f"nothing is told of a {subject.kind}")


_CARD_ONLY: Final = ("card", "paypal", "south_korea_local_card", "underlying_details")
"""What an event keeps to itself of a payment method."""


def listed(events: Iterable[Event]) -> list[Json]:
    """Return events as the list of events has them: without what only a delivery has."""
    return [
        {name: value for name, value in event.payload.items() if name != "notification_id"}
        for event in events
    ]


def parcel(endpoint: Endpoint, event: Event, now: int) -> Parcel:
    """Return the request that brings an event, signed now."""
    body = json.dumps(event.payload, separators=(",", ":")).encode()
    signed = hmac.new(endpoint.secret.encode(), f"{now}:".encode() + body, hashlib.sha256)
    headers = {
        "Content-Type": "application/json",
        "Paddle-Signature": f"ts={now};h1={signed.hexdigest()}",
        "Paddle-Version": "1",
        "User-Agent": "Paddle",
    }
    return Parcel(endpoint.url, body, headers)
