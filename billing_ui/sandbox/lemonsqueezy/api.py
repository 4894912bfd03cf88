"""Lemon Squeezy's API: as much of it as a billing dashboard needs, as strict as the provider's own."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from billing_ui.sandbox.core.periods import DAY
from billing_ui.sandbox.core.store import Condition, equals
from billing_ui.sandbox.lemonsqueezy import bodies, shapes, sold
from billing_ui.sandbox.lemonsqueezy.errors import (
    MEDIA_TYPE,
    Refusal,
    answered,
    bad_parameter,
    invalid,
    not_found,
)
from billing_ui.sandbox.lemonsqueezy.parts import STORE, moment
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.errors import Impossible, Missing, ShopError, Taken
from billing_ui.sandbox.shop.model import (
    Checkout,
    Customer,
    Endpoint,
    Invoice,
    Json,
    Kind,
    Price,
    Product,
    Record,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

MOST_PER_PAGE = 100
_USUAL_PER_PAGE = 10
_PERPETUAL = 36_500 * DAY
_KEY = re.compile(r"Bearer [\w.|-]{16,}", re.ASCII)
_NOTHING = Condition("1 = 0")


@dataclass(frozen=True)
class _Collection:
    """One kind of resource: what it is in the shop, how it looks, and what a list of it can be narrowed down by.

    A filter returns the condition that a value of it means.
    """

    record: type[Record]
    shape: Callable[[Shop, Any], Json]
    filters: Mapping[str, Callable[[str], Condition]]
    includes: tuple[str, ...] = ()
    shop_id: Callable[[str], str] = lambda id_: id_


def _in_store(value: str) -> Condition:
    return Condition("1 = 1") if value == str(STORE) else _NOTHING


def _with_email(value: str) -> Condition:
    return Condition("lower(json_extract(body, '$.email')) = ?", (value.lower(),))


def _of(field: str) -> Callable[[str], Condition]:
    return lambda value: equals(field, value)


def _of_variant(value: str) -> Condition:
    # The shop's price is the variant, and each has one price here.
    return equals("id", f"{Kind.PRICE}:{value}")


_COLLECTIONS: dict[str, _Collection] = {
    "customers": _Collection(
        Customer,
        shapes.customer,
        {"store_id": _in_store, "email": _with_email},
        includes=("subscriptions",),
    ),
    "subscriptions": _Collection(
        Subscription,
        shapes.subscription,
        {"store_id": _in_store, "product_id": _of("product"), "variant_id": _of("price")},
    ),
    "subscription-invoices": _Collection(
        Invoice,
        shapes.invoice,
        {"store_id": _in_store, "subscription_id": _of("subscription")},
    ),
    "products": _Collection(Product, sold.product, {"store_id": _in_store}),
    "variants": _Collection(Price, sold.variant, {"product_id": _of("product")}),
    "prices": _Collection(
        Price,
        sold.price,
        {"variant_id": _of_variant},
        shop_id=lambda id_: id_.removeprefix("9"),
    ),
    "checkouts": _Collection(
        Checkout, sold.checkout, {"store_id": _in_store, "variant_id": _of("price")}
    ),
    "webhooks": _Collection(Endpoint, sold.webhook, {"store_id": _in_store}),
}


def answer(shop: Shop, asked: Asked) -> Answered:
    """Do what a request asks for."""
    try:
        if not asked.trusted:
            _check_headers(asked)
        return _done(shop, asked)
    except Refusal as refusal:
        return refusal.answered()


def _check_headers(asked: Asked) -> None:
    if not _KEY.fullmatch(asked.headers.get("authorization", "")):
        raise Refusal(401, ("Unauthenticated.", None))
    if MEDIA_TYPE not in asked.headers.get("accept", ""):
        raise Refusal(406, (f"The Accept header must be {MEDIA_TYPE}.", None))
    if asked.body and asked.headers.get("content-type", "") != MEDIA_TYPE:
        raise Refusal(415, (f"The Content-Type header must be {MEDIA_TYPE}.", None))


def _done(shop: Shop, asked: Asked) -> Answered:
    parts = asked.path.removeprefix("/v1/").split("/")
    creators = {
        "customers": _create_customer,
        "checkouts": _create_checkout,
        "webhooks": _create_webhook,
    }
    match asked.method, parts:
        case "GET", ["users", "me"]:
            _check_query(asked, ())
            return _single(shop, asked, sold.user(shop), meta={"test_mode": True})
        case "GET", ["stores", id_]:
            _check_query(asked, ())
            if id_ != str(STORE):
                raise not_found()
            return _single(shop, asked, sold.store(shop))
        case "GET", [kind] if kind in _COLLECTIONS:
            return _listed(shop, asked, kind)
        case "GET", [kind, id_] if kind in _COLLECTIONS:
            return _retrieved(shop, asked, kind, id_)
        case "POST", [kind] if kind in creators:
            _check_query(asked, ())
            return _single(shop, asked, creators[kind](shop, asked.body), status=201)
        case _, [kind, *rest] if len(rest) < 2 and kind in (*_COLLECTIONS, "stores", "users"):
            raise Refusal(
                405, (f"The {asked.method} method is not supported for this route.", None)
            )
    raise not_found()


# ---------------------------------------------------------------- reading


def _single(
    shop: Shop,
    asked: Asked,
    shape: Json,
    *,
    included: list[Json] | None = None,
    meta: Json | None = None,
    status: int = 200,
) -> Answered:
    body: Json = {"jsonapi": {"version": "1.0"}, "links": {"self": f"{shop.origin}{asked.path}"}}
    if meta:
        body["meta"] = meta
    body["data"] = shape
    if included is not None:
        body["included"] = included
    return answered(status, body)


def _retrieved(shop: Shop, asked: Asked, kind: str, id_: str) -> Answered:
    query = _check_query(asked, ("include",))
    collection = _COLLECTIONS[kind]
    record = shop.peek(collection.record, collection.shop_id(id_))
    gone = isinstance(record, Customer) and record.deleted_at is not None
    if record is None or gone or collection.shape(shop, record)["id"] != id_:
        raise not_found()
    included = _included(shop, collection, query, [record])
    shape = _with_linkage(collection.shape(shop, record), included)
    return _single(shop, asked, shape, included=included)


def _included(
    shop: Shop, collection: _Collection, query: Mapping[str, str], records: list[Record]
) -> list[Json] | None:
    """Return what is asked for besides; None when nothing is."""
    if "include" not in query:
        return None
    for path in query["include"].split(","):
        if path not in collection.includes:
            raise bad_parameter("include", f"Include path {path} is not allowed.")
    return [
        shapes.subscription(shop, one)
        for record in records
        for one in shop.find(Subscription, customer=record.id)
    ]


def _with_linkage(shape: Json, included: list[Json] | None) -> Json:
    """Return a customer that names those of its subscriptions which come along."""
    if included is None:
        return shape
    theirs = [
        {"type": one["type"], "id": one["id"]}
        for one in included
        if str(one["attributes"]["customer_id"]) == shape["id"]
    ]
    relations = shape["relationships"]
    named = {**relations["subscriptions"], "data": theirs}
    return {**shape, "relationships": {**relations, "subscriptions": named}}


def _listed(shop: Shop, asked: Asked, kind: str) -> Answered:
    collection = _COLLECTIONS[kind]
    filters = tuple(f"filter[{name}]" for name in collection.filters)
    query = _check_query(asked, ("page[number]", "page[size]", "include", *filters))
    conditions = [
        condition(query[f"filter[{name}]"])
        for name, condition in collection.filters.items()
        if f"filter[{name}]" in query
    ]
    number = _whole(query, "page[number]", 1, 10**9)
    size = _whole(query, "page[size]", _USUAL_PER_PAGE, MOST_PER_PAGE)
    total = shop.count(collection.record, *conditions)
    offset = (number - 1) * size
    found = shop.find(collection.record, *conditions, limit=size, offset=offset)
    included = _included(shop, collection, query, found)
    body: Json = {
        "meta": {
            "page": {
                "currentPage": number,
                "from": offset + 1 if found else None,
                "lastPage": max(1, -(-total // size)),
                "perPage": size,
                "to": offset + len(found) if found else None,
                "total": total,
            }
        },
        "jsonapi": {"version": "1.0"},
        "links": _page_links(shop, asked, size, max(1, -(-total // size))),
        "data": [_with_linkage(collection.shape(shop, record), included) for record in found],
    }
    if included is not None:
        body["included"] = included
    return answered(200, body)


def _page_links(shop: Shop, asked: Asked, size: int, last: int) -> Json:
    def link(number: int) -> str:
        page = f"page%5Bnumber%5D={number}&page%5Bsize%5D={size}&sort=-created_at"
        return f"{shop.origin}{asked.path}?{page}"

    return {"first": link(1), "last": link(last)}


def _check_query(asked: Asked, known: tuple[str, ...]) -> dict[str, str]:
    """Return the query's parameters, each of which must be known and stand there once."""
    found: dict[str, str] = {}
    for name, value in asked.query:
        if name not in known or name in found:
            family = name.partition("[")[0]
            raise bad_parameter(family, f"The parameter {name} is not allowed here.")
        found[name] = value
    return found


def _whole(query: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = query.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise bad_parameter("page", f"The {name} must be a number from 1 to {most}.")
    return int(text)


# ---------------------------------------------------------------- creating


def _create_customer(shop: Shop, body: bytes) -> Json:
    asked, owner = bodies.read("customers", bodies.CustomerAttributes, bodies.InStore, body)
    _check_store(owner)
    place = {
        name: value
        for name in ("city", "region", "country")
        if (value := getattr(asked, name)) is not None
    }
    try:
        made = shop.create_customer(asked.email, name=asked.name, extra=place)
    except Taken:
        raise invalid("/data/attributes/email", "The email has already been taken.") from None
    return shapes.customer(shop, made)


def _create_checkout(shop: Shop, body: bytes) -> Json:
    asked, owner = bodies.read("checkouts", bodies.CheckoutAttributes, bodies.OfVariant, body)
    _check_store(owner)
    variant_id = bodies.check_related(owner.variant, "variant", "variants")
    data = asked.checkout_data
    quantity = next(
        (
            one.quantity
            for one in data.variant_quantities or ()
            if str(one.variant_id) == variant_id
        ),
        1,
    )
    expires_at = int(asked.expires_at.timestamp()) if asked.expires_at else None
    if expires_at is not None and expires_at <= shop.now:
        raise invalid("/data/attributes/expires_at", "The expires at must be a date after now.")
    told = asked.model_dump(mode="json", exclude_none=True)
    try:
        made = shop.open_checkout(
            variant_id,
            quantity,
            email=data.email,
            name=data.name,
            success_url=asked.product_options.redirect_url,
            valid_seconds=_PERPETUAL if expires_at is None else expires_at - shop.now,
            metadata=data.custom or {},
        )
    except (Missing, Impossible) as problem:
        raise invalid("/data/relationships/variant", str(problem)) from None
    own = {
        "product_options": told["product_options"],
        "checkout_data": told["checkout_data"],
        "expires_at": moment(expires_at),
    }
    return sold.checkout(shop, shop.save(replace(made, extra=own), touch=False))


def _create_webhook(shop: Shop, body: bytes) -> Json:
    asked, owner = bodies.read("webhooks", bodies.WebhookAttributes, bodies.InStore, body)
    _check_store(owner)
    for place, name in enumerate(asked.events):
        if name not in shop.dialect.event_types:
            raise invalid(f"/data/attributes/events/{place}", f"There is no event {name}.")
    try:
        made = shop.register_endpoint(asked.url, asked.secret, tuple(asked.events))
    except ShopError as problem:
        raise invalid("/data/attributes/url", str(problem)) from None
    return sold.webhook(shop, made)


def _check_store(owner: bodies.InStore) -> None:
    if bodies.check_related(owner.store, "store", "stores") != str(STORE):
        raise invalid("/data/relationships/store", "The related resource does not exist.")
