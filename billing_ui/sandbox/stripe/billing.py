"""The arithmetic of subscriptions: periods, amounts, proration. It touches no store."""

from datetime import UTC, datetime
from typing import Any

from billing_ui.sandbox.core import periods
from billing_ui.sandbox.core.periods import DAY, HOUR
from billing_ui.sandbox.stripe.shapes import Json

INCOMPLETE_FOR = 23 * HOUR
"""How long a first payment may be made up for, https://docs.stripe.com/billing/subscriptions/overview."""
TRIAL_WARNING = 3 * DAY
"""How long before its end a trial is announced to end."""


def period_around(anchor: int, moment: int, recurring: Json) -> tuple[int, int]:
    """Return the billing period, in Unix seconds, that a moment falls into.

    Args:
        anchor: The billing cycle anchor: every period begins a whole number of intervals from it.
        moment: A Unix time not before the anchor.
        recurring: `interval` and `interval_count` of the price.
    """
    return periods.period_around(anchor, moment, recurring["interval"], recurring["interval_count"])


def period_of(subscription: Json) -> tuple[int, int]:
    """Return the earliest current period of a subscription's items."""
    items = subscription["items"]["data"]
    return (
        min(item["current_period_start"] for item in items),
        min(item["current_period_end"] for item in items),
    )


def next_due(subscription: Json) -> int | None:
    """Return the Unix time at which time itself next changes a subscription, or None."""
    status = subscription["status"]
    if status == "incomplete":
        return int(subscription["created"]) + INCOMPLETE_FOR
    if status not in ("active", "trialing", "past_due", "unpaid"):
        return None
    moments = [period_of(subscription)[1]]
    if subscription["cancel_at"]:
        moments.append(subscription["cancel_at"])
    pause = subscription["pause_collection"]
    if pause and pause["resumes_at"]:
        moments.append(pause["resumes_at"])
    if status == "trialing":
        moments.append(subscription["trial_end"])
        if not subscription.get("_trial_announced"):
            moments.append(subscription["trial_end"] - TRIAL_WARNING)
    return min(moments)


def with_due(subscription: Json) -> Json:
    """Return a subscription that knows when it is next due."""
    return {**subscription, "_due": next_due(subscription)}


def per(recurring: Json) -> str:
    """Return `month`, or `3 months`."""
    count, interval = recurring["interval_count"], recurring["interval"]
    return str(interval) if count == 1 else f"{count} {interval}s"


def day(moment: int) -> str:
    """Return a Unix time as `03 Jan 2027`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%d %b %Y")


def line(
    *,
    id_: str,
    amount: int,
    currency: str,
    description: str | None,
    period: tuple[int, int],
    quantity: int | None,
    parent: Json | None,
    price: Json | None = None,
    unit_amount: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Json:
    """Return an invoice line; `amount` and `unit_amount` (a decimal) are minor units."""
    pricing: Any = None
    if price is not None:
        pricing = {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": unit_amount,
        }
    return {
        "id": id_,
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": description,
        "discountable": True,
        "metadata": metadata or {},
        "parent": parent,
        "period": {"start": period[0], "end": period[1]},
        "pricing": pricing,
        "quantity": quantity,
        "quantity_decimal": None if quantity is None else str(quantity),
        "subtotal": amount,
        "taxes": [],
    }
