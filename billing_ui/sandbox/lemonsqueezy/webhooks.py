"""Lemon Squeezy's events: which tell of a change, what is in them, and how they are signed."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from uuid import uuid4

from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.lemonsqueezy import shapes
from billing_ui.sandbox.shop.dialect import Change, ChangeKind, Told
from billing_ui.sandbox.shop.model import Card, Endpoint, Event, Invoice, Json, Subscription
from billing_ui.sandbox.shop.shop import Shop

_UPDATED = "subscription_updated"

_OF_SUBSCRIPTIONS = {
    ChangeKind.SUBSCRIPTION_CREATED: ("order_created", "subscription_created"),
    ChangeKind.SUBSCRIPTION_ACTIVATED: (_UPDATED,),
    ChangeKind.SUBSCRIPTION_UPDATED: (_UPDATED,),
    ChangeKind.SUBSCRIPTION_RENEWED: (_UPDATED,),
    ChangeKind.SUBSCRIPTION_CANCEL_SCHEDULED: (_UPDATED, "subscription_cancelled"),
    ChangeKind.SUBSCRIPTION_KEPT: (_UPDATED, "subscription_resumed"),
    ChangeKind.SUBSCRIPTION_PAUSED: (_UPDATED, "subscription_paused"),
    ChangeKind.SUBSCRIPTION_RESUMED: (_UPDATED, "subscription_unpaused"),
    ChangeKind.SUBSCRIPTION_PAST_DUE: (_UPDATED,),
    ChangeKind.SUBSCRIPTION_UNPAID: (_UPDATED,),
    ChangeKind.SUBSCRIPTION_RECOVERED: (_UPDATED,),
    ChangeKind.SUBSCRIPTION_ENDED: (_UPDATED, "subscription_expired"),
}
_OF_INVOICES = {
    ChangeKind.INVOICE_PAID: "subscription_payment_success",
    ChangeKind.INVOICE_FAILED: "subscription_payment_failed",
    ChangeKind.INVOICE_REFUNDED: "subscription_payment_refunded",
}
_RECOVERED = "subscription_payment_recovered"
_OF_CARDS = (ChangeKind.CARD_ADDED, ChangeKind.CARD_UPDATED, ChangeKind.CARD_REMOVED)

EVENT_TYPES = (
    "order_created",
    "order_refunded",
    "subscription_created",
    "subscription_updated",
    "subscription_cancelled",
    "subscription_resumed",
    "subscription_expired",
    "subscription_paused",
    "subscription_unpaused",
    "subscription_payment_success",
    "subscription_payment_failed",
    "subscription_payment_recovered",
    "subscription_payment_refunded",
    "license_key_created",
    "license_key_updated",
)
"""Every type that a webhook can be told of: none is about customers, products or prices by themselves."""


def told(shop: Shop, change: Change) -> Iterator[Told]:
    """Yield the events that tell of a change."""
    subject = change.subject
    match subject:
        case Subscription():
            for name in _OF_SUBSCRIPTIONS.get(change.kind, ()):
                about = shapes.order if name.startswith("order") else shapes.subscription
                yield _event(name, about(shop, subject), subject.metadata)
        case Invoice() if change.kind in _OF_INVOICES:
            custom = shop.get(Subscription, subject.subscription).metadata
            shape = shapes.invoice(shop, subject)
            yield _event(_OF_INVOICES[change.kind], shape, custom)
            earlier = change.before.attempts if isinstance(change.before, Invoice) else 0
            if change.kind is ChangeKind.INVOICE_PAID and earlier:
                yield _event(_RECOVERED, shape, custom)
        case Card() if change.kind in _OF_CARDS:
            # A card is known as what a subscription is paid by, and as nothing else.
            for one in shop.find(Subscription, customer=subject.customer):
                if one.live:
                    yield _event(_UPDATED, shapes.subscription(shop, one), one.metadata)


def _event(name: str, shape: Json, custom: Json) -> Told:
    event_id = str(uuid4())
    meta: Json = {"test_mode": True, "event_name": name, "webhook_id": event_id}
    if custom:
        meta["custom_data"] = custom
    return Told(name, {"meta": meta, "data": shape}, event_id)


def parcel(endpoint: Endpoint, event: Event) -> Parcel:
    """Return the request that brings an event."""
    body = json.dumps(event.payload, separators=(",", ":")).encode()
    signature = hmac.new(endpoint.secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Event-Name": event.type,
        "X-Signature": signature,
    }
    return Parcel(endpoint.url, body, headers)
