"""The shop's records as Paddle answers them, with every field that its entities have."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from billing_ui.sandbox.core.periods import period_around
from billing_ui.sandbox.shop.model import (
    Card,
    Customer,
    Endpoint,
    Flow,
    Json,
    Price,
    Product,
    Status,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

MOST_UNITS: Final = 100
"""How many units of a price can be bought unless it says otherwise."""

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
_BRANDS: Final = {"amex": "american_express"}


def moment(seconds: int) -> str:
    """Return Unix time as Paddle writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_or_none(seconds: int | None) -> str | None:
    """Return Unix time as Paddle writes it, None where there is none."""
    return None if seconds is None else moment(seconds)


def _status(archived: bool) -> str:
    return "archived" if archived else "active"


def period(start: int, end: int) -> Json:
    """Return a time from one Unix time to another."""
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
            period(record.period_start, record.period_end) if running else None
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
        trial = period(record.period_start, record.trial_end)
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
        "billing_period": period(record.period_end, _next_end(record, sold)),
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
        "tax_rates_used": tax_rates(amount),
        "totals": totals(amount, record.currency, credit=min(credit, amount)),
        "line_items": [
            {
                "price_id": sold.id,
                "quantity": record.quantity,
                "tax_rate": "0",
                "unit_totals": line_totals(sold.amount),
                "totals": line_totals(amount),
                "product": product(shop.get(Product, sold.product)),
                "proration": None,
            }
        ],
    }


# ---------------------------------------------------------------- amounts


def line_totals(amount: int) -> Json:
    """Return what a line comes to, in minor units; nothing is taxed here."""
    return {"subtotal": str(amount), "discount": "0", "tax": "0", "total": str(amount)}


def tax_rates(amount: int) -> list[Json]:
    """Return what was taxed at which rate."""
    return [{"tax_rate": "0", "totals": line_totals(amount)}]


def totals(amount: int, currency: str, *, balance: int = 0, credit: int = 0) -> Json:
    """Return what everything comes to, less some credit, and what of it is still owed, in minor units."""
    return {
        **line_totals(amount),
        "credit": str(credit),
        "balance": str(balance),
        "grand_total": str(amount - credit),
        "fee": None,
        "earnings": None,
        "currency_code": currency.upper(),
        "credit_to_balance": "0",
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
