"""Stripe's events: whether a webhook is genuine, and which customer or catalogue an event makes out of date."""

from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Any

import stripe
from pydantic import AwareDatetime, BaseModel, InstanceOf

from billing_ui.payments.mapping import header
from billing_ui.payments.types import ProviderEvent
from billing_ui.payments.webhooks import Name, name_in, verified

TOLERANCE_SECONDS = 300
"""How old a signature may be; an older one could be a recording."""

NEEDED_EVENTS = (
    "customer.updated",
    "customer.deleted",
    "customer.tax_id.created",
    "customer.tax_id.updated",
    "customer.tax_id.deleted",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "payment_method.attached",
    "payment_method.detached",
    "payment_method.updated",
    "payment_method.automatically_updated",
    "invoice.created",
    "invoice.updated",
    "invoice.deleted",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.marked_uncollectible",
    "invoice.voided",
    "product.created",
    "product.updated",
    "product.deleted",
    "price.created",
    "price.updated",
    "price.deleted",
)
"""The events an endpoint must be told of: whatever changes something that a snapshot or the catalogue holds."""

_CATALOG_EVENTS = ("product.", "price.")
_SESSIONS = ("billing_portal.session", "checkout.session")
_CREDENTIALS = {"client_secret", "confirmation_secret"}

_Document = InstanceOf[dict[str, Any]]
"""What is read by hand, and not copied."""


class _Data(BaseModel):
    object: _Document | None = None
    previous_attributes: _Document | None = None


class _Related(BaseModel):
    """What a thin event has in the place of `data`."""

    id: str
    type: str


class _Event(BaseModel):
    """What every version of Stripe's events has; `created` is Unix time, in thin events ISO 8601.

    A webhook has the version its endpoint was registered with, so nothing else is relied on.
    """

    id: Name
    type: Name
    created: AwareDatetime
    livemode: bool | None = None
    data: _Data | None = None
    related_object: _Related | None = None


def livemode_of(secret_key: str) -> bool | None:
    """Return whether a key is of live mode, or None when it does not tell."""
    mode = secret_key.partition("_")[2].partition("_")[0]
    return {"live": True, "test": False}.get(mode)


def verify(
    secrets: Collection[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    livemode: bool | None = None,
) -> ProviderEvent:
    """Return the event of a webhook that one of `secrets` signed.

    See `payments.webhooks.verified`.

    Args:
        headers: the request's headers, in any case.
        livemode: as of `event_of`.
    """
    signature = header(headers, "stripe-signature")
    return verified(
        "Stripe",
        secrets,
        body,
        lambda secret: _signed(body, signature, secret),
        lambda payload: event_of(payload, livemode=livemode),
    )


def _signed(body: bytes, signature: str, secret: str) -> bool:
    # A genuine signature is ASCII; the comparison of anything else raises.
    if not signature.isascii():
        return False
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def event_of(payload: Any, *, livemode: bool | None = None) -> ProviderEvent:
    """Return an event reduced to what it makes out of date.

    Args:
        livemode: the mode of our key; None when that cannot be told, and no event is foreign.

    Raises:
        pydantic.ValidationError: `payload` is no event.
    """
    event = _Event.model_validate(payload)
    foreign = None not in (livemode, event.livemode) and livemode != event.livemode
    subject = (event.data and event.data.object) or _related_subject(event.related_object)
    previous = (event.data and event.data.previous_attributes) or {}
    return ProviderEvent(
        id=event.id,
        type=event.type,
        created_at=event.created.astimezone(UTC),
        customer_id=None if foreign else _customer_id(subject, previous),
        payment_method_id=None if foreign else _payment_method_id(subject),
        catalog=not foreign and event.type.removeprefix("v1.").startswith(_CATALOG_EVENTS),
        foreign=foreign,
        payload=_without_credentials(payload),
    )


def _related_subject(related: _Related | None) -> dict[str, Any]:
    return {} if related is None else {"id": related.id, "object": related.type}


def _customer_id(subject: dict[str, Any], previous: dict[str, Any]) -> str | None:
    if subject.get("object") == "customer":
        return _id(subject)
    # A payment method just detached has no customer any more, but says whose it was.
    return _id(subject.get("customer")) or _id(previous.get("customer"))


def _payment_method_id(subject: dict[str, Any]) -> str | None:
    if subject.get("object") == "payment_method":
        return _id(subject)
    return _id(subject.get("payment_method"))


def _id(value: object) -> str | None:
    return name_in(value.get("id") if isinstance(value, dict) else value)


def _without_credentials(event: dict[str, Any]) -> dict[str, Any]:
    """Leave out a session's address and what lets somebody pay: whoever has them is let in, and events are stored."""
    data = event.get("data") or {}
    subject = data.get("object") or {}
    hidden = _CREDENTIALS | {"url"} if subject.get("object") in _SESSIONS else _CREDENTIALS
    if hidden.isdisjoint(subject):
        return event
    kept = {name: value for name, value in subject.items() if name not in hidden}
    return {**event, "data": {**data, "object": kept}}
