"""Signed webhook requests, of the size that Stripe's are."""

import json
import time
from collections.abc import Iterable
from typing import Any

import stripe

from benchmarks.load import request
from benchmarks.servers import WEBHOOK_SECRET


def signed(path: str, event: dict[str, Any]) -> str:
    """Return the request that brings `event` to `path`."""
    body = json.dumps(event)
    signature = stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
    headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
    return request("POST", path, body.encode(), **headers)


def updates(path: str, numbers: Iterable[int], customers: int) -> list[str]:
    """Return a request for each number, an event of its own about one of so many customers."""
    return [
        signed(path, subscription_updated(number, f"cus_{number % customers:06}"))
        for number in numbers
    ]


def subscription_updated(number: int, customer: str) -> dict[str, Any]:
    """Return the event that the subscription of `customer` has a new quantity."""
    now = int(time.time())
    return {
        "id": f"evt_{number:012}",
        "object": "event",
        "api_version": stripe.api_version,
        "created": now,
        "data": {
            "object": _subscription(customer, now, quantity=number % 90 + 2),
            "previous_attributes": {"items": {"data": [_item(customer, now, quantity=1)]}},
        },
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": f"req_{number:012}", "idempotency_key": None},
        "type": "customer.subscription.updated",
    }


def _subscription(customer: str, now: int, quantity: int) -> dict[str, Any]:
    return {
        "id": f"sub_{customer}",
        "object": "subscription",
        "application": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": now,
        "billing_mode": {"type": "flexible"},
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": "usd",
        "customer": customer,
        "default_payment_method": "pm_benchmark",
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": [_item(customer, now, quantity)],
            "has_more": False,
            "total_count": 1,
            "url": f"/v1/subscription_items?subscription=sub_{customer}",
        },
        "latest_invoice": "in_benchmark",
        "livemode": False,
        "metadata": {},
        "payment_settings": {"save_default_payment_method": "off"},
        "start_date": now,
        "status": "active",
        "trial_end": None,
        "trial_start": None,
    }


def _item(customer: str, now: int, quantity: int) -> dict[str, Any]:
    return {
        "id": f"si_{customer}",
        "object": "subscription_item",
        "created": now,
        "current_period_end": now + 2_592_000,
        "current_period_start": now,
        "discounts": [],
        "metadata": {},
        "price": {
            "id": "price_benchmark",
            "object": "price",
            "active": True,
            "billing_scheme": "per_unit",
            "created": now,
            "currency": "usd",
            "livemode": False,
            "metadata": {},
            "product": "prod_benchmark",
            "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
            "type": "recurring",
            "unit_amount": 4900,
            "unit_amount_decimal": "4900",
        },
        "quantity": quantity,
        "subscription": f"sub_{customer}",
    }
