"""What a store is and sells, and the checkouts it is sold in, as Lemon Squeezy's resources."""

import html

from billing_ui.sandbox.lemonsqueezy.parts import (
    STORE,
    formatted,
    moment,
    money,
    price_id,
    resource,
    times,
)
from billing_ui.sandbox.shop.model import (
    Checkout,
    Endpoint,
    Interval,
    Json,
    Price,
    Product,
)
from billing_ui.sandbox.shop.shop import Shop

_RHYTHMS = {
    Interval.DAY: "Daily",
    Interval.WEEK: "Weekly",
    Interval.MONTH: "Monthly",
    Interval.YEAR: "Yearly",
}


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
    return resource(shop, "users", "1", attributes)


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
    return resource(shop, "stores", str(STORE), attributes, relations)


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
        **times(record),
        "test_mode": True,
    }
    return resource(shop, "products", record.id, attributes, ("store", "variants"))


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
        **times(record),
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
    return resource(shop, "variants", record.id, attributes, ("product", "files", "price-model"))


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
        **times(record),
    }
    return resource(shop, "prices", str(price_id(record.id)), attributes, ("variant",))


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
        **times(record),
        "test_mode": True,
        "url": shop.checkout_url(record),
    }
    return resource(shop, "checkouts", record.id, attributes, ("store", "variant"))


def webhook(shop: Shop, record: Endpoint) -> Json:
    """Return an address that events are sent to; its secret is never told."""
    events = sorted(shop.dialect.event_types) if "*" in record.events else list(record.events)
    attributes = {
        "store_id": STORE,
        "url": record.url,
        "events": events,
        "last_sent_at": None,
        **times(record),
        "test_mode": True,
    }
    return resource(shop, "webhooks", record.id, attributes, ("store",))
