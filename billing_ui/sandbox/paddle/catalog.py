"""What is sold at Paddle: products and prices."""

from typing import Final

from billing_ui.sandbox.core.store import Condition, one_of
from billing_ui.sandbox.paddle import requests as ask
from billing_ui.sandbox.paddle import shapes
from billing_ui.sandbox.paddle.listing import (
    PAGING,
    Listed,
    answered,
    check_among,
    in_status,
    split,
)
from billing_ui.sandbox.paddle.requests import found
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.model import Interval, Json, Price, Product
from billing_ui.sandbox.shop.shop import Shop

_DAYS: Final = {"day": 1, "week": 7, "month": 30, "year": 365}


def list_products(shop: Shop, asked: Asked) -> Answered:
    """Return a page of products."""
    query = ask.read_query(asked, PAGING | {"id", "status", "type", "tax_category", "include"})
    check_among("include", query, {"prices"})
    check_among("type", query, {"standard", "custom"})

    def shown(product: Product) -> Json:
        if "include" not in query:
            return shapes.product(product)
        prices = [shapes.price(one) for one in shop.prices(product.id) if not one.archived]
        return shapes.product(product) | {"prices": prices}

    condition = in_status("json_extract(body, '$.archived') = 1", query)
    conditions = [condition, *_custom_only(query)]
    return answered(shop, asked, query, Listed(Product, shown, conditions))


def _custom_only(query: Json) -> list[Condition]:
    # Everything the shop sells is in its catalogue.
    return [Condition("1 = 0")] if "standard" not in query.get("type", "standard") else []


def create_product(shop: Shop, asked: Asked) -> Answered:
    """Make a product."""
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


def get_product(shop: Shop, asked: Asked, product_id: str) -> Answered:
    """Return one product."""
    return found(shapes.product(shop.get(Product, product_id)))


def update_product(shop: Shop, asked: Asked, product_id: str) -> Answered:
    """Change a product, archive it, or make it active again."""
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


def list_prices(shop: Shop, asked: Asked) -> Answered:
    """Return a page of prices."""
    allowed = PAGING | {"id", "status", "type", "product_id", "recurring", "include"}
    query = ask.read_query(asked, allowed)
    check_among("include", query, {"product"})
    check_among("type", query, {"standard", "custom"})

    def shown(price: Price) -> Json:
        if "include" not in query:
            return shapes.price(price)
        return shapes.price(price) | {"product": shapes.product(shop.get(Product, price.product))}

    conditions = [in_status("json_extract(body, '$.archived') = 1", query), *_custom_only(query)]
    if "product_id" in query:
        conditions.append(one_of("product", split(query["product_id"])))
    if query.get("recurring") == "false":
        conditions.append(Condition("1 = 0"))
    return answered(shop, asked, query, Listed(Price, shown, conditions))


def create_price(shop: Shop, asked: Asked) -> Answered:
    """Make a price."""
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


def get_price(shop: Shop, asked: Asked, price_id: str) -> Answered:
    """Return one price."""
    return found(shapes.price(shop.get(Price, price_id)))


def update_price(shop: Shop, asked: Asked, price_id: str) -> Answered:
    """Change a price, archive it, or make it active again."""
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
