"""Transactions as Paddle answers them: what was billed, checkouts, and the exchange of a card."""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from billing_ui.sandbox.paddle.shapes import (
    address_id,
    card_details,
    line_totals,
    moment,
    period,
    price,
    product,
    tax_rates,
    totals,
)
from billing_ui.sandbox.shop.model import (
    Card,
    Checkout,
    CheckoutStatus,
    Invoice,
    InvoiceStatus,
    Json,
    Line,
    Price,
    Product,
    Reason,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

METHOD_CHANGE: Final = "subscription_payment_method_change"

_ORIGINS: Final = {
    Reason.PURCHASE: "api",
    Reason.RENEWAL: "subscription_recurring",
    Reason.CHANGE: "subscription_update",
}


def status_of(record: Invoice | Checkout) -> str:
    """Return the status of a transaction: of one billed, or of a checkout."""
    if isinstance(record, Checkout):
        return "completed" if record.status is CheckoutStatus.COMPLETE else "draft"
    if record.status is InvoiceStatus.OPEN:
        return "past_due" if record.attempts else "billed"
    if record.status in (InvoiceStatus.PAID, InvoiceStatus.REFUNDED):
        return "completed"
    return "canceled"


def origin_of(record: Invoice | Checkout) -> str:
    """Return how a transaction came to be."""
    if isinstance(record, Checkout):
        return str(record.extra.get("origin", "api"))
    return _ORIGINS[record.reason]


def transaction(shop: Shop, record: Invoice | Checkout) -> Json:
    """Return a transaction: one that was billed, a checkout, or the exchange of a card."""
    return _billed(shop, record) if isinstance(record, Invoice) else _checkout(shop, record)


def _billed(shop: Shop, record: Invoice) -> Json:
    of = shop.get(Subscription, record.subscription)
    is_open = record.status is InvoiceStatus.OPEN
    billed = [(line, shop.get(Price, line.price or of.price)) for line in record.lines]
    balance = record.total if is_open else 0
    details: Json = {
        "tax_rates_used": tax_rates(record.total),
        "totals": totals(record.total, record.currency, balance=balance),
        "adjusted_totals": _adjusted_totals(record),
        "payout_totals": None,
        "adjusted_payout_totals": None,
        "line_items": [
            _line(shop, record.id, number, line, sold)
            for number, (line, sold) in enumerate(billed, 1)
        ],
    }
    return {
        **_common(record, record.customer, record.currency),
        "custom_data": of.metadata or None,
        "subscription_id": record.subscription,
        "invoice_id": f"inv_{record.id.partition('_')[2]}",
        "invoice_number": record.number,
        "billing_period": period(record.lines[0].period_start, record.lines[0].period_end)
        if record.lines
        else None,
        "items": [_sold(sold, line.quantity, _proration(line)) for line, sold in billed],
        "details": details,
        "payments": _payments(shop, record),
        "checkout": {"url": shop.invoice_url(record) if is_open else None},
        "billed_at": moment(record.created),
    }


def _checkout(shop: Shop, record: Checkout) -> Json:
    sold = shop.get(Price, record.price)
    # Nothing was paid in a complete checkout that became no invoice: it began a trial, or exchanged a card.
    done = record.status is CheckoutStatus.COMPLETE
    amount = 0 if done else sold.amount * record.quantity
    line = Line(
        description="",
        amount=amount,
        quantity=record.quantity,
        unit_amount=0 if done else sold.amount,
        price=sold.id,
        period_start=record.created,
        period_end=record.created,
    )
    card = record.extra.get("card")
    return {
        **_common(record, record.customer, sold.currency),
        # Without an address, which the buyer gives on the page, nothing is ready to be paid.
        "address_id": address_id(record.customer) if done and record.customer else None,
        "custom_data": record.metadata or None,
        "subscription_id": record.subscription,
        "invoice_id": None,
        "invoice_number": None,
        "billing_period": None,
        "items": [_sold(sold, record.quantity, None)],
        "details": {
            "tax_rates_used": tax_rates(amount),
            "totals": totals(amount, sold.currency, balance=amount),
            "adjusted_totals": None,
            "payout_totals": None,
            "adjusted_payout_totals": None,
            "line_items": [_line(shop, record.id, 1, line, sold)],
        },
        "payments": [_payment(record.id, 1, 0, "captured", record.updated, card)] if card else [],
        "checkout": {"url": None if done else shop.checkout_url(record)},
        "billed_at": moment(record.updated) if done else None,
    }


def _common(record: Invoice | Checkout, customer_id: str | None, currency: str) -> Json:
    return {
        "id": record.id,
        "status": status_of(record),
        "customer_id": customer_id,
        "address_id": address_id(customer_id) if customer_id else None,
        "business_id": None,
        "currency_code": currency.upper(),
        "origin": origin_of(record),
        "collection_mode": "automatic",
        "discount_id": None,
        "billing_details": None,
        "created_at": moment(record.created),
        "updated_at": moment(record.updated),
        "revised_at": None,
    }


def _sold(sold: Price, quantity: int, proration: Json | None) -> Json:
    return {
        "price_id": sold.id,
        "price": price(sold),
        "quantity": quantity,
        "proration": proration,
    }


def _line(shop: Shop, transaction_id: str, number: int, line: Line, sold: Price) -> Json:
    return {
        "id": f"txnitm_{number:02}{transaction_id.partition('_')[2][2:]}",
        "price_id": sold.id,
        "quantity": line.quantity,
        "proration": _proration(line),
        "tax_rate": "0",
        "unit_totals": line_totals(line.amount // line.quantity),
        "totals": line_totals(line.amount),
        "product": product(shop.get(Product, sold.product)),
    }


def _proration(line: Line) -> Json | None:
    if not line.proration:
        return None
    whole = (line.unit_amount or 0) * line.quantity
    rate = abs(line.amount) / whole if whole else 1
    return {
        "rate": f"{rate:.5f}",
        "billing_period": period(line.period_start, line.period_end),
    }


def _payments(shop: Shop, record: Invoice) -> Sequence[Json]:
    """Return the attempts to charge a transaction, newest first."""
    paid = record.status in (InvoiceStatus.PAID, InvoiceStatus.REFUNDED)
    failed = record.attempts - 1 if paid else record.attempts
    attempts: list[Json] = []
    if paid and record.card is not None:
        at = record.created if record.paid_at is None else record.paid_at
        card = _known_card(shop.cards(record.customer), record.card)
        attempts.append(_payment(record.id, record.attempts, record.total, "captured", at, card))
    attempts.extend(
        _payment(record.id, number, record.total, "error", record.created, None)
        for number in range(failed, 0, -1)
    )
    return attempts


def _known_card(cards: Iterable[Card], paid_with: Json) -> Json:
    """Return what a transaction was paid with; only a card that is still kept has an id."""
    same = (
        card.id
        for card in cards
        if (card.brand, card.last4, card.exp_month, card.exp_year)
        == tuple(paid_with[name] for name in ("brand", "last4", "exp_month", "exp_year"))
    )
    return {**paid_with, "id": next(same, None)}


def _payment(
    transaction_id: str, number: int, amount: int, status: str, at: int, card: Json | None
) -> Json:
    shown: Json | None = None
    if card:
        shown = card_details(card["brand"], card["last4"], card["exp_month"], card["exp_year"])
    return {
        "payment_attempt_id": str(uuid5(NAMESPACE_URL, f"{transaction_id}/{number}")),
        "payment_method_id": card.get("id") if card else None,
        "stored_payment_method_id": str(uuid5(NAMESPACE_URL, f"{transaction_id}/stored")),
        "amount": str(amount),
        "status": status,
        "error_code": "declined" if status == "error" else None,
        "method_details": {
            "type": "card" if card else "unknown",
            "card": shown,
            "paypal": None,
            "south_korea_local_card": None,
            "underlying_details": None,
        },
        "created_at": moment(at),
        "captured_at": moment(at) if status == "captured" else None,
    }


def _adjusted_totals(record: Invoice) -> Json:
    left = str(record.total - record.refunded)
    return {
        "subtotal": left,
        "tax": "0",
        "total": left,
        "grand_total": left,
        "fee": "0",
        "earnings": left,
        "currency_code": record.currency.upper(),
        "retained_fee": "0",
        "grand_total_tax": "0",
    }
