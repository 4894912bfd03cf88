"""What older API versions have otherwise: the words of requests, and the shape of webhooks."""

import stripe

from billing_ui.sandbox.stripe import billing
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

METHOD_TYPES = {"payment_method_types": "allowed_payment_method_types"}
RENAMED = {
    "/v1/checkout/sessions": METHOD_TYPES,
    "/v1/payment_intents": METHOD_TYPES,
    "/v1/setup_intents": METHOD_TYPES,
}
"""Path -> former name -> name of today."""


def modernize(version: str | None, path: str, params: Params) -> Params:
    """Return parameters as the current version names them.

    Answers are always those of the current version: only requests are understood in older words.

    Args:
        version: The caller's `Stripe-Version`, or None; whoever names today's is taken at its word.
        path: Such as `/v1/payment_intents`.
        params: As decoded from the wire.
    """
    if version == stripe.api_version or path not in RENAMED:
        return params
    return {RENAMED[path].get(name, name): value for name, value in params.items()}


BASIL = "2025-03-31"
"""Since when items have the periods and invoices a parent, https://docs.stripe.com/changelog/basil."""


def as_of(version: str | None, event: Json) -> Json:
    """Return an event as an endpoint of this API version gets it.

    Args:
        version: Such as `2024-06-20`; None for the current one.
        event: As the API answers it.
    """
    if version is None:
        return event
    event = {**event, "api_version": version}
    told = event["data"]["object"]
    if version[:10] >= BASIL or told["object"] not in FORMER:
        return event
    return {**event, "data": {**event["data"], "object": FORMER[told["object"]](told)}}


def _former_subscription(told: Json) -> Json:
    start, end = billing.period_of(told)
    moved = ("current_period_start", "current_period_end")
    items = [
        {name: value for name, value in item.items() if name not in moved}
        for item in told["items"]["data"]
    ]
    listed = {**told["items"], "data": items}
    return {**told, "current_period_start": start, "current_period_end": end, "items": listed}


def _former_invoice(told: Json) -> Json:
    former = {name: value for name, value in told.items() if name != "parent"}
    details = told["parent"] and told["parent"]["subscription_details"]
    subscription = details and details["subscription"]
    return {**former, "paid": told["status"] == "paid", "subscription": subscription}


FORMER = {"invoice": _former_invoice, "subscription": _former_subscription}
"""Object name -> what it looked like before."""
