"""Polar's events: which tell of a change, how they are signed, and the log that is kept of them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from typing import Final, get_args

from polar.v2026_10.literals import WebhookEventType

from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.polar import sessions, shapes
from billing_ui.sandbox.shop.dialect import Change, ChangeKind, Told
from billing_ui.sandbox.shop.model import (
    Card,
    Checkout,
    Customer,
    Endpoint,
    Event,
    Invoice,
    Json,
    Price,
    Product,
    Record,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

API_VERSION: Final = "2026-10"
EVENT_TYPES: Final = frozenset(get_args(WebhookEventType))

_TYPES: Final[dict[ChangeKind, tuple[str, ...]]] = {
    ChangeKind.CUSTOMER_CREATED: ("customer.created",),
    ChangeKind.CUSTOMER_UPDATED: ("customer.updated",),
    ChangeKind.CUSTOMER_DELETED: ("customer.deleted",),
    # A product comes with its price here, never without.
    ChangeKind.PRODUCT_CREATED: (),
    ChangeKind.PRODUCT_UPDATED: ("product.updated",),
    ChangeKind.PRICE_CREATED: ("product.created",),
    ChangeKind.PRICE_UPDATED: ("product.updated",),
    # Of cards only which one is the default is told.
    ChangeKind.CARD_ADDED: ("customer.updated",),
    ChangeKind.CARD_UPDATED: ("customer.updated",),
    ChangeKind.CARD_REMOVED: ("customer.updated",),
    ChangeKind.SUBSCRIPTION_CREATED: ("subscription.created",),
    ChangeKind.SUBSCRIPTION_ACTIVATED: ("subscription.active", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_UPDATED: ("subscription.updated",),
    ChangeKind.SUBSCRIPTION_RENEWED: ("subscription.cycled", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_CANCEL_SCHEDULED: ("subscription.canceled", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_KEPT: ("subscription.uncanceled", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_PAUSED: ("subscription.paused", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_RESUMED: ("subscription.resumed", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_PAST_DUE: ("subscription.past_due", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_UNPAID: ("subscription.updated",),
    ChangeKind.SUBSCRIPTION_RECOVERED: ("subscription.active", "subscription.updated"),
    ChangeKind.SUBSCRIPTION_ENDED: ("subscription.revoked", "subscription.updated"),
    ChangeKind.INVOICE_CREATED: ("order.created",),
    ChangeKind.INVOICE_PAID: ("order.paid", "order.updated"),
    ChangeKind.INVOICE_FAILED: ("order.updated",),
    ChangeKind.INVOICE_REFUNDED: ("order.refunded", "order.updated"),
    ChangeKind.INVOICE_CLOSED: ("order.updated",),
    ChangeKind.CHECKOUT_COMPLETED: ("checkout.updated",),
}

LABELS: Final = {
    "customer.created": "Customer Created",
    "customer.updated": "Customer Updated",
    "customer.deleted": "Customer Deleted",
    "subscription.created": "Subscription Created",
    "subscription.updated": "Subscription Updated",
    "subscription.cycled": "Subscription Cycled",
    "subscription.canceled": "Subscription Canceled",
    "subscription.uncanceled": "Subscription Uncanceled",
    "subscription.revoked": "Subscription Revoked",
    "subscription.past_due": "Subscription Past Due",
    "subscription.paused": "Subscription Paused",
    "subscription.resumed": "Subscription Resumed",
    "order.paid": "Order Paid",
    "order.refunded": "Order Refunded",
}
"""What the log holds of what is told, and what people call it."""


def told(shop: Shop, change: Change) -> Iterator[Told]:
    """Return the events that tell of a change."""
    data = _data(shop, change)
    if data is None:
        return
    for type_ in _types(change):
        yield Told(
            type_,
            {
                "type": type_,
                "timestamp": shapes.written(change.at),
                "api_version": API_VERSION,
                "data": data,
            },
        )


def _types(change: Change) -> Iterable[str]:
    ended = change.kind is ChangeKind.SUBSCRIPTION_ENDED
    before = change.before
    # What was to end anyhow has been told to be canceled.
    if ended and isinstance(before, Subscription) and not before.cancel_at_period_end:
        return ("subscription.canceled", *_TYPES[change.kind])
    return _TYPES[change.kind]


def _data(shop: Shop, change: Change) -> Json | None:
    """Return what an event about a record holds; None when nothing is told of it."""
    subject: Record = change.subject
    match subject:
        case Customer():
            return shapes.customer(shop, subject)
        case Card():
            was_default = isinstance(change.before, Card) and change.before.default
            is_default = subject.default and change.kind is not ChangeKind.CARD_REMOVED
            if is_default == was_default:
                return None
            return shapes.customer(shop, shop.get(Customer, subject.customer))
        case Product():
            prices = shop.prices(subject.id)
            return shapes.product(shop, subject, prices[0]) if prices else None
        case Price():
            return shapes.product(shop, shop.get(Product, subject.product), subject)
        case Subscription():
            return shapes.subscription(shop, subject)
        case Invoice():
            return shapes.order(shop, subject)
        case Checkout():
            return sessions.shown(shop, subject)
    return None


def parcel(endpoint: Endpoint, event: Event, now: int) -> Parcel:
    """Return the request that brings an event, signed as Standard Webhooks prescribe.

    The key is the whole secret as text, as of every endpoint of Polar's that says so in
    `uses_standard_webhook_signature`.
    """
    body = json.dumps(event.payload, separators=(",", ":")).encode()
    signed = f"{event.id}.{now}.".encode() + body
    digest = hmac.new(endpoint.secret.encode(), signed, hashlib.sha256).digest()
    return Parcel(
        endpoint.url,
        body,
        {
            "content-type": "application/json",
            "user-agent": "polar.sh webhooks",
            "webhook-id": event.id,
            "webhook-timestamp": str(now),
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        },
    )


# ---------------------------------------------------------------- the log


def logged(shop: Shop, event: Event) -> Json:
    """Return an event as the log of what happened to customers has it, under an id of its own."""
    data: Json = event.payload["data"]
    customer = shop.peek(Customer, event.customer) if event.customer else None
    return {
        "id": shapes.derived("log", event.id),
        "timestamp": shapes.written(event.created),
        "organization_id": shapes.organization_id(shop),
        "customer_id": event.customer,
        "customer": shapes.customer(shop, customer) if customer else None,
        "external_customer_id": customer.external_id if customer else None,
        "member_id": None,
        "external_member_id": None,
        "child_count": 0,
        "parent_id": None,
        "label": LABELS[event.type],
        "source": "system",
        "name": event.type,
        "metadata": _metadata(event.type, data, customer),
    }


def _metadata(name: str, data: Json, customer: Customer | None) -> Json:
    if name.startswith("customer."):
        about: Json = {
            "customer_id": data["id"],
            "customer_email": data["email"],
            "customer_name": data["name"],
            # The log remembers the one that a deletion frees.
            "customer_external_id": customer.external_id if customer else None,
        }
        return about | {"updated_fields": {}} if name == "customer.updated" else about
    told = _of_order(name, data) if name.startswith("order.") else _of_subscription(name, data)
    # What is not so is left out here, and nowhere else.
    return {field: value for field, value in told.items() if value is not None}


def _of_order(name: str, data: Json) -> Json:
    if name == "order.refunded":
        return {
            "order_id": data["id"],
            "refunded_amount": data["refunded_amount"],
            "currency": data["currency"],
        }
    return {
        "order_id": data["id"],
        "product_id": data["product_id"],
        "billing_type": "recurring",
        "amount": data["total_amount"],
        "currency": data["currency"],
        "net_amount": data["net_amount"],
        "tax_amount": 0,
        "applied_balance_amount": 0,
        "discount_amount": 0,
        "platform_fee": 0,
        "subscription_id": data["subscription_id"],
        "recurring_interval": data["subscription"]["recurring_interval"],
        "recurring_interval_count": data["subscription"]["recurring_interval_count"],
    }


def _of_subscription(name: str, data: Json) -> Json:
    about = {"subscription_id": data["id"], "product_id": data["product_id"]}
    if name == "subscription.updated":
        return about | {"seats": data["seats"], "units": data["units"]}
    same = ("amount", "currency", "recurring_interval", "recurring_interval_count")
    extra = {
        "subscription.created": ("started_at",),
        "subscription.canceled": (
            "customer_cancellation_reason",
            "customer_cancellation_comment",
            "canceled_at",
            "ends_at",
            "cancel_at_period_end",
        ),
        "subscription.past_due": ("past_due_at",),
        "subscription.paused": ("paused_at", "resumes_at"),
    }
    return about | {field: data[field] for field in (*same, *extra.get(name, ()))}
