"""Polar's lists: filtered, sorted and in numbered pages."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeVar

from polar.v2026_10.services.customers import CustomersAsync
from polar.v2026_10.services.customers.members import MembersAsync
from polar.v2026_10.services.events import EventsAsync
from polar.v2026_10.services.orders import OrdersAsync
from polar.v2026_10.services.organizations import OrganizationsAsync
from polar.v2026_10.services.products import ProductsAsync
from polar.v2026_10.services.subscriptions import SubscriptionsAsync
from polar.v2026_10.services.webhooks import WebhooksAsync

from billing_ui.sandbox.core.store import Condition, equals, one_of, within
from billing_ui.sandbox.polar import shapes, webhooks
from billing_ui.sandbox.polar.errors import wrong
from billing_ui.sandbox.polar.found import living
from billing_ui.sandbox.polar.organization import organization
from billing_ui.sandbox.polar.validator import query
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.model import (
    Customer,
    Endpoint,
    Event,
    Invoice,
    Json,
    Product,
    Record,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

R = TypeVar("R", bound=Record)

_PAGING: Final = ("page", "limit", "sorting")
_NEWEST_FIRST: Final = ("created_at", "started_at", "timestamp")
"""What a list can be sorted by here: the order in which things were made, turned round or not."""


def customers(shop: Shop, asked: Asked) -> Answered:
    """List the customers that were not deleted."""
    wish = query(CustomersAsync.list, asked.query)
    _only(wish, "email", "metadata", "organization_id")
    conditions = _of_metadata(wish)
    if wish["email"] is not None:
        lowered = "lower(json_extract(body, '$.email')) = ?"
        conditions.append(Condition(lowered, (wish["email"].lower(),)))
    return _page(shop, wish, Customer, conditions, shapes.customer)


def payment_methods(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """List a customer's cards."""
    wish = query(CustomersAsync.list_payment_methods, asked.query)
    cards = shop.cards(living(shop, record_id).id)
    return _slice(wish, [shapes.payment_method(card) for card in cards])


def members(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """List a customer's members, of whom there is only the owner here."""
    wish = query(MembersAsync.list, asked.query)
    owner = shapes.owner(living(shop, record_id))
    return _slice(wish, [owner] if wish["role"] in (None, "owner") else [])


def products(shop: Shop, asked: Asked) -> Answered:
    """List what is sold; a product without a price is none yet."""
    wish = query(ProductsAsync.list, asked.query)
    _only(wish, "is_archived", "is_recurring", "visibility", "organization_id")
    newest_first = _newest_first(wish)
    found = [
        shapes.product(shop, product, prices[0])
        for product in shop.find(Product, oldest_first=not newest_first)
        if (prices := shop.prices(product.id))
    ]
    if wish["is_archived"] is not None:
        found = [one for one in found if one["is_archived"] is wish["is_archived"]]
    if wish["is_recurring"] is False or wish["visibility"] not in (None, ["public"]):
        found = []
    return _slice(wish, found)


def subscriptions(shop: Shop, asked: Asked) -> Answered:
    """List subscriptions."""
    wish = query(SubscriptionsAsync.list, asked.query)
    _only(
        wish,
        *("customer_id", "external_customer_id", "product_id", "organization_id"),
        *("status", "active", "cancel_at_period_end", "metadata"),
    )
    conditions = [*_of_metadata(wish), *_of_customers(shop, wish)]
    if wish["product_id"]:
        conditions.append(one_of("product", _several(wish["product_id"])))
    if wish["status"]:
        conditions.append(_standing(shapes.STATUSES, _several(wish["status"])))
    if wish["active"] is not None:
        active = {"trialing", "active", "past_due"}
        others = set(shapes.STATUSES.values()) - active
        conditions.append(_standing(shapes.STATUSES, active if wish["active"] else others))
    if wish["cancel_at_period_end"] is not None:
        conditions.append(equals("cancel_at_period_end", wish["cancel_at_period_end"]))
    return _page(shop, wish, Subscription, conditions, shapes.subscription)


def orders(shop: Shop, asked: Asked) -> Answered:
    """List orders."""
    wish = query(OrdersAsync.list, asked.query)
    _only(
        wish,
        *("customer_id", "external_customer_id", "subscription_id", "organization_id"),
        *("status", "created_after", "created_before", "metadata"),
    )
    conditions = [*_of_metadata(wish), *_of_customers(shop, wish)]
    if wish["subscription_id"]:
        conditions.append(one_of("subscription", _several(wish["subscription_id"])))
    if wish["status"]:
        if "partially_refunded" in _several(wish["status"]):
            raise _not_here("status", wish["status"])
        conditions.append(_standing(shapes.ORDER_STATUSES, _several(wish["status"])))
    bounds = {"gt": wish["created_after"], "lt": wish["created_before"]}
    conditions += within("created", _moments("created_after", bounds))
    return _page(shop, wish, Invoice, conditions, shapes.order)


def events(shop: Shop, asked: Asked) -> Answered:
    """List the log of what happened, which is made of what was told."""
    wish = query(EventsAsync.list, asked.query)
    _only(
        wish,
        *("start_timestamp", "end_timestamp", "customer_id", "organization_id"),
        *("name", "source", "metadata"),
    )
    names = set(webhooks.LABELS)
    if wish["name"] is not None:
        names &= set(_several(wish["name"]))
    if wish["source"] is not None and "system" not in _several(wish["source"]):
        names = set()
    bounds = {"gt": wish["start_timestamp"], "lt": wish["end_timestamp"]}
    conditions = [
        one_of("type", sorted(names)),
        *within("created", _moments("start_timestamp", bounds)),
    ]
    if wish["customer_id"]:
        conditions.append(_among("customer", _several(wish["customer_id"])))
    metadata = dict(wish["metadata"] or {})
    if (external_id := metadata.pop("customer_external_id", None)) is not None:
        known = shop.find(Customer, equals("external_id", external_id), deleted=True)
        conditions.append(_among("customer", [customer.id for customer in known]))
    if metadata:
        raise _not_here("metadata", metadata)
    return _page(shop, wish, Event, conditions, webhooks.logged)


def organizations(shop: Shop, asked: Asked) -> Answered:
    """List the only organization there is."""
    return _slice(query(OrganizationsAsync.list, asked.query), [organization(shop)])


def webhook_endpoints(shop: Shop, asked: Asked) -> Answered:
    """List who is told of events."""
    wish = query(WebhooksAsync.list_webhook_endpoints, asked.query)
    return _page(shop, wish, Endpoint, [], _endpoint)


def webhook_deliveries(shop: Shop, asked: Asked) -> Answered:
    """List what became of deliveries that were tried; of those tried again only the last attempt."""
    wish = query(WebhooksAsync.list_webhook_deliveries, asked.query)
    _only(wish, "endpoint_id", "start_timestamp", "end_timestamp", "succeeded")
    bounds = {"gt": wish["start_timestamp"], "lt": wish["end_timestamp"]}
    conditions = [
        Condition("(state <> 'pending' OR attempts > 0)"),
        *within("queued", _moments("start_timestamp", bounds)),
    ]
    if wish["endpoint_id"]:
        conditions.append(_among("endpoint", _several(wish["endpoint_id"])))
    if wish["succeeded"] is not None:
        sign = "=" if wish["succeeded"] else "<>"
        conditions.append(Condition(f"state {sign} 'delivered'"))
    where = " AND ".join(condition.sql for condition in conditions)
    rows = shop.store.execute(
        f"SELECT id, event, state, queued FROM delivery WHERE {where} ORDER BY id DESC",  # noqa: S608
        [argument for condition in conditions for argument in condition.arguments],
    ).fetchall()
    start = (wish["page"] - 1) * wish["limit"]
    shown = [_delivery(shop, *row) for row in rows[start : start + wish["limit"]]]
    return _answer(wish, shown, len(rows))


def _endpoint(shop: Shop, record: Endpoint) -> Json:
    every = sorted(webhooks.EVENT_TYPES)
    return {
        "created_at": shapes.written(record.created),
        "modified_at": None,
        "id": record.id,
        "url": record.url,
        "name": None,
        "api_version": webhooks.API_VERSION,
        "format": "raw",
        "secret": record.secret,
        "organization_id": shapes.organization_id(shop),
        "events": every if "*" in record.events else list(record.events),
        "enabled": record.enabled,
        "uses_standard_webhook_signature": False,
    }


def _delivery(shop: Shop, number: int, event_id: str, state: str, queued: float) -> Json:
    event = shop.get(Event, event_id)
    succeeded = state == "delivered"
    return {
        "created_at": shapes.written(int(queued)),
        "modified_at": None,
        "id": shapes.derived("delivery", number),
        "succeeded": succeeded,
        "http_code": 200 if succeeded else None,
        "response": None,
        "webhook_event": {
            "created_at": shapes.written(event.created),
            "modified_at": None,
            "id": event.id,
            "last_http_code": 200 if succeeded else None,
            "succeeded": succeeded,
            "skipped": False,
            "api_version": webhooks.API_VERSION,
            "payload": None,
            "type": event.type,
            "is_archived": True,
        },
    }


# ---------------------------------------------------------------- pages and filters


def _page(
    shop: Shop,
    wish: Json,
    kind: type[R],
    conditions: Sequence[Condition],
    shape: Callable[[Shop, R], Json],
) -> Answered:
    found = shop.find(
        kind,
        *conditions,
        limit=wish["limit"],
        offset=(wish["page"] - 1) * wish["limit"],
        oldest_first=not _newest_first(wish),
    )
    return _answer(wish, [shape(shop, record) for record in found], shop.count(kind, *conditions))


def _slice(wish: Json, found: Sequence[Json]) -> Answered:
    start = (wish["page"] - 1) * wish["limit"]
    return _answer(wish, found[start : start + wish["limit"]], len(found))


def _answer(wish: Json, items: Sequence[Json], count: int) -> Answered:
    pages = -(-count // wish["limit"])
    pagination = {"total_count": count, "max_page": pages}
    return Answered(200, {"items": list(items), "pagination": pagination})


def _newest_first(wish: Json) -> bool:
    sorting = wish.get("sorting") or ["-created_at"]
    [criterion, *others] = sorting
    if others or criterion.removeprefix("-") not in _NEWEST_FIRST:
        raise _not_here("sorting", sorting)
    return bool(criterion.startswith("-"))


def _only(wish: Json, *known: str) -> None:
    """Refuse a filter that this sandbox does not have, instead of ignoring it."""
    for name, value in wish.items():
        if value is not None and name not in known and name not in _PAGING:
            raise _not_here(name, value)


def _not_here(name: str, value: Any) -> Exception:
    return wrong("query", name, "This sandbox does not imitate that.", value)


def _several(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _among(column: str, values: Sequence[str]) -> Condition:
    return Condition(f"{column} IN ({', '.join('?' * len(values))})", tuple(values))


def _standing(words: Mapping[Any, str], wanted: Iterable[str]) -> Condition:
    """Match by status; `words` are Polar's for the shop's own."""
    return one_of("status", sorted(ours.value for ours, word in words.items() if word in wanted))


def _of_customers(shop: Shop, wish: Json) -> list[Condition]:
    conditions = []
    if wish["customer_id"]:
        conditions.append(_among("customer", _several(wish["customer_id"])))
    if wish["external_customer_id"]:
        named = one_of("external_id", _several(wish["external_customer_id"]))
        conditions.append(_among("customer", [one.id for one in shop.find(Customer, named)]))
    return conditions


def _of_metadata(wish: Json) -> list[Condition]:
    return [
        # Whatever it was, in an address it is text.
        Condition("CAST(json_extract(body, ?) AS TEXT) = ?", (f'$.metadata."{name}"', value))
        for name, value in (wish["metadata"] or {}).items()
    ]


def _moments(name: str, bounds: Mapping[str, str | None]) -> dict[str, int]:
    return {sign: _moment(name, text) for sign, text in bounds.items() if text is not None}


def _moment(name: str, text: str) -> int:
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return int(moment.timestamp())
    raise wrong("query", name, "Input should be a valid datetime", text, "datetime")
