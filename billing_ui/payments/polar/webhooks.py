"""Polar's events: whether a webhook is genuine, and which customer or catalogue an event makes out of date."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from polar.base import parse_response_json
from polar.v2026_10.errors import HTTPValidationError
from polar.webhooks import (
    PolarWebhookError,
    PolarWebhookUnknownTypeError,
    PolarWebhookVerificationError,
    validate_event,
)
from pydantic import AwareDatetime, BaseModel, InstanceOf

from billing_ui.payments.polar.client import PAGE, PolarClient
from billing_ui.payments.types import ProviderEvent
from billing_ui.payments.webhooks import Name, name_in, verified

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
_LOG: Final = "/v1/events/"
_OVERLAP: Final = timedelta(seconds=1)


class _Event(BaseModel):
    """What every version of Polar's webhooks has. Nothing else is relied on, so that new types are understood too."""

    type: Name
    timestamp: AwareDatetime
    data: InstanceOf[dict[str, Any]]


class _Logged(BaseModel):
    """What every entry of Polar's log has."""

    id: Name
    name: Name
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

    See `payments.webhooks.verified`; `headers` are the request's, in any case.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    return verified(
        "Polar",
        secrets,
        body,
        lambda secret: _signed(body, sent, secret),
        lambda payload: event_of(payload, sent["webhook-id"]),
    )


def _signed(body: bytes, headers: dict[str, str], secret: str) -> bool:
    try:
        # What Polar signs is text; of anything else the SDK never looks at the signature.
        text = body.decode()
        # No type is known to the SDK here. It would read a known one into classes that take seconds to make, and
        # from an unknown one nothing at all; of both we need the same few fields.
        validate_event(text, headers, secret, frozenset(), lambda data: data)
    except (UnicodeDecodeError, PolarWebhookVerificationError):
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
    id: Name


def _customer_id(event: _Event) -> str | None:
    return name_in(event.data.get("id" if event.type.startswith("customer.") else "customer_id"))


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
        PaymentError, polar.base.PolarError, pydantic.ValidationError: a page could not be had, or read.
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
        pydantic.ValidationError: the answer is no such page.
    """
    request = client.build_request(
        "GET", _LOG, query_params={"source": "system", "sorting": ["-timestamp"], **query}
    )
    answer = await client.send_request(request)
    return _LogPage.model_validate(parse_response_json(answer, None, {422: HTTPValidationError}))


async def was_deleted(client: PolarClient, **which: Any) -> bool:
    """Return whether Polar's log says that a customer was deleted.

    Args:
        which: `customer_id`, or `metadata` with the `customer_external_id` it had.
    """
    found = await log_page(client, name="customer.deleted", page=1, limit=1, **which)
    return bool(found.items)
