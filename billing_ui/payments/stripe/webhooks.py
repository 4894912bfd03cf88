"""Stripe's events: whether a webhook is genuine, and which customer or catalogue an event makes out of date."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any

import stripe
from pydantic import AwareDatetime, BaseModel, ValidationError

from billing_ui.payments.types import InvalidRequest, InvalidSignature, ProviderEvent

TOLERANCE_SECONDS = 300
"""How old a signature may be; an older one could be a recording."""

_CATALOG_EVENTS = ("product.", "price.")
_SESSIONS = ("billing_portal.session", "checkout.session")


class _Data(BaseModel):
    object: dict[str, Any] | None = None
    previous_attributes: dict[str, Any] | None = None


class _Event(BaseModel):
    """What every version of Stripe's events has; `created` is Unix time, in thin events ISO 8601.

    A webhook has the version its endpoint was registered with, so nothing else is relied on.
    """

    id: str
    type: str
    created: AwareDatetime
    data: _Data | None = None


def verify(secrets: Iterable[str], headers: Mapping[str, str], body: bytes) -> ProviderEvent:
    """Return the event of a webhook that one of `secrets` signed.

    Args:
        secrets: the endpoint's signing secrets; several while one is being replaced.
        headers: the request's headers, in any case.
        body: the request's body as it came.

    Raises:
        InvalidSignature: none of `secrets` verifies it, or there is none.
        InvalidRequest: it is signed, but not an event.
    """
    signature = next(
        (value for name, value in headers.items() if name.lower() == "stripe-signature"), ""
    )
    if not any(_signed(body, signature, secret) for secret in secrets):
        raise InvalidSignature()
    try:
        return event_of(json.loads(body))
    except (json.JSONDecodeError, ValidationError):
        raise InvalidRequest("The body is not an event of Stripe's.") from None


def _signed(body: bytes, signature: str, secret: str) -> bool:
    # A genuine signature is ASCII; the comparison of anything else raises.
    if not signature.isascii():
        return False
    try:
        # An empty secret, with which anyone can sign, is refused there.
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def event_of(payload: Any) -> ProviderEvent:
    """Return an event reduced to what it makes out of date.

    Raises:
        pydantic.ValidationError: `payload` is no event.
    """
    event = _Event.model_validate(payload)
    data = event.data or _Data()
    return ProviderEvent(
        id=event.id,
        type=event.type,
        created_at=event.created.astimezone(UTC),
        customer_id=_customer_id(data.object or {}, data.previous_attributes or {}),
        catalog=event.type.startswith(_CATALOG_EVENTS),
        payload=_without_session_url(payload),
    )


def _customer_id(subject: dict[str, Any], previous: dict[str, Any]) -> str | None:
    if subject.get("object") == "customer":
        return _id(subject)
    # A payment method just detached has no customer any more, but says whose it was.
    return _id(subject.get("customer")) or _id(previous.get("customer"))


def _id(value: object) -> str | None:
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None


def _without_session_url(event: dict[str, Any]) -> dict[str, Any]:
    """Leave out the address of a session: it is a credential, and events are stored."""
    data = event.get("data") or {}
    subject = data.get("object") or {}
    if subject.get("object") not in _SESSIONS or "url" not in subject:
        return event
    kept = {name: value for name, value in subject.items() if name != "url"}
    return {**event, "data": {**data, "object": kept}}
