"""Customers and what they have as Lemon Squeezy's resources, with every attribute that its SDK's types declare."""

from datetime import UTC, datetime

from billing_ui.sandbox.core.periods import DAY
from billing_ui.sandbox.lemonsqueezy.parts import (
    STORE,
    formatted,
    moment,
    money,
    price_id,
    resource,
    times,
)
from billing_ui.sandbox.lemonsqueezy.sold import variant_name
from billing_ui.sandbox.shop.model import (
    Customer,
    Flow,
    Invoice,
    InvoiceStatus,
    Json,
    Price,
    Product,
    Reason,
    Status,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

SIGNED_FOR = DAY
"""How long a pre-signed address is good, in seconds."""

MARK = "city"
"""Under this name a customer's `extra` keeps the city it was created with: no address was given yet."""

_STATUSES = {
    Status.TRIALING: "on_trial",
    Status.ACTIVE: "active",
    Status.PAST_DUE: "past_due",
    Status.UNPAID: "unpaid",
    Status.PAUSED: "paused",
    Status.ENDED: "expired",
}
_INVOICE_STATUSES = {
    InvoiceStatus.OPEN: "pending",
    InvoiceStatus.PAID: "paid",
    InvoiceStatus.VOID: "void",
    InvoiceStatus.UNCOLLECTIBLE: "void",
    InvoiceStatus.REFUNDED: "refunded",
}
_REASONS = {Reason.PURCHASE: "initial", Reason.RENEWAL: "renewal", Reason.CHANGE: "updated"}
_COUNTRIES = {"DE": "Germany", "GB": "United Kingdom", "US": "United States"}


def item_id(subscription: Subscription) -> int:
    """Return the id of a subscription's one item."""
    return int(f"8{subscription.id}")


def order_id(subscription: Subscription) -> int:
    """Return the id of the order that a subscription was bought with."""
    return int(f"7{subscription.id}")


def customer(shop: Shop, record: Customer) -> Json:
    """Return a customer; its portal exists from the first subscription on."""
    bought = shop.count(Subscription, customer=record.id) > 0
    address = record.address
    # A purchase brings the billing address, in the place of what the customer was created with.
    first_city = None if bought or address else record.extra.get(MARK)
    attributes = {
        "store_id": STORE,
        "name": record.name or record.email,
        "email": record.email,
        "status": "subscribed",
        "city": address.city if address else first_city,
        "region": address.state if address else record.extra.get("region"),
        "country": address.country if address else record.extra.get("country"),
        "total_revenue_currency": 0,
        "mrr": 0,
        "status_formatted": "Subscribed",
        "country_formatted": _COUNTRIES.get((address.country if address else None) or ""),
        "total_revenue_currency_formatted": money(0),
        "mrr_formatted": money(0),
        "urls": {"customer_portal": _portal(shop, record.id) if bought else None},
        **times(record),
        "test_mode": True,
    }
    relations = ("store", "orders", "subscriptions", "license-keys")
    return resource(shop, "customers", record.id, attributes, relations)


def _portal(
    shop: Shop, customer_id: str, flow: Flow | None = None, subscription_id: str | None = None
) -> str:
    visit = shop.open_portal(
        customer_id, valid_seconds=SIGNED_FOR, flow=flow, subscription_id=subscription_id
    )
    # Lemon Squeezy's own addresses say until when they are good; this one's token does, too.
    return f"{visit.url}?expires={visit.expires_at}"


def status_of(record: Subscription) -> str:
    """Return Lemon Squeezy's word for how a subscription stands."""
    if record.live and record.cancel_at_period_end:
        return "cancelled"
    return _STATUSES[record.status]


def subscription(shop: Shop, record: Subscription) -> Json:
    """Return a subscription."""
    status = status_of(record)
    product, price = shop.get(Product, record.product), shop.get(Price, record.price)
    buyer = shop.get(Customer, record.customer)
    card = shop.card_charged(record.customer, record)
    attributes = {
        "store_id": STORE,
        "customer_id": int(record.customer),
        "order_id": order_id(record),
        "order_item_id": order_id(record),
        "product_id": int(record.product),
        "variant_id": int(record.price),
        "product_name": product.name,
        "variant_name": variant_name(shop, price),
        "user_name": buyer.name or buyer.email,
        "user_email": buyer.email,
        "status": status,
        "status_formatted": formatted(status),
        "card_brand": card.brand if card else None,
        "card_last_four": card.last4 if card else None,
        "pause": {"mode": "void", "resumes_at": moment(record.resumes_at)}
        if record.status is Status.PAUSED
        else None,
        "cancelled": record.canceled_at is not None,
        "trial_ends_at": moment(record.trial_end) if status == "on_trial" else None,
        "billing_anchor": datetime.fromtimestamp(record.anchor, UTC).day,
        "first_subscription_item": None if status == "on_trial" else _item(record),
        "urls": _subscription_urls(shop, record, deleted=buyer.deleted_at is not None),
        "renews_at": moment(_renews_at(shop, record)),
        "ends_at": moment(_ends_at(record)),
        **times(record),
        "test_mode": True,
    }
    relations = (
        *("store", "customer", "order", "order-item", "product", "variant"),
        *("subscription-items", "subscription-invoices"),
    )
    return resource(shop, "subscriptions", record.id, attributes, relations)


def _item(record: Subscription) -> Json:
    return {
        "id": item_id(record),
        "subscription_id": int(record.id),
        "price_id": price_id(record.price),
        "quantity": record.quantity,
        "is_usage_based": False,
        **times(record),
    }


def _subscription_urls(shop: Shop, record: Subscription, *, deleted: bool) -> Json:
    if deleted:
        return {
            "update_payment_method": None,
            "customer_portal": None,
            "customer_portal_update_subscription": None,
        }
    return {
        "update_payment_method": _portal(shop, record.customer, Flow.PAYMENT_METHOD),
        "customer_portal": _portal(shop, record.customer),
        "customer_portal_update_subscription": _portal(
            shop, record.customer, Flow.UPDATE, record.id
        ),
    }


def _renews_at(shop: Shop, record: Subscription) -> int:
    """Return when the next charge is tried: of one that is past due, the next try for what is owed."""
    owed = shop.open_invoices(record.id) if record.status is Status.PAST_DUE else []
    return next((one.next_attempt for one in owed if one.next_attempt), record.period_end)


def _ends_at(record: Subscription) -> int | None:
    if not record.live:
        return record.ended_at
    return record.period_end if record.cancel_at_period_end else None


def order(shop: Shop, record: Subscription) -> Json:
    """Return the order that a subscription was bought with."""
    buyer, price = shop.get(Customer, record.customer), shop.get(Price, record.price)
    product = shop.get(Product, record.product)
    total = 0 if record.trial_end else price.amount * record.quantity
    item = {
        "id": order_id(record),
        "order_id": order_id(record),
        "product_id": int(record.product),
        "variant_id": int(record.price),
        "price_id": price_id(record.price),
        "quantity": record.quantity,
        "product_name": product.name,
        "variant_name": variant_name(shop, price),
        "price": price.amount,
        "created_at": moment(record.created),
        "updated_at": moment(record.created),
        "test_mode": True,
    }
    attributes = {
        "store_id": STORE,
        "customer_id": int(record.customer),
        "identifier": f"00000000-0000-4000-8000-{order_id(record):012}",
        "order_number": order_id(record),
        "user_name": buyer.name or buyer.email,
        "user_email": buyer.email,
        "currency": record.currency.upper(),
        "currency_rate": "1.0000",
        **_amounts(total, ("subtotal", "setup_fee", "discount_total", "tax", "total")),
        **_refund(0),
        "tax_name": None,
        "tax_rate": "0.00",
        "tax_inclusive": False,
        "status": "paid",
        "status_formatted": "Paid",
        "refunded": False,
        "refunded_at": None,
        "first_order_item": item,
        "urls": {"receipt": f"{shop.origin}/my-orders/{order_id(record)}"},
        "created_at": moment(record.created),
        "updated_at": moment(record.created),
        "test_mode": True,
    }
    relations = (
        *("store", "customer", "order-items", "subscriptions"),
        *("license-keys", "discount-redemptions"),
    )
    return resource(shop, "orders", str(order_id(record)), attributes, relations)


def _amounts(total: int, names: tuple[str, ...]) -> Json:
    """Return amounts under their names, in US dollars and in words; there is neither tax nor discount."""
    shape: Json = {}
    for name in names:
        amount = total if name in ("subtotal", "total") else 0
        shape |= {name: amount, f"{name}_usd": amount, f"{name}_formatted": money(amount)}
    return shape


def _refund(amount: int) -> Json:
    return {
        "refunded_amount": amount,
        "refunded_amount_usd": amount,
        "refunded_amount_formatted": money(amount),
    }


def invoice(shop: Shop, record: Invoice) -> Json:
    """Return an invoice of a subscription."""
    buyer = shop.get(Customer, record.customer)
    status = _INVOICE_STATUSES[record.status]
    if status == "paid" and record.refunded:
        status = "partial_refund"
    card = record.card or {}
    attributes = {
        "store_id": STORE,
        "subscription_id": int(record.subscription),
        "customer_id": int(record.customer),
        "user_name": buyer.name or buyer.email,
        "user_email": buyer.email,
        "billing_reason": _REASONS[record.reason],
        "card_brand": card.get("brand"),
        "card_last_four": card.get("last4"),
        "currency": record.currency.upper(),
        "currency_rate": "1.0000",
        "status": status,
        "status_formatted": formatted(status),
        "refunded": record.status is InvoiceStatus.REFUNDED,
        "refunded_at": moment(record.updated) if record.refunded else None,
        **_amounts(record.total, ("subtotal", "discount_total", "tax", "total")),
        "tax_inclusive": False,
        **_refund(record.refunded),
        "urls": {"invoice_url": None if status == "pending" else shop.pdf_url(record)},
        **times(record),
        "test_mode": True,
    }
    relations = ("store", "subscription", "customer")
    return resource(shop, "subscription-invoices", record.id, attributes, relations)
