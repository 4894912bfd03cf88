"""Transactions: what was billed, and checkouts that were not paid yet, in one list."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from billing_ui.sandbox.core.periods import DAY
from billing_ui.sandbox.core.store import Condition
from billing_ui.sandbox.paddle import requests as ask
from billing_ui.sandbox.paddle import shapes, transaction_shapes
from billing_ui.sandbox.paddle.listing import PAGING, paged, pager, split
from billing_ui.sandbox.paddle.requests import Refusal, found, invalid, missing
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.model import (
    Checkout,
    CheckoutStatus,
    Customer,
    Invoice,
    InvoiceStatus,
    Kind,
    Price,
    Product,
)
from billing_ui.sandbox.shop.shop import Shop

MOST: Final = 30
"""How many transactions a page has at most."""

_FOREVER: Final = 3650 * DAY
"""How long a checkout can be paid: at Paddle none expires."""

_INCLUDES: Final = {
    *("address", "adjustment", "adjustments_totals", "available_payment_methods"),
    *("business", "customer", "discount"),
}
_COMPARED: Final = {"": "=", "[LT]": "<", "[LTE]": "<=", "[GT]": ">", "[GTE]": ">="}
_FILTERS: Final = frozenset(
    {
        *("id", "status", "customer_id", "subscription_id", "origin", "invoice_number"),
        *("collection_mode", "include"),
        *(f"created_at{sign}" for sign in _COMPARED),
    }
)

_WITH_PDF: Final = frozenset({InvoiceStatus.PAID, InvoiceStatus.REFUNDED})

Either = Invoice | Checkout


def list_them(shop: Shop, asked: Asked) -> Answered:
    """Return a page of transactions."""
    query = ask.read_query(asked, PAGING | _FILTERS)
    if not set(split(query.get("include", ""))) <= _INCLUDES:
        raise invalid(include=f"must be among {', '.join(sorted(_INCLUDES))}")
    page = pager(query, most=MOST, default=MOST)
    conditions = _conditions(query)
    if page.after is not None:
        conditions.append(_after(shop, page.after, oldest_first=page.oldest_first))
    records: list[Either] = []
    for record in _walk(shop, conditions, oldest_first=page.oldest_first):
        if _wanted(record, query):
            records.append(record)
        if len(records) > page.per_page:
            break
    shown = [transaction_shapes.transaction(shop, record) for record in records[: page.per_page]]
    return paged(
        shop,
        asked,
        shown,
        page,
        more=len(records) > page.per_page,
        last=records,
        total=len(records),
    )


def _conditions(query: dict[str, str]) -> list[Condition]:
    conditions = []
    if "customer_id" in query:
        customers = split(query["customer_id"])
        marks = ", ".join("?" * len(customers))
        conditions.append(Condition(f"customer IN ({marks})", tuple(customers)))
    if "id" in query:
        ids = [f"{kind}:{one}" for one in split(query["id"]) for kind in _KINDS]
        marks = ", ".join("?" * len(ids))
        conditions.append(Condition(f"id IN ({marks})", tuple(ids)))
    for name, sign in _COMPARED.items():
        if f"created_at{name}" in query:
            try:
                at = datetime.fromisoformat(query[f"created_at{name}"]).timestamp()
            except ValueError:
                raise invalid(created_at="must be an RFC 3339 datetime string") from None
            conditions.append(Condition(f"created {sign} ?", (at,)))
    return conditions


_KINDS: Final = (Kind.INVOICE, Kind.CHECKOUT)


def _wanted(record: Either, query: dict[str, str]) -> bool:
    """Return whether a transaction meets what only its entity says."""
    said = {
        "status": transaction_shapes.status_of(record),
        "origin": transaction_shapes.origin_of(record),
        "subscription_id": record.subscription or "",
        "invoice_number": record.number if isinstance(record, Invoice) else "",
        "collection_mode": "automatic",
    }
    return all(value in split(query[name]) for name, value in said.items() if name in query)


def _after(shop: Shop, transaction_id: str, *, oldest_first: bool) -> Condition:
    for kind in _KINDS:
        place = shop.store.position(f"{kind}:{transaction_id}")
        if place is not None:
            return Condition(f"(created, seq) {'>' if oldest_first else '<'} (?, ?)", place)
    raise invalid(after="there is no such entity")


def _walk(shop: Shop, conditions: list[Condition], *, oldest_first: bool) -> Iterator[Either]:
    """Walk everything that is a transaction, in the order of a list."""
    where = " AND ".join(["type IN ('invoice', 'checkout')", *(one.sql for one in conditions)])
    order = "created, seq" if oldest_first else "created DESC, seq DESC"
    rows = shop.store.execute(
        f"SELECT id FROM object WHERE {where} ORDER BY {order}",  # noqa: S608 - only our own text
        [argument for one in conditions for argument in one.arguments],
    )
    for (key,) in rows:
        kind, _, record_id = key.partition(":")
        if kind == Kind.INVOICE:
            yield shop.get(Invoice, record_id)
        elif shop.peek(Invoice, record_id) is None:
            yield shop.get(Checkout, record_id)


def _find(shop: Shop, transaction_id: str) -> Either:
    found_one = shop.peek(Invoice, transaction_id) or shop.peek(Checkout, transaction_id)
    if found_one is None:
        raise missing("Transaction", transaction_id)
    return found_one


def get(shop: Shop, asked: Asked, transaction_id: str) -> Answered:
    """Return one transaction."""
    ask.read_query(asked, frozenset({"include"}))
    return found(transaction_shapes.transaction(shop, _find(shop, transaction_id)))


def create(shop: Shop, asked: Asked) -> Answered:
    """Open a checkout."""
    ask.read_query(asked, frozenset({"include"}))
    body = ask.read_body(ask.TransactionBody, asked)
    if body.address_id is not None:
        raise invalid(address_id="this sandbox asks for addresses in its checkout")
    item = body.items[0]
    price = _sold(shop, item.price_id, item.quantity)
    _check_currency(price, body.currency_code)
    if body.customer_id is not None:
        customer = shop.get(Customer, body.customer_id)
        if customer.deleted_at is not None:
            detail = f"Customer {customer.id} is archived and cannot be modified."
            raise Refusal(400, "entity_archived", detail)
    made = shop.open_checkout(
        price.id,
        item.quantity,
        customer_id=body.customer_id,
        valid_seconds=_FOREVER,
        metadata=body.custom_data or {},
    )
    return found(transaction_shapes.transaction(shop, made), status=201)


def update(shop: Shop, asked: Asked, transaction_id: str) -> Answered:
    """Change what a checkout sells."""
    body = ask.read_body(ask.TransactionChange, asked)
    before = _find(shop, transaction_id)
    if isinstance(before, Invoice) or before.status is not CheckoutStatus.OPEN:
        raise Refusal(400, "transaction_immutable", "Cannot update immutable transaction")
    if body.status is not None:
        detail = f"Invalid attempt to change status from 'draft' to '{body.status}'"
        raise Refusal(400, "transaction_invalid_status_change", detail)
    after = before
    if body.items is not None:
        item = body.items[0]
        price = _sold(shop, item.price_id, item.quantity)
        _check_currency(price, body.currency_code)
        after = replace(after, price=price.id, quantity=item.quantity)
    if "custom_data" in body.given:
        after = replace(after, metadata=body.custom_data or {})
    return found(transaction_shapes.transaction(shop, shop.save(after)))


def invoice(shop: Shop, asked: Asked, transaction_id: str) -> Answered:
    """Return where a transaction's PDF is."""
    query = ask.read_query(asked, frozenset({"disposition"}))
    if query.get("disposition", "attachment") not in ("attachment", "inline"):
        raise invalid(disposition="must be attachment or inline")
    record = _find(shop, transaction_id)
    if not isinstance(record, Invoice) or record.status not in _WITH_PDF or not record.total:
        raise Refusal(
            400,
            "transaction_invoice_not_available",
            "There is a PDF only of what was completed, and came to more than nothing.",
        )
    return found({"url": shop.pdf_url(record)})


def _sold(shop: Shop, price_id: str, quantity: int) -> Price:
    price = shop.get(Price, price_id)
    if price.archived or shop.get(Product, price.product).archived:
        raise Refusal(
            400, "transaction_price_archived", f"Price {price_id} is archived and can't be sold."
        )
    check_quantity(price, quantity)
    return price


def check_quantity(price: Price, quantity: int) -> None:
    """Refuse a quantity that a price is not sold in."""
    limits = shapes.quantity_limits(price)
    if not limits["minimum"] <= quantity <= limits["maximum"]:
        raise Refusal(
            400,
            "transaction_item_quantity_out_of_range",
            f"Item quantity {quantity} is not within the range of {limits['minimum']} and "
            f"{limits['maximum']}",
        )


def _check_currency(price: Price, wanted: str | None) -> None:
    if wanted is not None and wanted.lower() != price.currency:
        raise invalid(currency_code=f"the price is in {price.currency.upper()}")
