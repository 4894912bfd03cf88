"""Polar's events: whether a webhook is genuine, and which customer or catalogue an event makes out of date."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from polar.base import parse_response_json
from polar.v2026_10.errors import HTTPValidationError
from polar.webhooks import (
    PolarWebhookError,
    PolarWebhookUnknownTypeError,
    PolarWebhookVerificationError,
    validate_event,
)
from pydantic import AwareDatetime, BaseModel, Field, InstanceOf, ValidationError
from pydantic_core import from_json

from billing_ui.payments.polar.client import PAGE, PolarClient
from billing_ui.payments.types import (
    InvalidRequest,
    InvalidSignature,
    NoWebhookSecret,
    ProviderEvent,
    ProviderRejected,
)

TOLERANCE_SECONDS = 300
"""How old a signature may be for the SDK; an older one could be a recording."""

NEEDED_EVENTS = (
    "customer.updated",
    "customer.deleted",
    "subscription.created",
    "subscription.updated",
    "subscription.active",
    "subscription.canceled",
    "subscription.uncanceled",
    "subscription.cycled",
    "subscription.revoked",
    "subscription.past_due",
    "subscription.paused",
    "subscription.resumed",
    "subscription.migrated",
    "order.created",
    "order.updated",
    "order.paid",
    "order.refunded",
    "product.created",
    "product.updated",
    "benefit.created",
    "benefit.updated",
)
"""The events an endpoint must be told of: whatever changes something that a snapshot or the catalogue holds.

Polar tells of a card only when it becomes or stops being the customer's default one.
"""

LOGGED_EVENTS = (
    "customer.updated",
    "customer.deleted",
    "order.paid",
    "order.refunded",
    "order.unvoided",
    "order.voided",
    "subscription.billing_period_updated",
    "subscription.canceled",
    "subscription.created",
    "subscription.cycled",
    "subscription.migrated",
    "subscription.past_due",
    "subscription.paused",
    "subscription.product_updated",
    "subscription.reactivated",
    "subscription.reinstated",
    "subscription.resumed",
    "subscription.revoked",
    "subscription.seats_updated",
    "subscription.uncanceled",
    "subscription.units_updated",
    "subscription.update_cleared",
    "subscription.updated",
)
"""Those in Polar's log of what happened to customers, which has other ids, and other names for some."""

_CATALOG_EVENTS = ("product.", "benefit.")
_CREDENTIALS: Final = {"client_secret", "url", "token", "customer_portal_url"}
_MAX_NAME: Final = 255
_Name = Annotated[str, Field(min_length=1, max_length=_MAX_NAME)]
"""No id or type of Polar's is longer, and no longer one fits into the inbox."""

_LOG: Final = "/v1/events/"
_OVERLAP: Final = timedelta(seconds=1)


class _Event(BaseModel):
    """What every version of Polar's webhooks has. Nothing else is relied on, so that new types are understood too."""

    type: _Name
    timestamp: AwareDatetime
    data: InstanceOf[dict[str, Any]]


class _Logged(BaseModel):
    """What every entry of Polar's log has."""

    id: _Name
    name: _Name
    timestamp: AwareDatetime
    customer_id: str | None = None


class _LogPage(BaseModel):
    """A page of Polar's log."""

    class Pagination(BaseModel):
        """How many pages there are."""

        max_page: int = 0

    items: list[InstanceOf[dict[str, Any]]]
    pagination: Pagination


def verify(secrets: Collection[str], headers: Mapping[str, str], body: bytes) -> ProviderEvent:
    """Return the event of a webhook that one of `secrets` signed.

    Args:
        secrets: the endpoint's signing secrets; several while one is being replaced.
        headers: the request's headers, in any case.
        body: the request's body as it came.

    Raises:
        NoWebhookSecret: `secrets` holds none.
        InvalidSignature: none of `secrets` verifies it.
        InvalidRequest: it is signed, but not an event.
    """
    if not any(secrets):
        raise NoWebhookSecret()
    try:
        text = body.decode()
    except UnicodeDecodeError:
        # What Polar signs is text.
        raise InvalidSignature() from None
    sent = {name.lower(): value for name, value in headers.items()}
    if not any(_signed(text, sent, secret) for secret in secrets):
        raise InvalidSignature()
    try:
        return event_of(from_json(body, allow_inf_nan=False), sent["webhook-id"])
    except ValueError:
        raise InvalidRequest("The body is not an event of Polar's.") from None


def _signed(body: str, headers: dict[str, str], secret: str) -> bool:
    try:
        # No type is known to the SDK here. It would read a known one into classes that take seconds to make, and
        # from an unknown one nothing at all; of both we need the same few fields.
        validate_event(body, headers, secret, frozenset(), lambda data: data)
    except PolarWebhookVerificationError:
        return False
    except PolarWebhookUnknownTypeError:
        return True
    except PolarWebhookError:
        # Signed, but no JSON: refused when it is read.
        return True
    return True


def event_of(payload: Any, event_id: str) -> ProviderEvent:
    """Return a webhook's event reduced to what it makes out of date.

    Args:
        payload: the webhook's JSON.
        event_id: what its header `webhook-id` says; each attempt to deliver an event has the same.

    Raises:
        pydantic.ValidationError: `payload` is no event, or its id is too long.
    """
    event = _Event.model_validate(payload)
    return ProviderEvent(
        id=_Identified(id=event_id).id,
        type=event.type,
        created_at=event.timestamp.astimezone(UTC),
        customer_id=_customer_id(event),
        catalog=event.type.startswith(_CATALOG_EVENTS),
        payload=_without_credentials(payload),
    )


class _Identified(BaseModel):
    id: _Name


def _customer_id(event: _Event) -> str | None:
    found = event.data.get("id" if event.type.startswith("customer.") else "customer_id")
    return found if isinstance(found, str) and 0 < len(found) <= _MAX_NAME else None


def _without_credentials(event: dict[str, Any]) -> dict[str, Any]:
    """Leave out a checkout's address and what lets somebody pay: whoever has them is let in, and events are stored."""
    data = event["data"]
    if _CREDENTIALS.isdisjoint(data):
        return event
    kept = {name: value for name, value in data.items() if name not in _CREDENTIALS}
    return {**event, "data": kept}


async def list_events(client: PolarClient, since: datetime) -> AsyncIterator[ProviderEvent]:
    """Walk Polar's log of what happened to customers from `since` on (UTC), newest first.

    The log is whole, whether there is a webhook endpoint or not. What Polar remembers of webhooks is not: it
    leaves out whatever happened while an endpoint was switched off, which Polar does after many failures.

    Raises:
        PaymentError, polar.base.PolarError: a page could not be had.
    """
    page = 1
    while True:
        found = await log_page(
            client,
            # From when exactly, Polar does not say.
            start_timestamp=(since - _OVERLAP).isoformat(),
            name=list(LOGGED_EVENTS),
            page=page,
            limit=PAGE,
        )
        for entry in found.items:
            logged = _Logged.model_validate(entry)
            if logged.timestamp >= since:
                yield ProviderEvent(
                    id=logged.id,
                    type=logged.name,
                    created_at=logged.timestamp.astimezone(UTC),
                    customer_id=logged.customer_id,
                    payload=entry,
                )
        if page >= found.pagination.max_page:
            return
        page += 1


async def log_page(client: PolarClient, **query: Any) -> _LogPage:
    """Return one page of Polar's log of what happened, newest first.

    The SDK's own method reads each entry into one of forty classes and fails as a whole when a single one is
    of none; of an entry we need the same few fields, whatever it is.

    Raises:
        ProviderRejected: the answer is no such page.
    """
    request = client.build_request(
        "GET", _LOG, query_params={"source": "system", "sorting": ["-timestamp"], **query}
    )
    answer = await client.send_request(request)
    try:
        return _LogPage.model_validate(
            parse_response_json(answer, None, {422: HTTPValidationError})
        )
    except ValidationError:
        raise ProviderRejected("Polar's log of events can't be understood.") from None


async def was_deleted(client: PolarClient, **which: Any) -> bool:
    """Return whether Polar's log says that a customer was deleted.

    Args:
        which: `customer_id`, or `metadata` with the `customer_external_id` it had.
    """
    found = await log_page(client, name="customer.deleted", page=1, limit=1, **which)
    return bool(found.items)
