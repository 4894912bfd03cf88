"""The shop's records as Paddle answers them, with every field that its entities have."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from billing_ui.sandbox.core.periods import period_around
from billing_ui.sandbox.shop.model import (
    Card,
    Checkout,
    CheckoutStatus,
    Customer,
    Endpoint,
    Flow,
    Invoice,
    InvoiceStatus,
    Json,
    Line,
    Price,
    Product,
    Reason,
    Status,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

MOST_UNITS: Final = 100
"""How many units of a price can be bought unless it says otherwise."""

METHOD_CHANGE: Final = "subscription_payment_method_change"

_STATUSES: Final = {
    Status.TRIALING: "trialing",
    Status.ACTIVE: "active",
    Status.PAST_DUE: "past_due",
    # Paddle knows no such state: it goes on trying, or cancels.
    Status.UNPAID: "past_due",
    Status.PAUSED: "paused",
    Status.ENDED: "canceled",
}
_ITEM_STATUSES: Final = {Status.TRIALING: "trialing", Status.PAUSED: "inactive"}
_ORIGINS: Final = {
    Reason.PURCHASE: "api",
    Reason.RENEWAL: "subscription_recurring",
    Reason.CHANGE: "subscription_update",
}
_BRANDS: Final = {"amex": "american_express"}


def moment(seconds: int) -> str:
    """Return Unix time as Paddle writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_or_none(seconds: int | None) -> str | None:
    """Return Unix time as Paddle writes it, None where there is none."""
    return None if seconds is None else moment(seconds)


def _status(archived: bool) -> str:
    return "archived" if archived else "active"


def _period(start: int, end: int) -> Json:
    return {"starts_at": moment(start), "ends_at": moment(end)}


# ---------------------------------------------------------------- customers


def customer(record: Customer) -> Json:
    """Return a customer; a deleted one is archived, for Paddle deletes nobody."""
    return {
        "id": record.id,
        "name": record.name,
        "email": record.email,
        "marketing_consent": False,
        "status": _status(record.deleted_at is not None),
        "custom_data": record.metadata or None,
        "locale": record.extra.get("locale", "en"),
        "created_at": moment(record.created),
        "updated_at": moment(record.updated),
        "import_meta": None,
    }


def address_id(customer_id: str) -> str:
    """Return the id of a customer's address, of which the shop keeps one."""
    return f"add_{customer_id.partition('_')[2]}"


def address(record: Customer) -> Json:
    """Return a customer's address."""
    kept = record.address
    return {
        "id": address_id(record.id),
        "customer_id": record.id,
        "description": None,
        "first_line": kept.line1 if kept else None,
        "second_line": kept.line2 if kept else None,
        "city": kept.city if kept else None,
        "postal_code": kept.postal_code if kept else None,
        "region": kept.state if kept else None,
        "country_code": (kept.country if kept else None) or "US",
        "custom_data": None,
        "status": "active",
        "created_at": moment(record.created),
        "updated_at": moment(record.updated),
        "import_meta": None,
    }


def business(record: Customer) -> Json:
    """Return the business that a customer with a tax number buys as."""
    return {
        "id": f"biz_{record.id.partition('_')[2]}",
        "customer_id": record.id,
        "name": record.name or record.email,
        "company_number": None,
        "tax_identifier": record.tax_id,
        "status": "active",
        "contacts": [],
        "created_at": moment(record.created),
        "updated_at": moment(record.updated),
        "custom_data": None,
        "import_meta": None,
    }


def card_details(brand: str, last4: str, exp_month: int, exp_year: int) -> Json:
    """Return a card's details."""
    return {
        "type": _BRANDS.get(brand, brand),
        "last4": last4,
        "expiry_month": exp_month,
        "expiry_year": exp_year,
        "cardholder_name": None,
    }


def payment_method(record: Card) -> Json:
    """Return a saved card."""
    return {
        "id": record.id,
        "customer_id": record.customer,
        "address_id": address_id(record.customer),
        "type": "card",
        "card": card_details(record.brand, record.last4, record.exp_month, record.exp_year),
        "paypal": None,
        "south_korea_local_card": None,
        "underlying_details": None,
        "origin": "subscription",
        "saved_at": moment(record.created),
        "updated_at": moment(record.updated),
    }


# ---------------------------------------------------------------- catalogue


def product(record: Product) -> Json:
    """Return a product; what Paddle has no field for stands in its custom data."""
    own: Json = dict(record.metadata)
    if record.features:
        own["features"] = list(record.features)
    if record.unit_label:
        own["unit_label"] = record.unit_label
    return {
        "id": record.id,
        "name": record.name,
        "description": record.description,
        "type": "standard",
        "tax_category": record.extra.get("tax_category", "standard"),
        "image_url": record.extra.get("image_url"),
        "custom_data": own or None,
        "status": _status(record.archived),
        "created_at": moment(record.created),
        "updated_at": moment(record.updated),
        "import_meta": None,
    }


def quantity_limits(record: Price) -> Json:
    """Return how many units of a price can be bought."""
    most = MOST_UNITS if record.per_unit else 1
    return dict(record.extra.get("quantity") or {"minimum": 1, "maximum": most})


def price(record: Price) -> Json:
    """Return a price."""
    trial: Json | None = None
    if record.trial_days:
        trial = {
            "interval": "day",
            "frequency": record.trial_days,
            "requires_payment_method": True,
            "unit_price": None,
            "unit_price_overrides": [],
        }
    return {
        "id": record.id,
        "product_id": record.product,
        "name": record.extra.get("name"),
        "description": record.extra.get("description", "Price"),
        "type": "standard",
        "billing_cycle": _cycle(record),
        "trial_period": trial,
        "tax_mode": record.extra.get("tax_mode", "account_setting"),
        "unit_price": {"amount": str(record.amount), "currency_code": record.currency.upper()},
        "unit_price_overrides": [],
        "quantity": quantity_limits(record),
        "status": _status(record.archived),
        "custom_data": record.metadata or None,
        "import_meta": None,
        "created_at": moment(record.created),
        "updated_at": moment(record.updated),
    }


def _cycle(record: Price) -> Json:
    return {"interval": str(record.interval), "frequency": record.interval_count}


# ---------------------------------------------------------------- subscriptions


def subscription(shop: Shop, record: Subscription, *, links: bool = True) -> Json:
    """Return a subscription.

    Args:
        shop: Where it is.
        record: Which.
        links: Whether to name the portal's pages for it, which webhooks do not.
    """
    sold = shop.get(Price, record.price)
    running = record.live and record.status is not Status.PAUSED
    renews = running and not record.cancel_at_period_end
    shown: Json = {
        "id": record.id,
        "status": _STATUSES[record.status],
        "customer_id": record.customer,
        "address_id": address_id(record.customer),
        "business_id": None,
        "currency_code": record.currency.upper(),
        "created_at": moment(record.created),
        "updated_at": moment(record.updated),
        "started_at": moment(record.created),
        "first_billed_at": _first_billed(record),
        "next_billed_at": moment(record.period_end) if renews else None,
        "paused_at": moment_or_none(record.paused_at),
        "canceled_at": moment_or_none(record.ended_at),
        "discount": None,
        "collection_mode": "automatic",
        "billing_details": None,
        "current_billing_period": (
            _period(record.period_start, record.period_end) if running else None
        ),
        "billing_cycle": _cycle(sold),
        "scheduled_change": _scheduled_change(record),
        "items": [_item(shop, record, sold, renews)],
        "custom_data": record.metadata or None,
        "consent_requirements": [],
        "import_meta": None,
    }
    if links:
        shown["management_urls"] = _links(shop, record)
    return shown


def _first_billed(record: Subscription) -> str | None:
    if record.trial_end is None:
        return moment(record.created)
    return None if record.status is Status.TRIALING else moment(record.trial_end)


def _scheduled_change(record: Subscription) -> Json | None:
    if record.live and record.cancel_at_period_end:
        return {
            "action": "cancel",
            "effective_at": moment(record.period_end),
            "resume_at": None,
        }
    if record.status is Status.PAUSED and record.resumes_at is not None:
        return {
            "action": "resume",
            "effective_at": moment(record.resumes_at),
            "resume_at": None,
        }
    return None


def _item(shop: Shop, record: Subscription, sold: Price, renews: bool) -> Json:
    trial = None
    if record.trial_end is not None and record.status is Status.TRIALING:
        trial = _period(record.period_start, record.trial_end)
    return {
        "status": _ITEM_STATUSES.get(record.status, "active"),
        "quantity": record.quantity,
        "recurring": True,
        "created_at": moment(record.created),
        "updated_at": moment(record.updated),
        "previously_billed_at": None if trial else moment(record.period_start),
        "next_billed_at": moment(record.period_end) if renews else None,
        "trial_dates": trial,
        "price": price(sold),
        "product": product(shop.get(Product, sold.product)),
    }


def _links(shop: Shop, record: Subscription) -> Json | None:
    if shop.get(Customer, record.customer).deleted_at is not None:
        return None
    urls = portal_links(shop, record.customer, record.id)
    return {
        "update_payment_method": urls["update_subscription_payment_method"],
        "cancel": urls["cancel_subscription"],
        "view_subscription": urls["view_subscription"],
    }


def portal_links(shop: Shop, customer_id: str, subscription_id: str) -> Json:
    """Return the portal's pages for a subscription."""

    def page(flow: Flow | None) -> str:
        return shop.open_portal(customer_id, flow=flow, subscription_id=subscription_id).url

    return {
        "id": subscription_id,
        "cancel_subscription": page(Flow.CANCEL),
        "update_subscription_payment_method": page(Flow.PAYMENT_METHOD),
        "view_subscription": page(None),
    }


def next_transaction(shop: Shop, record: Subscription) -> Json | None:
    """Return what a subscription is charged next; None when it does not renew."""
    if not record.live or record.status is Status.PAUSED or record.cancel_at_period_end:
        return None
    sold = shop.get(Price, record.price)
    return {
        "billing_period": _period(record.period_end, _next_end(record, sold)),
        "details": recurring_details(shop, record, credit=record.credit),
        "adjustments": [],
    }


def _next_end(record: Subscription, sold: Price) -> int:

    return period_around(record.anchor, record.period_end, sold.interval, sold.interval_count)[1]


def recurring_details(shop: Shop, record: Subscription, *, credit: int = 0) -> Json:
    """Return what a subscription costs each period, less some credit, in minor units."""
    sold = shop.get(Price, record.price)
    amount = sold.amount * record.quantity
    return {
        "tax_rates_used": _tax_rates(amount),
        "totals": _totals(amount, record.currency, credit=min(credit, amount)),
        "line_items": [
            {
                "price_id": sold.id,
                "quantity": record.quantity,
                "tax_rate": "0",
                "unit_totals": _line_totals(sold.amount),
                "totals": _line_totals(amount),
                "product": product(shop.get(Product, sold.product)),
                "proration": None,
            }
        ],
    }


# ---------------------------------------------------------------- transactions


def transaction_status(record: Invoice | Checkout) -> str:
    """Return the status of a transaction: of one billed, or of a checkout."""
    if isinstance(record, Checkout):
        return "completed" if record.status is CheckoutStatus.COMPLETE else "draft"
    if record.status is InvoiceStatus.OPEN:
        return "past_due" if record.attempts else "billed"
    if record.status in (InvoiceStatus.PAID, InvoiceStatus.REFUNDED):
        return "completed"
    return "canceled"


def transaction_origin(record: Invoice | Checkout) -> str:
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
        "tax_rates_used": _tax_rates(record.total),
        "totals": _totals(record.total, record.currency, balance=balance),
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
        "billing_period": _period(record.lines[0].period_start, record.lines[0].period_end)
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
            "tax_rates_used": _tax_rates(amount),
            "totals": _totals(amount, sold.currency, balance=amount),
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
        "status": transaction_status(record),
        "customer_id": customer_id,
        "address_id": address_id(customer_id) if customer_id else None,
        "business_id": None,
        "currency_code": currency.upper(),
        "origin": transaction_origin(record),
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
        "unit_totals": _line_totals(line.amount // line.quantity),
        "totals": _line_totals(line.amount),
        "product": product(shop.get(Product, sold.product)),
    }


def _proration(line: Line) -> Json | None:
    if not line.proration:
        return None
    whole = (line.unit_amount or 0) * line.quantity
    rate = abs(line.amount) / whole if whole else 1
    return {
        "rate": f"{rate:.5f}",
        "billing_period": _period(line.period_start, line.period_end),
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


def _line_totals(amount: int) -> Json:
    return {"subtotal": str(amount), "discount": "0", "tax": "0", "total": str(amount)}


def _tax_rates(amount: int) -> list[Json]:
    return [{"tax_rate": "0", "totals": _line_totals(amount)}]


def _totals(amount: int, currency: str, *, balance: int = 0, credit: int = 0) -> Json:
    return {
        **_line_totals(amount),
        "credit": str(credit),
        "balance": str(balance),
        "grand_total": str(amount - credit),
        "fee": None,
        "earnings": None,
        "currency_code": currency.upper(),
        "credit_to_balance": "0",
        "grand_total_tax": "0",
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


# ---------------------------------------------------------------- webhooks


def destination(record: Endpoint, event_types: Iterable[str]) -> Json:
    """Return a notification destination."""
    wanted = [name for name in event_types if {"*", name} & set(record.events)]
    return {
        "id": record.id,
        "description": record.metadata.get("description", "Webhooks"),
        "type": "url",
        "destination": record.url,
        "active": record.enabled,
        "api_version": 1,
        "include_sensitive_fields": False,
        "subscribed_events": [event_type(name) for name in wanted],
        "endpoint_secret_key": record.secret,
        "traffic_source": "all",
    }


def event_type(name: str) -> Json:
    """Return a type of event."""
    group = name.partition(".")[0]
    return {
        "name": name,
        "description": f"Occurs when: {name.replace('.', ' ').replace('_', ' ')}.",
        "group": group.replace("_", " ").capitalize(),
        "available_versions": [1],
    }
