"""Paddle's API, as far as the drivers need it, and as strict."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from billing_ui.sandbox.core.store import Condition, one_of
from billing_ui.sandbox.paddle import requests as ask
from billing_ui.sandbox.paddle import shapes, transactions, webhooks
from billing_ui.sandbox.paddle.ids import ulid
from billing_ui.sandbox.paddle.listing import PAGING, Listed, answered, split
from billing_ui.sandbox.paddle.requests import Refusal, found, invalid, missing
from billing_ui.sandbox.shop.dialect import Answered, Asked, ChangeKind
from billing_ui.sandbox.shop.errors import Impossible, Missing, PaymentFailed, Taken
from billing_ui.sandbox.shop.model import (
    Card,
    Customer,
    Endpoint,
    Event,
    Interval,
    Json,
    Kind,
    Price,
    Product,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

PATHS: Final = (
    *("/customers", "/products", "/prices", "/subscriptions", "/transactions"),
    *("/events", "/event-types", "/notification-settings", "/settings/"),
)
_TITLES: Final = {Kind.CARD: "Payment method"}
_DAYS: Final = {"day": 1, "week": 7, "month": 30, "year": 365}
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
        return ask.refused(_conflict(error.other))
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


# ---------------------------------------------------------------- customers


def _conflict(other: str) -> Refusal:
    detail = f"customer email conflicts with customer of id {other}"
    return Refusal(409, "customer_already_exists", detail)


def _list_customers(shop: Shop, asked: Asked) -> Answered:
    query = ask.read_query(asked, PAGING | {"id", "email", "status", "search"})
    conditions = [_in_status("json_extract(body, '$.deleted_at') IS NOT NULL", query)]
    if "email" in query:
        conditions.append(one_of("email", split(query["email"])))
    if "search" in query:
        found_in = "instr(lower(json_extract(body, '$.email')), lower(?))"
        conditions.append(Condition(found_in, (query["search"],)))
    listed = Listed(Customer, shapes.customer, conditions, deleted=True)
    return answered(shop, asked, query, listed)


def _in_status(archived: str, query: Json) -> Condition:
    """Return the condition of a list that is of what is active unless it is told otherwise."""
    wanted = split(query.get("status", "active"))
    if not set(wanted) <= {"active", "archived"}:
        raise invalid(status="must be active or archived")
    if len(set(wanted)) == 2:
        return Condition("1 = 1")
    return Condition(archived if wanted == ["archived"] else f"NOT ({archived})")


def _create_customer(shop: Shop, asked: Asked) -> Answered:
    body = ask.read_body(ask.CustomerBody, asked)
    _check_email(shop, body.email, None)
    made = shop.create_customer(
        body.email,
        name=body.name,
        metadata=body.custom_data or {},
        extra={"locale": body.locale},
    )
    return found(shapes.customer(made), status=201)


def _check_email(shop: Shop, email: str, own: str | None) -> None:
    """Refuse an address that somebody has; archived customers keep theirs."""
    condition = Condition("lower(json_extract(body, '$.email')) = ?", (email.lower(),))
    for other in shop.find(Customer, condition, deleted=True, limit=1):
        if other.id != own:
            raise _conflict(other.id)


def _get_customer(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    ask.read_query(asked, frozenset())
    return found(shapes.customer(shop.get(Customer, customer_id)))


def _update_customer(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    body = ask.read_body(ask.CustomerChange, asked)
    before = shop.get(Customer, customer_id)
    if before.deleted_at is not None and "status" not in body.given:
        detail = f"Customer {customer_id} is archived and cannot be modified."
        raise Refusal(400, "entity_archived", detail)
    after = before
    if "email" in body.given:
        _check_email(shop, body.email, customer_id)
        after = replace(after, email=body.email)
    if "name" in body.given:
        after = replace(after, name=body.name)
    if "custom_data" in body.given:
        after = replace(after, metadata=body.custom_data or {})
    if "locale" in body.given:
        after = replace(after, extra={**after.extra, "locale": body.locale})
    if "status" in body.given:
        archived = shop.now if body.status == "archived" else None
        after = replace(after, deleted_at=archived)
    if after != before:
        after = shop.save(after)
        shop.tell(ChangeKind.CUSTOMER_UPDATED, after, before)
    return found(shapes.customer(after))


def _customers_addresses(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    ask.read_query(asked, PAGING | {"id", "status", "search"})
    customer = shop.get(Customer, customer_id)
    return _short_list([shapes.address(customer)] if customer.address else [])


def _customers_businesses(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    ask.read_query(asked, PAGING | {"id", "status", "search"})
    customer = shop.get(Customer, customer_id)
    return _short_list([shapes.business(customer)] if customer.tax_id else [])


def _short_list(data: list[Json]) -> Answered:
    return found(
        data,
        pagination={
            "per_page": 50,
            "next": None,
            "has_more": False,
            "estimated_total": len(data),
        },
    )


def _customers_methods(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    query = ask.read_query(asked, PAGING | {"address_id", "supports_checkout"})
    shop.get(Customer, customer_id)
    listed = Listed(Card, shapes.payment_method, [Condition("customer = ?", (customer_id,))])
    return answered(shop, asked, query, listed)


def _get_method(shop: Shop, asked: Asked, customer_id: str, card_id: str) -> Answered:
    return found(shapes.payment_method(_card(shop, customer_id, card_id)))


def _delete_method(shop: Shop, asked: Asked, customer_id: str, card_id: str) -> Answered:
    shop.remove_card(_card(shop, customer_id, card_id).id)
    return Answered(204, None)


def _card(shop: Shop, customer_id: str, card_id: str) -> Card:
    card = shop.get(Card, card_id)
    if card.customer != customer_id:
        raise missing("Payment method", card_id)
    return card


def _open_portal(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    body = ask.read_body(ask.PortalBody, asked)
    if shop.get(Customer, customer_id).deleted_at is not None:
        detail = f"Customer {customer_id} is archived and cannot be modified."
        raise Refusal(400, "entity_archived", detail)
    for subscription_id in body.subscription_ids:
        if shop.get(Subscription, subscription_id).customer != customer_id:
            raise missing("Subscription", subscription_id)
    return found(
        {
            "id": f"cpls_{ulid(shop.now)}",
            "customer_id": customer_id,
            "urls": {
                "general": {"overview": shop.open_portal(customer_id).url},
                "subscriptions": [
                    shapes.portal_links(shop, customer_id, one) for one in body.subscription_ids
                ],
            },
            "created_at": shapes.moment(shop.now),
        },
        status=201,
    )


# ---------------------------------------------------------------- catalogue


def _list_products(shop: Shop, asked: Asked) -> Answered:
    query = ask.read_query(asked, PAGING | {"id", "status", "type", "tax_category", "include"})
    _only("include", query, {"prices"})
    _only("type", query, {"standard", "custom"})

    def shown(product: Product) -> Json:
        if "include" not in query:
            return shapes.product(product)
        prices = [shapes.price(one) for one in shop.prices(product.id) if not one.archived]
        return shapes.product(product) | {"prices": prices}

    condition = _in_status("json_extract(body, '$.archived') = 1", query)
    conditions = [condition, *_custom_only(query)]
    return answered(shop, asked, query, Listed(Product, shown, conditions))


def _only(name: str, query: Json, allowed: set[str]) -> None:
    if name in query and not set(split(query[name])) <= allowed:
        raise invalid(**{name: f"must be among {', '.join(sorted(allowed))}"})


def _custom_only(query: Json) -> list[Condition]:
    # Everything the shop sells is in its catalogue.
    return [Condition("1 = 0")] if "standard" not in query.get("type", "standard") else []


def _create_product(shop: Shop, asked: Asked) -> Answered:
    body = ask.read_body(ask.ProductBody, asked)
    made = shop.create_product(
        body.name,
        description=body.description,
        **_own_data(body.custom_data),
        extra={"tax_category": body.tax_category, "image_url": body.image_url},
    )
    return found(shapes.product(made), status=201)


def _own_data(custom_data: Json | None) -> Json:
    """Return what the shop keeps in fields of its own, and the rest of a product's custom data."""
    rest = dict(custom_data or {})
    features, label = rest.pop("features", ()), rest.pop("unit_label", None)
    return {"features": tuple(features), "unit_label": label, "metadata": rest}


def _get_product(shop: Shop, asked: Asked, product_id: str) -> Answered:
    return found(shapes.product(shop.get(Product, product_id)))


def _update_product(shop: Shop, asked: Asked, product_id: str) -> Answered:
    body = ask.read_body(ask.ProductChange, asked)
    before = shop.get(Product, product_id)
    changes: Json = {name: getattr(body, name) for name in body.given & {"name", "description"}}
    if "custom_data" in body.given:
        changes |= _own_data(body.custom_data)
    if "status" in body.given:
        changes["archived"] = body.status == "archived"
    if "image_url" in body.given:
        changes["extra"] = {**before.extra, "image_url": body.image_url}
    return found(shapes.product(shop.update_product(product_id, **changes)))


def _list_prices(shop: Shop, asked: Asked) -> Answered:
    allowed = PAGING | {"id", "status", "type", "product_id", "recurring", "include"}
    query = ask.read_query(asked, allowed)
    _only("include", query, {"product"})
    _only("type", query, {"standard", "custom"})

    def shown(price: Price) -> Json:
        if "include" not in query:
            return shapes.price(price)
        return shapes.price(price) | {"product": shapes.product(shop.get(Product, price.product))}

    conditions = [_in_status("json_extract(body, '$.archived') = 1", query), *_custom_only(query)]
    if "product_id" in query:
        conditions.append(one_of("product", split(query["product_id"])))
    if query.get("recurring") == "false":
        conditions.append(Condition("1 = 0"))
    return answered(shop, asked, query, Listed(Price, shown, conditions))


def _create_price(shop: Shop, asked: Asked) -> Answered:
    body = ask.read_body(ask.PriceBody, asked)
    trial, limits = body.trial_period, body.quantity
    made = shop.create_price(
        body.product_id,
        int(body.unit_price.amount),
        currency=body.unit_price.currency_code,
        interval=Interval(body.billing_cycle.interval),
        interval_count=body.billing_cycle.frequency,
        per_unit=None if limits is None else limits.maximum > 1,
        trial_days=_DAYS[trial.interval] * trial.frequency if trial else 0,
        metadata=body.custom_data or {},
        extra={
            "description": body.description,
            "name": body.name,
            "tax_mode": body.tax_mode,
            "quantity": limits.model_dump() if limits else None,
        },
    )
    return found(shapes.price(made), status=201)


def _get_price(shop: Shop, asked: Asked, price_id: str) -> Answered:
    return found(shapes.price(shop.get(Price, price_id)))


def _update_price(shop: Shop, asked: Asked, price_id: str) -> Answered:
    body = ask.read_body(ask.PriceChange, asked)
    before = shop.get(Price, price_id)
    own = {name: getattr(body, name) for name in body.given & {"description", "name"}}
    changes: Json = {}
    if body.quantity is not None:
        own["quantity"] = body.quantity.model_dump()
        changes["per_unit"] = body.quantity.maximum > 1
    if body.unit_price is not None:
        changes["amount"] = int(body.unit_price.amount)
        changes["currency"] = body.unit_price.currency_code.lower()
    if "custom_data" in body.given:
        changes["metadata"] = body.custom_data or {}
    if "status" in body.given:
        changes["archived"] = body.status == "archived"
    if own:
        changes["extra"] = {**before.extra, **own}
    return found(shapes.price(shop.update_price(price_id, **changes)))


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
    _only("status", query, set(_STATUSES))
    conditions = []
    if "customer_id" in query:
        conditions.append(_among("customer", split(query["customer_id"])))
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


def _among(column: str, values: list[str]) -> Condition:
    marks = ", ".join("?" * len(values))
    return Condition(f"{column} IN ({marks})", tuple(values))


def _get_subscription(shop: Shop, asked: Asked, subscription_id: str) -> Answered:
    query = ask.read_query(asked, frozenset({"include"}))
    _only("include", query, {"next_transaction", "recurring_transaction_details"})
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
    ("GET", "/customers", _list_customers),
    ("POST", "/customers", _create_customer),
    ("GET", f"/customers/{_ID}", _get_customer),
    ("PATCH", f"/customers/{_ID}", _update_customer),
    ("GET", f"/customers/{_ID}/addresses", _customers_addresses),
    ("GET", f"/customers/{_ID}/businesses", _customers_businesses),
    ("GET", f"/customers/{_ID}/payment-methods", _customers_methods),
    ("GET", f"/customers/{_ID}/payment-methods/{_ID}", _get_method),
    ("DELETE", f"/customers/{_ID}/payment-methods/{_ID}", _delete_method),
    ("POST", f"/customers/{_ID}/portal-sessions", _open_portal),
    ("GET", "/products", _list_products),
    ("POST", "/products", _create_product),
    ("GET", f"/products/{_ID}", _get_product),
    ("PATCH", f"/products/{_ID}", _update_product),
    ("GET", "/prices", _list_prices),
    ("POST", "/prices", _create_price),
    ("GET", f"/prices/{_ID}", _get_price),
    ("PATCH", f"/prices/{_ID}", _update_price),
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
