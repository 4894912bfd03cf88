"""Polar's sessions: the portal of a customer, and checkouts."""

from typing import Final
from uuid import uuid4

from polar.v2026_10 import inputs

from billing_ui.sandbox.core.periods import HOUR
from billing_ui.sandbox.polar import shapes
from billing_ui.sandbox.polar.errors import wrong
from billing_ui.sandbox.polar.found import sold
from billing_ui.sandbox.polar.validator import body, only, parsed
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.model import (
    Checkout,
    CheckoutStatus,
    Customer,
    Json,
    Price,
    Product,
)
from billing_ui.sandbox.shop.shop import Shop

_STATUSES: Final = {
    CheckoutStatus.OPEN: "open",
    CheckoutStatus.COMPLETE: "succeeded",
    CheckoutStatus.EXPIRED: "expired",
}
_QUANTITIES: Final = ("seats", "min_seats", "max_seats", "units", "min_units", "max_units")


def shown(shop: Shop, record: Checkout) -> Json:
    """Return a checkout."""
    price = shop.get(Price, record.price)
    sold = shop.get(Product, price.product)
    buyer = shop.get(Customer, record.customer) if record.customer else None
    amount = price.amount * record.quantity
    by_seat = price.per_unit and shapes.is_by_seat(sold)
    sold_here = {
        **shapes.plain_product(shop, sold, price),
        "prices": [shapes.product_price(sold, price)],
        "benefits": [shapes.benefit(shop, sold, feature) for feature in sold.features],
        "medias": [],
    }
    trial = price.trial_days if record.trial_days is None else record.trial_days
    quantity: Json = dict.fromkeys(_QUANTITIES)
    if price.per_unit:
        what = "seats" if by_seat else "units"
        bounds = {f"{end}_{what}": record.extra.get(f"{end}_{what}") for end in ("min", "max")}
        quantity |= {what: record.quantity, **bounds}
    return {
        "id": record.id,
        **shapes.dated(record),
        "custom_field_data": {},
        "payment_processor": "stripe",
        "status": _STATUSES[record.status],
        "client_secret": f"polar_c_{shop.sign('checkout', record.id)}",
        "url": shop.checkout_url(record),
        "expires_at": shapes.written(record.expires_at),
        "success_url": record.success_url or f"{shop.origin}/",
        "return_url": record.return_url,
        "embed_origin": record.extra.get("embed_origin"),
        "amount": amount,
        **quantity,
        "discount_amount": 0,
        "net_amount": amount,
        "tax_amount": 0,
        "tax_behavior": None,
        "total_amount": amount,
        "currency": price.currency,
        "allow_trial": True,
        "active_trial_interval": "day" if trial else None,
        "active_trial_interval_count": trial or None,
        "trial_end": None,
        "organization_id": shapes.organization_id(shop),
        "product_id": sold.id,
        "product_price_id": price.id,
        "discount_id": None,
        "allow_discount_codes": record.extra.get("allow_discount_codes", True),
        "require_billing_address": record.extra.get("require_billing_address", False),
        "is_discount_applicable": True,
        "is_free_product_price": amount == 0,
        "is_payment_required": amount > 0 and not trial,
        "is_payment_setup_required": True,
        "is_payment_form_required": True,
        "customer_id": record.customer,
        "is_business_customer": record.extra.get("is_business_customer", False),
        "customer_name": buyer.name if buyer else record.name,
        "customer_email": shapes.email_of(buyer) if buyer else record.email,
        "customer_ip_address": None,
        "customer_billing_name": buyer.name if buyer else record.name,
        "customer_billing_address": shapes.address(buyer.address) if buyer else None,
        "customer_tax_id": buyer.tax_id if buyer else None,
        "locale": record.extra.get("locale"),
        "payment_method_type": None,
        "payment_processor_metadata": {},
        "billing_address_fields": {
            "country": "required",
            **dict.fromkeys(("state", "city", "postal_code", "line1", "line2"), "disabled"),
        },
        "trial_interval": None,
        "trial_interval_count": None,
        "metadata": record.metadata,
        "external_customer_id": buyer.external_id if buyer else record.external_id,
        "products": [sold_here],
        "product": sold_here,
        "product_price": shapes.product_price(sold, price),
        "prices": {sold.id: [shapes.product_price(sold, price)]},
        "discount": None,
        "subscription_id": None,
        "attached_custom_fields": [],
        "customer_metadata": record.customer_metadata,
    }


def create_customer_session(shop: Shop, asked: Asked) -> Answered:
    """Open the portal for a customer; for a team it must be said as whom."""
    given = parsed(asked.body)
    by_id = "customer_id" in given
    wish = body(
        inputs.CustomerSessionCustomerIDCreate
        if by_id
        else inputs.CustomerSessionCustomerExternalIDCreate,
        given,
    )
    field = "customer_id" if by_id else "external_customer_id"
    found = shop.peek(Customer, wish[field]) if by_id else shop.customer_by_external_id(wish[field])
    if found is None or found.deleted_at is not None:
        raise wrong("body", field, "Customer does not exist.", wish[field])
    _check_member(found, wish)
    visit = shop.open_portal(found.id, return_url=wish.get("return_url"), valid_seconds=HOUR)
    return Answered(
        201,
        {
            "created_at": shapes.written(shop.now),
            "modified_at": None,
            "id": str(uuid4()),
            "token": f"polar_cst_{uuid4().hex}",
            "expires_at": shapes.written(visit.expires_at),
            "return_url": visit.return_url,
            "customer_portal_url": visit.url,
            "customer_id": found.id,
            "customer": shapes.customer(shop, found),
        },
    )


def _check_member(found: Customer, wish: Json) -> None:
    owner = shapes.owner(found)
    for field, known in (("member_id", owner["id"]), ("external_member_id", owner["external_id"])):
        if wish.get(field) is not None:
            if wish[field] != known:
                message = "Member does not exist for this customer."
                raise wrong("body", field, message, wish[field])
            return
    if found.extra.get("type") == "team":
        raise wrong("body", "member_id", "member_id is required for team customers.", None)


def create_checkout(shop: Shop, asked: Asked) -> Answered:
    """Open a checkout for the first of the products named."""
    wish = body(inputs.CheckoutCreate, parsed(asked.body))
    only(wish, _CHECKOUT_FIELDS)
    if not wish["products"]:
        raise wrong("body", "products", "List should have at least 1 item.", [], "too_short")
    price, *_others = [sold(shop, product_id) for product_id in wish["products"]]
    buyer = wish.get("customer_id")
    if buyer is not None:
        found = shop.peek(Customer, buyer)
        if found is None or found.deleted_at is not None:
            raise wrong("body", "customer_id", "Customer does not exist.", buyer)
    known = wish.get("external_customer_id")
    of_known = shop.customer_by_external_id(known) if known else None
    made = shop.open_checkout(
        price.id,
        _quantity(shop, price, wish),
        customer_id=buyer or (of_known.id if of_known else None),
        email=wish.get("customer_email"),
        name=wish.get("customer_name"),
        external_id=known,
        customer_metadata=wish.get("customer_metadata"),
        success_url=wish.get("success_url"),
        return_url=wish.get("return_url"),
        trial_days=None if wish.get("allow_trial", True) else 0,
        valid_seconds=HOUR,
        metadata=wish.get("metadata"),
        extra={name: wish[name] for name in _KEPT_ON_CHECKOUT if name in wish},
    )
    return Answered(201, shown(shop, made))


_KEPT_ON_CHECKOUT = (
    *("min_seats", "max_seats", "min_units", "max_units", "locale", "embed_origin"),
    *("allow_discount_codes", "require_billing_address", "is_business_customer"),
)
_CHECKOUT_FIELDS = {
    *("products", "customer_id", "external_customer_id", "customer_email", "customer_name"),
    *("customer_metadata", "success_url", "return_url", "allow_trial", "metadata"),
    *("seats", "units", "currency"),
    *_KEPT_ON_CHECKOUT,
}


def _quantity(shop: Shop, price: Price, wish: Json) -> int:
    by_seat = shapes.is_by_seat(shop.get(Product, price.product))
    what = "seats" if by_seat else "units"
    for name in ("seats", "units"):
        if wish.get(name) is not None and (not price.per_unit or name != what):
            message = f"{name.capitalize()} can only be set for products priced by them."
            raise wrong("body", name, message, wish[name])
    currency = wish.get("currency")
    if currency is not None and currency != price.currency:
        raise wrong("body", "currency", "Product is not available in this currency.", currency)
    quantity: int = wish.get(what) or 1
    return quantity


def checkout(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Answer for a checkout."""
    return Answered(200, shown(shop, shop.get(Checkout, record_id)))
