"""Paddle's API, as far as the drivers need it, and as strict."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from billing_ui.sandbox.core.store import Condition, one_of
from billing_ui.sandbox.paddle import catalog, customers, shapes, transactions, webhooks
from billing_ui.sandbox.paddle import requests as ask
from billing_ui.sandbox.paddle.ids import ulid
from billing_ui.sandbox.paddle.listing import PAGING, Listed, among, answered, check_among, split
from billing_ui.sandbox.paddle.requests import Refusal, found, invalid, missing
from billing_ui.sandbox.shop.dialect import Answered, Asked, ChangeKind
from billing_ui.sandbox.shop.errors import Impossible, Missing, PaymentFailed, Taken
from billing_ui.sandbox.shop.model import (
    Endpoint,
    Event,
    Json,
    Kind,
    Price,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

PATHS: Final = (
    *("/customers", "/products", "/prices", "/subscriptions", "/transactions"),
    *("/events", "/event-types", "/notification-settings", "/settings/"),
)
_TITLES: Final = {Kind.CARD: "Payment method"}
_NOT_TOLD: Final = {
    429: ("too_many_requests", "IP address exceeded the allowed rate limit."),
    502: ("bad_gateway", "The endpoint is temporarily unable to handle your request."),
    503: ("service_unavailable", "The server is temporarily unavailable."),
}

Handler = Callable[..., Answered]


def answer(shop: Shop, asked: Asked) -> Answered:
    """Do what a request asks for; anything wrong is answered as Paddle would."""
    try:
        if not asked.trusted:
            _check_key(asked.headers.get("authorization"))
        handler, ids = _handler(asked)
        return handler(shop, asked, *ids)
    except Refusal as refusal:
        return ask.refused(refusal)
    except Missing as error:
        title = _TITLES.get(error.kind, str(error.kind).capitalize())
        return ask.refused(missing(title, error.record_id))
    except Taken as error:
        return ask.refused(customers.conflict(error.other))
    except PaymentFailed as error:
        return ask.refused(Refusal(400, "subscription_payment_declined", str(error)))
    except Impossible as error:
        return ask.refused(Refusal(400, "bad_request", str(error)))


def failure(status: int) -> Answered:
    """Return what Paddle answers when it fails by itself."""
    default = ("internal_error", "There was an internal error. Try again later.")
    return ask.refused(Refusal(status, *_NOT_TOLD.get(status, default)))


def _check_key(header: str | None) -> None:
    if header is None:
        raise Refusal(403, "authentication_missing", "Authentication header missing.")
    scheme, _, key = header.partition(" ")
    if scheme != "Bearer" or not key:
        raise Refusal(
            403,
            "authentication_malformed",
            "Authentication header included, but incorrectly formatted.",
        )
    if not key.startswith("pdl_sdbx_apikey_"):
        raise Refusal(403, "invalid_token", "Invalid or revoked API key.")


def _handler(asked: Asked) -> tuple[Handler, tuple[str, ...]]:
    known = False
    for method, pattern, handler in _ROUTES:
        if match := re.fullmatch(pattern, asked.path):
            if method == asked.method:
                return handler, match.groups()
            known = True
    if known:
        raise Refusal(405, "method_not_allowed", "This method is not allowed here.")
    raise Refusal(404, "invalid_url", "The URL is not one of the API's.")


# ---------------------------------------------------------------- subscriptions

_STATUSES: Final = {
    "active": ["active"],
    "trialing": ["trialing"],
    "past_due": ["past_due", "unpaid"],
    "paused": ["paused"],
    "canceled": ["ended"],
    "inactive": [],
}


def _list_subscriptions(shop: Shop, asked: Asked) -> Answered:
    allowed = PAGING | {"id", "status", "customer_id", "price_id", "collection_mode"}
    query = ask.read_query(asked, allowed)
    check_among("status", query, set(_STATUSES))
    conditions = []
    if "customer_id" in query:
        conditions.append(among("customer", split(query["customer_id"])))
    if "status" in query:
        wanted = [word for status in split(query["status"]) for word in _STATUSES[status]]
        conditions.append(one_of("status", wanted))
    if "price_id" in query:
        conditions.append(one_of("price", split(query["price_id"])))
    if query.get("collection_mode") == "manual":
        conditions.append(Condition("1 = 0"))

    def shown(record: Subscription) -> Json:
        return shapes.subscription(shop, record)

    return answered(shop, asked, query, Listed(Subscription, shown, conditions))


def _get_subscription(shop: Shop, asked: Asked, subscription_id: str) -> Answered:
    query = ask.read_query(asked, frozenset({"include"}))
    check_among("include", query, {"next_transaction", "recurring_transaction_details"})
    record = shop.get(Subscription, subscription_id)
    shown, included = shapes.subscription(shop, record), split(query.get("include", ""))
    if "next_transaction" in included:
        shown["next_transaction"] = shapes.next_transaction(shop, record)
    if "recurring_transaction_details" in included:
        shown["recurring_transaction_details"] = shapes.recurring_details(shop, record)
    return found(shown)


def _update_subscription(shop: Shop, asked: Asked, subscription_id: str) -> Answered:
    body = ask.read_body(ask.SubscriptionChange, asked)
    record = shop.get(Subscription, subscription_id)
    if "scheduled_change" in body.given and record.cancel_at_period_end:
        record = shop.keep(subscription_id)
    if body.items is not None:
        if body.proration_billing_mode is None:
            raise invalid(proration_billing_mode="is required when items change")
        item = body.items[0]
        transactions.check_quantity(shop.get(Price, item.price_id), item.quantity)
        record = shop.change_plan(subscription_id, item.price_id, item.quantity)
    if "custom_data" in body.given:
        before = record
        record = shop.save(replace(record, metadata=body.custom_data or {}))
        shop.tell(ChangeKind.SUBSCRIPTION_UPDATED, record, before)
    return found(shapes.subscription(shop, record))


def _cancel(shop: Shop, asked: Asked, subscription_id: str) -> Answered:
    body = ask.read_body(ask.When, asked)
    at_once = body.effective_from == "immediately"
    act = shop.end_now if at_once else shop.cancel
    return found(shapes.subscription(shop, act(subscription_id)))


def _pause(shop: Shop, asked: Asked, subscription_id: str) -> Answered:
    body = ask.read_body(ask.When, asked)
    if body.effective_from != "immediately":
        raise invalid(effective_from="this sandbox pauses immediately only")
    until = None
    if body.resume_at is not None:
        try:
            until = int(datetime.fromisoformat(body.resume_at).timestamp())
        except ValueError:
            raise invalid(resume_at="must be an RFC 3339 datetime string") from None
    return found(shapes.subscription(shop, shop.pause(subscription_id, until)))


def _resume(shop: Shop, asked: Asked, subscription_id: str) -> Answered:
    body = ask.read_body(ask.When, asked)
    if body.effective_from != "immediately":
        raise invalid(effective_from="this sandbox resumes immediately only")
    return found(shapes.subscription(shop, shop.resume(subscription_id)))


# ---------------------------------------------------------------- events and settings


def _list_events(shop: Shop, asked: Asked) -> Answered:
    query = ask.read_query(asked, PAGING | {"event_type", "from", "to"})
    conditions = []
    if "event_type" in query:
        conditions.append(one_of("type", split(query["event_type"])))
    for name, sign in (("from", ">="), ("to", "<=")):
        if name in query:
            try:
                at = datetime.fromisoformat(query[name]).timestamp()
            except ValueError:
                raise invalid(**{name: "must be an RFC 3339 datetime string"}) from None
            conditions.append(Condition(f"created {sign} ?", (at,)))

    def shown(event: Event) -> Json:
        return webhooks.listed([event])[0]

    return answered(shop, asked, query, Listed(Event, shown, conditions))


def _list_event_types(shop: Shop, asked: Asked) -> Answered:
    ask.read_query(asked, frozenset())
    return found([shapes.event_type(name) for name in webhooks.EVENT_TYPES])


def _list_destinations(shop: Shop, asked: Asked) -> Answered:
    query = ask.read_query(asked, PAGING | {"active", "traffic_source"})
    conditions = []
    if "active" in query:
        conditions.append(
            Condition("json_extract(body, '$.enabled') = ?", (int(query["active"] == "true"),))
        )

    def shown(endpoint: Endpoint) -> Json:
        return shapes.destination(endpoint, webhooks.EVENT_TYPES)

    return answered(shop, asked, query, Listed(Endpoint, shown, conditions))


def _create_destination(shop: Shop, asked: Asked) -> Answered:
    body = ask.read_body(ask.DestinationBody, asked)
    if unknown := set(body.subscribed_events) - set(webhooks.EVENT_TYPES):
        raise invalid(subscribed_events=f"unknown: {', '.join(sorted(unknown))}")
    secret = f"pdl_ntfset_{ulid(shop.now)}_{ulid(shop.now)}"
    made = shop.register_endpoint(body.destination, secret, tuple(body.subscribed_events))
    made = shop.save(replace(made, metadata={"description": body.description}))
    return found(shapes.destination(made, webhooks.EVENT_TYPES), status=201)


def _checkout_url(shop: Shop, asked: Asked) -> Answered:
    # Where the shop's checkouts are; a real account names a page of the company's own.
    return found({"default_url": f"{shop.origin}/c/pay"})


_ID: Final = r"([A-Za-z0-9_-]+)"
_ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/customers", customers.list_them),
    ("POST", "/customers", customers.create),
    ("GET", f"/customers/{_ID}", customers.get),
    ("PATCH", f"/customers/{_ID}", customers.update),
    ("GET", f"/customers/{_ID}/addresses", customers.addresses),
    ("GET", f"/customers/{_ID}/businesses", customers.businesses),
    ("GET", f"/customers/{_ID}/payment-methods", customers.methods),
    ("GET", f"/customers/{_ID}/payment-methods/{_ID}", customers.get_method),
    ("DELETE", f"/customers/{_ID}/payment-methods/{_ID}", customers.delete_method),
    ("POST", f"/customers/{_ID}/portal-sessions", customers.open_portal),
    ("GET", "/products", catalog.list_products),
    ("POST", "/products", catalog.create_product),
    ("GET", f"/products/{_ID}", catalog.get_product),
    ("PATCH", f"/products/{_ID}", catalog.update_product),
    ("GET", "/prices", catalog.list_prices),
    ("POST", "/prices", catalog.create_price),
    ("GET", f"/prices/{_ID}", catalog.get_price),
    ("PATCH", f"/prices/{_ID}", catalog.update_price),
    ("GET", "/subscriptions", _list_subscriptions),
    ("GET", f"/subscriptions/{_ID}", _get_subscription),
    ("PATCH", f"/subscriptions/{_ID}", _update_subscription),
    ("POST", f"/subscriptions/{_ID}/cancel", _cancel),
    ("POST", f"/subscriptions/{_ID}/pause", _pause),
    ("POST", f"/subscriptions/{_ID}/resume", _resume),
    ("GET", "/transactions", transactions.list_them),
    ("POST", "/transactions", transactions.create),
    ("GET", f"/transactions/{_ID}", transactions.get),
    ("PATCH", f"/transactions/{_ID}", transactions.update),
    ("GET", f"/transactions/{_ID}/invoice", transactions.invoice),
    ("GET", "/events", _list_events),
    ("GET", "/event-types", _list_event_types),
    ("GET", "/notification-settings", _list_destinations),
    ("POST", "/notification-settings", _create_destination),
    ("GET", "/settings/checkout-url", _checkout_url),
)
