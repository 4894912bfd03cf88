"""The shop's records as Lemon Squeezy's JSON:API resources, with every attribute that its SDK's types declare."""

import html
from datetime import UTC, datetime
from typing import Any

from billing_ui.sandbox.core.periods import DAY
from billing_ui.sandbox.shop.model import (
    Checkout,
    Customer,
    Endpoint,
    Flow,
    Interval,
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

STORE = 1
"""The id of the one store."""

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
_RHYTHMS = {
    Interval.DAY: "Daily",
    Interval.WEEK: "Weekly",
    Interval.MONTH: "Monthly",
    Interval.YEAR: "Yearly",
}
_COUNTRIES = {"DE": "Germany", "GB": "United Kingdom", "US": "United States"}


# ---------------------------------------------------------------- parts of every shape


def moment(seconds: int | None) -> str | None:
    """Return Unix time as Lemon Squeezy writes it."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def money(amount: int, currency: str = "usd") -> str:
    """Return an amount of minor units in words, such as `$9.99`."""
    text = f"{amount / 100:,.2f}"
    return f"${text}" if currency == "usd" else f"{text} {currency.upper()}"


def formatted(word: str) -> str:
    """Return a status for people: `past_due` is `Past due`."""
    return word.replace("_", " ").capitalize()


def item_id(subscription: Subscription) -> int:
    """Return the id of a subscription's one item."""
    return int(f"8{subscription.id}")


def price_id(price: str) -> int:
    """Return the id of the price that the shop's price has as Lemon Squeezy's variant."""
    return int(f"9{price}")


def order_id(subscription: Subscription) -> int:
    """Return the id of the order that a subscription was bought with."""
    return int(f"7{subscription.id}")


def _resource(
    shop: Shop, kind: str, id_: str, attributes: Json, relations: tuple[str, ...] = ()
) -> Json:
    own = f"{shop.origin}/v1/{kind}/{id_}"
    shape: Json = {"type": kind, "id": id_, "attributes": attributes}
    if relations:
        shape["relationships"] = {
            name: {"links": {"related": f"{own}/{name}", "self": f"{own}/relationships/{name}"}}
            for name in relations
        }
    return shape | {"links": {"self": own}}


def _times(record: Any) -> Json:
    return {"created_at": moment(record.created), "updated_at": moment(record.updated)}


# ---------------------------------------------------------------- store and user


def user(shop: Shop) -> Json:
    """Return whoever made the key."""
    attributes = {
        "name": shop.name,
        "email": "owner@example.com",
        "color": "#7047EB",
        "avatar_url": f"{shop.origin}/avatar.png",
        "has_custom_avatar": False,
        "createdAt": moment(0),
        "updatedAt": moment(0),
    }
    return _resource(shop, "users", "1", attributes)


def store(shop: Shop) -> Json:
    """Return the one store, which sells in US dollars."""
    attributes = {
        "name": shop.name,
        "slug": "sandbox",
        "domain": "sandbox.lemonsqueezy.com",
        "url": shop.origin,
        "avatar_url": f"{shop.origin}/avatar.png",
        "plan": "fresh",
        "country": "US",
        "country_nicename": "United States",
        "currency": "USD",
        "total_sales": 0,
        "total_revenue": 0,
        "thirty_day_sales": 0,
        "thirty_day_revenue": 0,
        "created_at": moment(0),
        "updated_at": moment(0),
    }
    relations = ("products", "orders", "subscriptions", "discounts", "license-keys", "webhooks")
    return _resource(shop, "stores", str(STORE), attributes, relations)


# ---------------------------------------------------------------- customers and what they have


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
        **_times(record),
        "test_mode": True,
    }
    relations = ("store", "orders", "subscriptions", "license-keys")
    return _resource(shop, "customers", record.id, attributes, relations)


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
        **_times(record),
        "test_mode": True,
    }
    relations = (
        *("store", "customer", "order", "order-item", "product", "variant"),
        *("subscription-items", "subscription-invoices"),
    )
    return _resource(shop, "subscriptions", record.id, attributes, relations)


def _item(record: Subscription) -> Json:
    return {
        "id": item_id(record),
        "subscription_id": int(record.id),
        "price_id": price_id(record.price),
        "quantity": record.quantity,
        "is_usage_based": False,
        **_times(record),
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
    return _resource(shop, "orders", str(order_id(record)), attributes, relations)


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
        **_times(record),
        "test_mode": True,
    }
    relations = ("store", "subscription", "customer")
    return _resource(shop, "subscription-invoices", record.id, attributes, relations)


# ---------------------------------------------------------------- what is sold


def product(shop: Shop, record: Product) -> Json:
    """Return a product; what it can do stands in its description, as there is no other place."""
    amounts = [price.amount for price in shop.prices(record.id)] or [0]
    status = "draft" if record.archived else "published"
    several = len(amounts) > 1
    low, high = (min(amounts), max(amounts)) if several else (None, None)
    attributes = {
        "store_id": STORE,
        "name": record.name,
        "slug": record.name.lower().replace(" ", "-"),
        "description": _description(record),
        "status": status,
        "status_formatted": formatted(status),
        "thumb_url": None,
        "large_thumb_url": None,
        "price": min(amounts),
        "price_formatted": money(min(amounts)),
        "from_price": low,
        "from_price_formatted": None if low is None else money(low),
        "to_price": high,
        "to_price_formatted": None if high is None else money(high),
        "pay_what_you_want": False,
        "buy_now_url": f"{shop.origin}/buy/{record.id}",
        **_times(record),
        "test_mode": True,
    }
    return _resource(shop, "products", record.id, attributes, ("store", "variants"))


def _description(record: Product) -> str:
    points = "".join(f"<li>{html.escape(feature)}</li>" for feature in record.features)
    text = f"<p>{html.escape(record.description)}</p>" if record.description else ""
    return text + (f"<ul>{points}</ul>" if points else "")


def variant_name(shop: Shop, record: Price) -> str:
    """Return what a price is called as a variant; one that is alone is the default one."""
    alone = len(shop.prices(record.product)) == 1
    return "Default" if alone else _RHYTHMS[record.interval]


def variant(shop: Shop, record: Price) -> Json:
    """Return a price of the shop as a variant, with the attributes that Lemon Squeezy calls deprecated."""
    siblings = shop.prices(record.product)
    status = "published" if len(siblings) > 1 else "pending"
    status = "draft" if record.archived else status
    attributes = {
        "product_id": int(record.product),
        "name": variant_name(shop, record),
        "slug": f"variant-{record.id}",
        "description": "",
        "has_license_keys": False,
        "license_activation_limit": 5,
        "is_license_limit_unlimited": False,
        "license_length_value": 1,
        "license_length_unit": "years",
        "is_license_length_unlimited": False,
        "links": [],
        "sort": [sibling.id for sibling in siblings].index(record.id) + 1,
        "status": status,
        "status_formatted": formatted(status),
        **_times(record),
        "test_mode": True,
        "price": record.amount,
        "is_subscription": True,
        "interval": record.interval.value,
        "interval_count": record.interval_count,
        "has_free_trial": record.trial_days > 0,
        "trial_interval": "day",
        "trial_interval_count": record.trial_days,
        "pay_what_you_want": False,
        "min_price": 0,
        "suggested_price": 0,
    }
    return _resource(shop, "variants", record.id, attributes, ("product", "files", "price-model"))


def price(shop: Shop, record: Price) -> Json:
    """Return what a variant costs."""
    trial = record.trial_days > 0
    attributes = {
        "variant_id": int(record.id),
        "category": "subscription",
        "scheme": "standard",
        "usage_aggregation": None,
        "unit_price": record.amount,
        "unit_price_decimal": None,
        "setup_fee_enabled": False,
        "setup_fee": None,
        "package_size": 1,
        "tiers": None,
        "renewal_interval_unit": record.interval.value,
        "renewal_interval_quantity": record.interval_count,
        "trial_interval_unit": "day" if trial else None,
        "trial_interval_quantity": record.trial_days if trial else None,
        "min_price": None,
        "suggested_price": None,
        "tax_code": "saas",
        **_times(record),
    }
    return _resource(shop, "prices", str(price_id(record.id)), attributes, ("variant",))


# ---------------------------------------------------------------- checkouts and webhooks


def checkout(shop: Shop, record: Checkout) -> Json:
    """Return a checkout; what was asked for in its options is told back as it came."""
    asked = record.extra
    attributes = {
        "store_id": STORE,
        "variant_id": int(record.price),
        "custom_price": None,
        "product_options": {
            "name": "",
            "description": "",
            "media": [],
            "redirect_url": "",
            "receipt_button_text": "",
            "receipt_link_url": "",
            "receipt_thank_you_note": "",
            "enabled_variants": [],
            **asked.get("product_options", {}),
        },
        "checkout_options": {
            "embed": False,
            "media": True,
            "logo": True,
            "desc": True,
            "discount": True,
            "skip_trial": False,
            "subscription_preview": True,
            "button_color": "#7047EB",
        },
        "checkout_data": {
            "email": "",
            "name": "",
            "billing_address": [],
            "tax_number": "",
            "discount_code": "",
            "custom": [],
            "variant_quantities": [],
            **asked.get("checkout_data", {}),
        },
        "preview": False,
        "expires_at": asked.get("expires_at"),
        **_times(record),
        "test_mode": True,
        "url": shop.checkout_url(record),
    }
    return _resource(shop, "checkouts", record.id, attributes, ("store", "variant"))


def webhook(shop: Shop, record: Endpoint) -> Json:
    """Return an address that events are sent to; its secret is never told."""
    events = sorted(shop.dialect.event_types) if "*" in record.events else list(record.events)
    attributes = {
        "store_id": STORE,
        "url": record.url,
        "events": events,
        "last_sent_at": None,
        **_times(record),
        "test_mode": True,
    }
    return _resource(shop, "webhooks", record.id, attributes, ("store",))
