"""The shop's records as Polar's API shows them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from billing_ui.sandbox.shop.model import (
    Address,
    Card,
    Customer,
    Invoice,
    InvoiceStatus,
    Json,
    Line,
    Price,
    Product,
    Reason,
    Record,
    Status,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

NO_EMAIL: Final = "@without-email.invalid"
"""How an address ends that stands for none: the shop knows nobody without, and here a team may have none."""

SEAT: Final = "seat"

STATUSES: Final = {
    Status.TRIALING: "trialing",
    Status.ACTIVE: "active",
    Status.PAST_DUE: "past_due",
    Status.UNPAID: "unpaid",
    Status.PAUSED: "paused",
    Status.ENDED: "canceled",
}
ORDER_STATUSES: Final = {
    InvoiceStatus.OPEN: "pending",
    InvoiceStatus.PAID: "paid",
    InvoiceStatus.VOID: "void",
    # Polar gives up trying, not the claim.
    InvoiceStatus.UNCOLLECTIBLE: "pending",
    InvoiceStatus.REFUNDED: "refunded",
}
_HAS_PDF: Final = "has_pdf"
_BILLING_REASONS: Final = {
    Reason.PURCHASE: "subscription_create",
    Reason.RENEWAL: "subscription_cycle",
    Reason.CHANGE: "subscription_update",
}


def written(moment: int) -> str:
    """Return a Unix time as Polar writes it."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _written(moment: int | None) -> str | None:
    return None if moment is None else written(moment)


def derived(*parts: object) -> str:
    """Return the id of something that is not kept, the same each time."""
    return str(uuid5(NAMESPACE_URL, ":".join(str(part) for part in parts)))


def organization_id(shop: Shop) -> str:
    """Return the id of whose shop it is."""
    return derived("organization", shop.name)


def dated(record: Record) -> Json:
    """Return when something was made and changed."""
    modified = record.updated if record.updated != record.created else None
    return {"created_at": written(record.created), "modified_at": _written(modified)}


# ---------------------------------------------------------------- customers


def email_of(customer: Customer) -> str | None:
    """Return a customer's e-mail address, None when it has none of its own."""
    return None if customer.email.endswith(NO_EMAIL) else customer.email


def customer(shop: Shop, record: Customer) -> Json:
    """Return a customer; one that was deleted has lost its external id, and says so in its metadata."""
    deleted = record.deleted_at is not None
    card = next((card for card in shop.cards(record.id) if card.default), None)
    kept = {"__external_id": record.external_id} if deleted and record.external_id else {}
    return {
        "id": record.id,
        **dated(record),
        "metadata": {**record.metadata, **kept},
        "external_id": None if deleted else record.external_id,
        "email": email_of(record),
        "email_verified": False,
        "type": record.extra.get("type", "individual"),
        "name": record.name,
        "billing_name": record.extra.get("billing_name") or record.name,
        "billing_address": address(record.address),
        "tax_id": _tax_id(record),
        "locale": record.extra.get("locale"),
        "organization_id": organization_id(shop),
        "default_payment_method_id": card.id if card else None,
        "deleted_at": _written(record.deleted_at),
        "first_user_event_at": None,
        "avatar_url": None,
    }


def address(given: Address | None) -> Json | None:
    """Return a postal address."""
    # Polar has no address without a country.
    if given is None or not given.country:
        return None
    return {
        "line1": given.line1,
        "line2": given.line2,
        "postal_code": given.postal_code,
        "city": given.city,
        "state": given.state,
        "country": given.country.upper(),
    }


def _tax_id(record: Customer) -> list[str] | None:
    """Return a tax number with its kind, which Polar finds out by the country."""
    if not record.tax_id:
        return None
    country = (record.address.country if record.address else None) or ""
    kinds = {"US": "us_ein", "CA": "ca_bn", "GB": "gb_vat", "CH": "ch_vat"}
    return [record.tax_id, kinds.get(country.upper(), "eu_vat")]


def owner(record: Customer) -> Json:
    """Return the member of a customer who owns it, and may do everything in its portal."""
    told: Mapping[str, Any] = record.extra.get("owner") or {}
    return {
        "id": derived("owner", record.id),
        "created_at": written(record.created),
        "modified_at": None,
        "customer_id": record.id,
        "email": told.get("email") or record.email,
        "name": told.get("name") or record.name,
        "external_id": told.get("external_id") or record.external_id,
        "role": "owner",
    }


def payment_method(card: Card) -> Json:
    """Return a card."""
    return {
        "id": card.id,
        **dated(card),
        "processor": "stripe",
        "customer_id": card.customer,
        "type": "card",
        "method_metadata": {
            "brand": card.brand,
            "last4": card.last4,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "wallet": None,
        },
        "is_default": card.default,
    }


# ---------------------------------------------------------------- what is sold


def plain_product(shop: Shop, record: Product, price: Price) -> Json:
    """Return what of a product is shown wherever it is mentioned."""
    return {
        "id": record.id,
        **dated(record),
        "trial_interval": "day" if price.trial_days else None,
        "trial_interval_count": price.trial_days or None,
        "name": record.name,
        "description": record.description,
        "visibility": "public",
        "recurring_interval": str(price.interval),
        "recurring_interval_count": price.interval_count,
        "meter_interval": None,
        "meter_interval_count": None,
        "is_recurring": True,
        "is_archived": record.archived or price.archived,
        "organization_id": organization_id(shop),
    }


def product(shop: Shop, record: Product, price: Price) -> Json:
    """Return a product with its one price; its features are benefits here."""
    return {
        **plain_product(shop, record, price),
        "metadata": record.metadata,
        "is_deletable": False,
        "prices": [product_price(record, price)],
        "benefits": [
            {
                **benefit(shop, record, feature),
                "metadata": {},
                "visibility": "public",
                "properties": {"note": None},
                "visibility_configurable": True,
            }
            for feature in record.features
        ],
        "medias": [],
        "attached_custom_fields": [],
    }


def benefit(shop: Shop, record: Product, feature: str) -> Json:
    """Return a feature of a product as the benefit it is here."""
    return {
        "id": derived("benefit", record.id, feature),
        "created_at": written(record.created),
        "modified_at": None,
        "type": "custom",
        "description": feature,
        "selectable": True,
        "deletable": True,
        "is_deleted": False,
        "organization_id": organization_id(shop),
    }


def product_price(record: Product, price: Price) -> Json:
    """Return a price: a fixed one, or one for each seat or unit."""
    shown = {
        "id": price.id,
        **dated(price),
        "source": "catalog",
        "price_currency": price.currency,
        "tax_behavior": None,
        "is_archived": price.archived,
        "product_id": price.product,
    }
    if not price.per_unit:
        return {**shown, "amount_type": "fixed", "price_amount": price.amount}
    if is_by_seat(record):
        tier = {"min_seats": 1, "max_seats": None, "price_per_seat": price.amount}
        tiers = {
            "seat_tier_type": "volume",
            "tiers": [tier],
            "minimum_seats": 1,
            "maximum_seats": None,
        }
        return {**shown, "amount_type": "seat_based", "seat_tiers": tiers}
    return {
        **shown,
        "amount_type": "unit_based",
        "tiers": {"type": "volume", "tiers": [{"bound": None, "unit_amount": str(price.amount)}]},
        "minimum_units": 1,
        "unit_label": {"en": {"=1": record.unit_label, "other": f"{record.unit_label}s"}},
        "maximum_units": None,
    }


def is_by_seat(record: Product) -> bool:
    """Return whether what is sold by the piece is seats, for which Polar has a kind of price of its own."""
    return record.unit_label in (None, SEAT)


# ---------------------------------------------------------------- subscriptions and orders


def _plain_subscription(shop: Shop, record: Subscription) -> Json:
    price, sold = shop.get(Price, record.price), shop.get(Product, record.product)
    by_seat = price.per_unit and is_by_seat(sold)
    ended = record.status is Status.ENDED
    ends_at = record.period_end if record.cancel_at_period_end and not ended else record.ended_at
    return {
        "metadata": record.metadata,
        "id": record.id,
        **dated(record),
        "amount": price.amount * record.quantity,
        "currency": record.currency,
        "recurring_interval": str(price.interval),
        "recurring_interval_count": price.interval_count,
        "status": STATUSES[record.status],
        "current_period_start": written(record.period_start),
        "current_period_end": written(record.period_end),
        "current_meter_period_start": None,
        "current_meter_period_end": None,
        "trial_start": written(record.created) if record.trial_end is not None else None,
        "trial_end": _written(record.trial_end),
        "cancel_at_period_end": record.cancel_at_period_end,
        "canceled_at": _written(record.canceled_at),
        "started_at": written(record.created),
        "ends_at": _written(ends_at),
        "ended_at": _written(record.ended_at),
        "past_due_at": _written(record.updated) if record.status is Status.PAST_DUE else None,
        "pause_at_period_end": False,
        "paused_at": _written(record.paused_at),
        "resumes_at": _written(record.resumes_at),
        "customer_id": record.customer,
        "product_id": record.product,
        "discount_id": None,
        "checkout_id": None,
        "seats": record.quantity if by_seat else None,
        "units": record.quantity if price.per_unit and not by_seat else None,
        "customer_cancellation_reason": record.cancel_reason,
        "customer_cancellation_comment": record.cancel_comment,
    }


def subscription(shop: Shop, record: Subscription) -> Json:
    """Return a subscription."""
    price, sold = shop.get(Price, record.price), shop.get(Product, record.product)
    return {
        **_plain_subscription(shop, record),
        "custom_field_data": {},
        "customer": customer(shop, shop.get(Customer, record.customer)),
        "product": product(shop, sold, price),
        "discount": None,
        "prices": [product_price(sold, price)],
        "meters": [],
        "pending_update": None,
    }


def order_status(record: Invoice) -> str:
    """Return how an order stands."""
    if record.status is InvoiceStatus.PAID and record.refunded:
        return "partially_refunded"
    return ORDER_STATUSES[record.status]


def order(shop: Shop, record: Invoice) -> Json:
    """Return an invoice as the order it is here."""
    bought = shop.get(Subscription, record.subscription)
    price, sold = shop.get(Price, bought.price), shop.get(Product, bought.product)
    payer = shop.get(Customer, record.customer)
    paid = record.status in (InvoiceStatus.PAID, InvoiceStatus.REFUNDED)
    return {
        "id": record.id,
        **dated(record),
        "status": order_status(record),
        "paid": paid,
        "subtotal_amount": record.total,
        "discount_amount": 0,
        "net_amount": record.total,
        "tax_amount": 0,
        "total_amount": record.total,
        "applied_balance_amount": 0,
        "due_amount": record.total,
        "refunded_amount": record.refunded,
        "refunded_tax_amount": 0,
        "currency": record.currency,
        "billing_reason": _BILLING_REASONS[record.reason],
        "billing_name": payer.extra.get("billing_name") or payer.name,
        "billing_address": address(payer.address),
        "invoice_number": record.number,
        "is_invoice_generated": has_pdf(record),
        "receipt_number": None,
        "seats": None,
        "units": None,
        "customer_id": record.customer,
        "product_id": sold.id,
        "discount_id": None,
        "subscription_id": record.subscription,
        "checkout_id": None,
        "next_payment_attempt_at": _written(record.next_attempt),
        "metadata": record.metadata,
        "custom_field_data": {},
        "platform_fee_amount": 0,
        "platform_fee_currency": record.currency if paid else None,
        "customer": customer(shop, payer),
        "product": {"metadata": sold.metadata, **plain_product(shop, sold, price)},
        "discount": None,
        "subscription": _plain_subscription(shop, bought),
        "items": [_item(record, number, line) for number, line in enumerate(record.lines)],
        "description": record.lines[0].description if record.lines else sold.name,
        "refundable_amount": record.total - record.refunded if paid else 0,
        "refundable_tax_amount": 0,
    }


def has_pdf(record: Invoice) -> bool:
    """Return whether an order's PDF has been made."""
    return bool(record.extra.get(_HAS_PDF))


def with_pdf(record: Invoice) -> Invoice:
    """Return an order whose PDF has been made."""
    return replace(record, extra={**record.extra, _HAS_PDF: True})


def _item(record: Invoice, number: int, line: Line) -> Json:
    return {
        "created_at": written(record.created),
        "modified_at": None,
        "id": derived("item", record.id, number),
        "label": line.description,
        "amount": line.amount,
        "tax_amount": 0,
        "proration": line.proration,
        "product_price_id": line.price,
        "start_timestamp": written(line.period_start),
        "end_timestamp": written(line.period_end),
    }
