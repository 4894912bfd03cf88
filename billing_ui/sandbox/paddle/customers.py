"""Customers at Paddle: made, changed, archived, and what belongs to them."""

from dataclasses import replace

from billing_ui.sandbox.core.store import Condition, one_of
from billing_ui.sandbox.paddle import requests as ask
from billing_ui.sandbox.paddle import shapes
from billing_ui.sandbox.paddle.ids import ulid
from billing_ui.sandbox.paddle.listing import PAGING, Listed, answered, in_status, split
from billing_ui.sandbox.paddle.requests import Refusal, found, missing
from billing_ui.sandbox.shop.dialect import Answered, Asked, ChangeKind
from billing_ui.sandbox.shop.model import Card, Customer, Json, Subscription
from billing_ui.sandbox.shop.shop import Shop


def conflict(other: str) -> Refusal:
    """Return the refusal of an address that a customer has."""
    detail = f"customer email conflicts with customer of id {other}"
    return Refusal(409, "customer_already_exists", detail)


def list_them(shop: Shop, asked: Asked) -> Answered:
    """Return a page of customers."""
    query = ask.read_query(asked, PAGING | {"id", "email", "status", "search"})
    conditions = [in_status("json_extract(body, '$.deleted_at') IS NOT NULL", query)]
    if "email" in query:
        conditions.append(one_of("email", split(query["email"])))
    if "search" in query:
        found_in = "instr(lower(json_extract(body, '$.email')), lower(?))"
        conditions.append(Condition(found_in, (query["search"],)))
    listed = Listed(Customer, shapes.customer, conditions, deleted=True)
    return answered(shop, asked, query, listed)


def create(shop: Shop, asked: Asked) -> Answered:
    """Make a customer."""
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
            raise conflict(other.id)


def get(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    """Return one customer."""
    ask.read_query(asked, frozenset())
    return found(shapes.customer(shop.get(Customer, customer_id)))


def update(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    """Change a customer, archive it, or make it active again."""
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


def addresses(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    """Return a customer's addresses, of which the shop keeps one."""
    ask.read_query(asked, PAGING | {"id", "status", "search"})
    customer = shop.get(Customer, customer_id)
    return _short_list([shapes.address(customer)] if customer.address else [])


def businesses(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    """Return the businesses that a customer buys as, of which the shop keeps one."""
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


def methods(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    """Return a page of a customer's payment methods."""
    query = ask.read_query(asked, PAGING | {"address_id", "supports_checkout"})
    shop.get(Customer, customer_id)
    listed = Listed(Card, shapes.payment_method, [Condition("customer = ?", (customer_id,))])
    return answered(shop, asked, query, listed)


def get_method(shop: Shop, asked: Asked, customer_id: str, card_id: str) -> Answered:
    """Return one payment method."""
    return found(shapes.payment_method(_card(shop, customer_id, card_id)))


def delete_method(shop: Shop, asked: Asked, customer_id: str, card_id: str) -> Answered:
    """Forget a payment method."""
    shop.remove_card(_card(shop, customer_id, card_id).id)
    return Answered(204, None)


def _card(shop: Shop, customer_id: str, card_id: str) -> Card:
    card = shop.get(Card, card_id)
    if card.customer != customer_id:
        raise missing("Payment method", card_id)
    return card


def open_portal(shop: Shop, asked: Asked, customer_id: str) -> Answered:
    """Open the portal, with the pages for some subscriptions."""
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
