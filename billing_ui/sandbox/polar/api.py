"""Polar's API, as far as the dashboard and its tests use it: what each call does to the shop."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from billing_ui.sandbox.polar import calls, lists, sessions
from billing_ui.sandbox.polar.errors import Refused, failure, missing, unauthorized
from billing_ui.sandbox.polar.validator import identity
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.errors import Missing
from billing_ui.sandbox.shop.shop import Shop

PATH: Final = "/v1/"

_KEY: Final = re.compile(r"Bearer polar_\w+", re.ASCII)
"""Any token that looks like one of Polar's."""

Operation = Callable[..., Answered]


@dataclass(frozen=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    operation: Operation


def _route(method: str, path: str, operation: Operation) -> _Route:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    return _Route(method, re.compile(pattern), operation)


_ROUTES: Final = (
    _route("GET", "/v1/customers/", lists.customers),
    _route("POST", "/v1/customers/", calls.create_customer),
    _route("GET", "/v1/customers/external/{external_id}", calls.customer_by_external_id),
    _route("GET", "/v1/customers/{record_id}", calls.customer),
    _route("PATCH", "/v1/customers/{record_id}", calls.update_customer),
    _route("DELETE", "/v1/customers/{record_id}", calls.delete_customer),
    _route("GET", "/v1/customers/{record_id}/payment-methods", lists.payment_methods),
    _route("GET", "/v1/customers/{record_id}/members", lists.members),
    _route("GET", "/v1/customers/{record_id}/members/{member_id}", calls.member),
    _route("POST", "/v1/customer-sessions/", sessions.create_customer_session),
    _route("POST", "/v1/checkouts/", sessions.create_checkout),
    _route("GET", "/v1/checkouts/{record_id}", sessions.checkout),
    _route("GET", "/v1/products/", lists.products),
    _route("GET", "/v1/products/{record_id}", calls.product),
    _route("GET", "/v1/subscriptions/", lists.subscriptions),
    _route("GET", "/v1/subscriptions/{record_id}", calls.subscription),
    _route("PATCH", "/v1/subscriptions/{record_id}", calls.update_subscription),
    _route("DELETE", "/v1/subscriptions/{record_id}", calls.revoke_subscription),
    _route("GET", "/v1/orders/", lists.orders),
    _route("GET", "/v1/orders/{record_id}", calls.order),
    _route("GET", "/v1/orders/{record_id}/invoice", calls.order_invoice),
    _route("POST", "/v1/orders/{record_id}/invoice", calls.make_order_invoice),
    _route("GET", "/v1/events/", lists.events),
    _route("GET", "/v1/organizations/", lists.organizations),
    _route("GET", "/v1/webhooks/endpoints", lists.webhook_endpoints),
    _route("GET", "/v1/webhooks/deliveries", lists.webhook_deliveries),
)


def answer(shop: Shop, asked: Asked) -> Answered:
    """Do what a request asks for."""
    if not asked.trusted and not _KEY.fullmatch(asked.headers.get("authorization", "")):
        return unauthorized().answered
    known = [(route, found) for route in _ROUTES if (found := route.pattern.fullmatch(asked.path))]
    for route, found in known:
        if route.method == asked.method:
            return _answered(route.operation, shop, asked, found.groupdict())
    return failure(405 if known else 404)


def _answered(operation: Operation, shop: Shop, asked: Asked, names: dict[str, Any]) -> Answered:
    try:
        if "record_id" in names:
            names["record_id"] = identity("path", "id", names["record_id"])
        return operation(shop, asked, **names)
    except Refused as refusal:
        return refusal.answered
    except Missing as error:
        return missing(error.kind.capitalize()).answered
