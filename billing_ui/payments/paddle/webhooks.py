"""Paddle's events: whether a webhook is genuine, and which customer or catalogue an event makes out of date."""

import time
from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Any, Final

from paddle_billing.Notifications import PaddleSignature, Secret
from pydantic import AwareDatetime, BaseModel, InstanceOf

from billing_ui.payments.mapping import header
from billing_ui.payments.paddle.mapping import without_credentials
from billing_ui.payments.types import ProviderEvent
from billing_ui.payments.webhooks import Name, name_in, verified

TOLERANCE_SECONDS: Final = 5
"""How old a signature may be; an older one could be a recording. Paddle signs each attempt anew."""

NEEDED_EVENTS: Final = (
    "address.created",
    "address.updated",
    "business.created",
    "business.updated",
    "customer.created",
    "customer.updated",
    "payment_method.deleted",
    "payment_method.saved",
    "price.created",
    "price.updated",
    "product.created",
    "product.updated",
    "subscription.activated",
    "subscription.canceled",
    "subscription.created",
    "subscription.imported",
    "subscription.past_due",
    "subscription.paused",
    "subscription.resumed",
    "subscription.trialing",
    "subscription.updated",
    "transaction.billed",
    "transaction.canceled",
    "transaction.completed",
    "transaction.paid",
    "transaction.past_due",
    "transaction.payment_failed",
    "transaction.revised",
)
"""The events a destination must be told of: whatever changes something that a snapshot or the catalogue holds."""

_CATALOG_EVENTS: Final = ("product.", "price.")


class _Event(BaseModel):
    """What every event has. The rest is read by hand: an event only says that something is out of date."""

    event_id: Name
    event_type: Name
    occurred_at: AwareDatetime
    data: InstanceOf[dict[str, Any]]


def verify(secrets: Collection[str], headers: Mapping[str, str], body: bytes) -> ProviderEvent:
    """Return the event of a webhook that one of `secrets` signed.

    See `payments.webhooks.verified`; `headers` are the request's, in any case.
    """
    signature = header(headers, "paddle-signature")
    return verified(
        "Paddle", secrets, body, lambda secret: _signed(body, signature, secret), event_of
    )


def _signed(body: bytes, signature: str, secret: str) -> bool:
    # A genuine signature is ASCII; the comparison of anything else raises.
    if not signature.isascii():
        return False
    try:
        # Not by the SDK's Verifier: an environment variable TEST_MODE makes that one accept any age.
        signed_at, _ = PaddleSignature.parse(signature)
        if abs(time.time() - signed_at) > TOLERANCE_SECONDS:
            return False
        checked = PaddleSignature()  # type: ignore[no-untyped-call]
        return bool(checked.verify(signature, body.decode(), Secret(secret)))
    except (ValueError, OverflowError):
        return False


def event_of(payload: Any) -> ProviderEvent:
    """Return an event reduced to what it makes out of date.

    Raises:
        pydantic.ValidationError: `payload` is no event.
    """
    event = _Event.model_validate(payload)
    concern, subject = event.event_type.partition(".")[0], event.data
    return ProviderEvent(
        id=event.event_id,
        type=event.event_type,
        created_at=event.occurred_at.astimezone(UTC),
        customer_id=name_in(subject.get("id" if concern == "customer" else "customer_id")),
        payment_method_id=name_in(subject.get("id")) if concern == "payment_method" else None,
        catalog=event.event_type.startswith(_CATALOG_EVENTS),
        payload={**payload, "data": without_credentials(subject)},
    )
