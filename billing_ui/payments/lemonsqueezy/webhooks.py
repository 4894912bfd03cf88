"""Lemon Squeezy's events: whether a webhook is genuine, and which customer an event makes out of date."""

import hashlib
import hmac
from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel

from billing_ui.payments.lemonsqueezy.mapping import without_credentials
from billing_ui.payments.mapping import header
from billing_ui.payments.types import ProviderEvent
from billing_ui.payments.webhooks import Name, verified

NEEDED_EVENTS: Final = (
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
)
"""The events a webhook must be told of: whatever changes something that a snapshot holds. There are none of
customers, products and prices by themselves (https://docs.lemonsqueezy.com/help/webhooks/event-types)."""


class _Meta(BaseModel):
    event_name: Name


class _About(BaseModel):
    """What of an event's subject tells whose it is, and since when it is as it says."""

    store_id: int | None = None
    customer_id: int | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime | None = None


class _Subject(BaseModel):
    type: str
    id: Name
    attributes: _About


class _Event(BaseModel):
    meta: _Meta
    data: _Subject


def verify(
    secrets: Collection[str], headers: Mapping[str, str], body: bytes, *, store_id: str
) -> ProviderEvent:
    """Return the event of a webhook that one of `secrets` signed.

    The signature covers the body and nothing else: no header (so the event's name is taken from the body) and
    no time. A recording of a genuine request therefore verifies for ever. It cannot do harm: with its body it
    has the id of the event that is known already, and says nothing but that a customer may have changed.

    See `payments.webhooks.verified`.

    Args:
        headers: the request's headers, in any case.
        store_id: our store; events of another one are foreign.
    """
    signature = header(headers, "x-signature")
    return verified(
        "Lemon Squeezy",
        secrets,
        body,
        lambda secret: hmac.compare_digest(sign(body, secret).encode(), signature.encode()),
        lambda payload: _event_of(payload, body, store_id),
    )


def sign(body: bytes, secret: str) -> str:
    """Return the signature of a body: its HMAC-SHA256 in hexadecimal digits.

    See https://docs.lemonsqueezy.com/help/webhooks/signing-requests.
    """
    return hmac.digest(secret.encode(), body, "sha256").hex()


def _event_of(payload: Any, body: bytes, store_id: str) -> ProviderEvent:
    event = _Event.model_validate(payload)
    subject, about = event.data, event.data.attributes
    foreign = about.store_id is not None and str(about.store_id) != store_id
    return ProviderEvent(
        # An event has no id of its own. Repeated, it comes with the same body.
        id=hashlib.sha256(body).hexdigest(),
        type=event.meta.event_name,
        created_at=(about.updated_at or about.created_at).astimezone(UTC),
        customer_id=None if foreign else _customer_id(subject),
        foreign=foreign,
        payload=_without_credentials(payload),
    )


def _customer_id(subject: _Subject) -> str | None:
    if subject.type == "customers":
        return subject.id
    customer_id = subject.attributes.customer_id
    return None if customer_id is None else str(customer_id)


def _without_credentials(payload: dict[str, Any]) -> dict[str, Any]:
    """Leave out the addresses of portal and orders: whoever has them is let in, and events are stored."""
    return {**payload, "data": without_credentials(payload["data"])}
