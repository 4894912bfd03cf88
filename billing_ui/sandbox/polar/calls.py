"""Polar's calls about one thing: a customer, a session, a checkout, a product, a subscription, an order."""

from collections.abc import Collection
from uuid import uuid4

from polar.v2026_10 import inputs

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.core.periods import HOUR
from billing_ui.sandbox.polar import shapes
from billing_ui.sandbox.polar.errors import Refused, invalid, missing, wrong
from billing_ui.sandbox.polar.validator import body, parsed
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.errors import Impossible, PaymentFailed, Taken
from billing_ui.sandbox.shop.model import (
    Address,
    Checkout,
    Customer,
    Invoice,
    Json,
    Price,
    Product,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

# ---------------------------------------------------------------- customers


def create_customer(shop: Shop, asked: Asked) -> Answered:
    """Make a customer: a person, or a team, which may have no e-mail of its own."""
    given = parsed(asked.body)
    team = given.get("type") == "team"
    wish = body(inputs.CustomerTeamCreate if team else inputs.CustomerIndividualCreate, given)
    owner = wish.get("owner")
    email = wish.get("email")
    if email is None and owner is None:
        raise wrong(
            "body",
            "team",
            "Value error, An owner with an email address is required when creating a team customer "
            "without an email.",
            None,
        )
    _check_email("email", email)
    _check_email("owner", (owner or {}).get("email"))
    details = []
    if email is not None and shop.customer_by_email(email):
        details.append(_taken("email", "email address", email))
    external_id = wish.get("external_id") or None
    if external_id is not None and shop.customer_by_external_id(external_id):
        details.append(_taken("external_id", "external ID", external_id))
    if details:
        raise invalid(details)
    made = shop.create_customer(
        email or f"{uuid4()}{shapes.NO_EMAIL}",
        name=wish.get("name"),
        external_id=external_id,
        address=_address(wish.get("billing_address")),
        tax_id=wish.get("tax_id"),
        metadata=wish.get("metadata"),
        extra={
            "type": wish.get("type", "individual"),
            "owner": owner,
            "locale": wish.get("locale"),
        },
    )
    return Answered(201, shapes.customer(shop, made))


def _taken(field: str, what: str, value: str) -> Json:
    return {
        "type": "value_error",
        "loc": ["body", field],
        "msg": f"A customer with this {what} already exists.",
        "input": value,
    }


def _check_email(name: str, email: str | None) -> None:
    if email is not None and (
        email.count("@") != 1 or email.startswith("@") or email.endswith("@")
    ):
        message = "value is not a valid email address: An email address must have an @-sign."
        raise wrong("body", name, message, email)


def _address(given: Json | None) -> Address | None:
    return None if given is None else Address(**given)


def _living(shop: Shop, customer_id: str) -> Customer:
    found = shop.peek(Customer, customer_id)
    if found is None or found.deleted_at is not None:
        raise missing("Customer")
    return found


def customer(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Answer for a customer; for one that was deleted Polar does so no more."""
    return Answered(200, shapes.customer(shop, _living(shop, record_id)))


def customer_by_external_id(shop: Shop, asked: Asked, external_id: str) -> Answered:
    """Answer for the customer with an external id."""
    found = shop.customer_by_external_id(external_id)
    if found is None:
        raise missing("Customer")
    return Answered(200, shapes.customer(shop, found))


def member(shop: Shop, asked: Asked, record_id: str, member_id: str) -> Answered:
    """Answer for a member of a customer, who is its owner."""
    owner = shapes.owner(_living(shop, record_id))
    if member_id != owner["id"]:
        raise missing("Member")
    return Answered(200, owner)


def update_customer(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Change a customer; what is left out stays."""
    wish = body(inputs.CustomerUpdate, parsed(asked.body))
    before = _living(shop, record_id)
    changes: Json = {name: wish[name] for name in ("name", "tax_id", "metadata") if name in wish}
    if wish.get("email") is not None:
        _check_email("email", wish["email"])
        changes["email"] = wish["email"]
    if "billing_address" in wish:
        changes["address"] = _address(wish["billing_address"])
    if wish.get("external_id") is not None and wish["external_id"] != before.external_id:
        if before.external_id is not None:
            raise wrong(
                "body", "external_id", "External ID cannot be updated.", wish["external_id"]
            )
        changes["external_id"] = wish["external_id"]
    extra = {name: wish[name] for name in ("locale", "type") if wish.get(name) is not None}
    try:
        after = shop.update_customer(record_id, **changes, extra={**before.extra, **extra})
    except Taken as error:
        what = {"email": "email address"}.get(error.field, "external ID")
        raise invalid([_taken(error.field, what, error.value)]) from None
    return Answered(200, shapes.customer(shop, after))


def delete_customer(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Delete a customer, whose subscriptions end at once."""
    shop.delete_customer(_living(shop, record_id).id)
    return Answered(204, None)


# ---------------------------------------------------------------- sessions and checkouts


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
    _only(wish, _CHECKOUT_FIELDS)
    if not wish["products"]:
        raise wrong("body", "products", "List should have at least 1 item.", [], "too_short")
    price, *_others = [_sold(shop, product_id) for product_id in wish["products"]]
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
    return Answered(201, shapes.checkout(shop, made))


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


def _only(wish: Json, known: Collection[str]) -> None:
    """Refuse a field that this sandbox does not have, instead of ignoring it."""
    for name, value in wish.items():
        if name not in known:
            raise wrong("body", name, "This sandbox does not imitate that.", value)


def _sold(shop: Shop, product_id: str) -> Price:
    """Return the price of a product that can be bought."""
    sold = shop.peek(Product, product_id)
    prices = shop.prices(product_id) if sold is not None else []
    if sold is None or not prices:
        raise wrong("body", "products", "Product does not exist.", product_id)
    if sold.archived or prices[0].archived:
        raise wrong("body", "products", "Product is archived.", product_id)
    return prices[0]


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
    if quantity < 1:
        message = "Input should be greater than or equal to 1"
        raise wrong("body", what, message, quantity, "greater_than_equal")
    return quantity


def checkout(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Answer for a checkout."""
    return Answered(200, shapes.checkout(shop, shop.get(Checkout, record_id)))


# ---------------------------------------------------------------- what is sold and bought


def product(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Answer for a product."""
    found = shop.get(Product, record_id)
    prices = shop.prices(record_id)
    if not prices:
        raise missing("Product")
    return Answered(200, shapes.product(shop, found, prices[0]))


def subscription(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Answer for a subscription."""
    return Answered(200, shapes.subscription(shop, shop.get(Subscription, record_id)))


def update_subscription(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Change, cancel or keep a subscription: one of these in a call."""
    shop.get(Subscription, record_id)
    given = parsed(asked.body)
    try:
        if "cancel_at_period_end" in given:
            wish = body(inputs.SubscriptionCancel, given)
            reason = wish.get("customer_cancellation_reason")
            comment = wish.get("customer_cancellation_comment")
            if wish["cancel_at_period_end"]:
                shop.cancel(record_id, reason=reason, comment=comment)
            else:
                shop.keep(record_id)
        elif "revoke" in given:
            body(inputs.SubscriptionRevoke, given)
            shop.end_now(record_id)
        elif "seats" in given:
            wish = body(inputs.SubscriptionUpdateSeats, given)
            shop.change_plan(record_id, quantity=wish["seats"])
        else:
            wish = body(inputs.SubscriptionUpdateBase, given)
            _only(wish, {"product_id"})
            shop.change_plan(record_id, _sold(shop, wish.get("product_id") or "").id)
    except Impossible as error:
        raise _ended(error) from None
    except (PaymentFailed, CardProblem) as error:
        raise Refused(402, {"error": "PaymentFailed", "detail": str(error)}) from None
    return Answered(200, shapes.subscription(shop, shop.get(Subscription, record_id)))


def _ended(error: Impossible) -> Refused:
    return Refused(403, {"error": "AlreadyCanceledSubscription", "detail": str(error)})


def revoke_subscription(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """End a subscription at once."""
    try:
        ended = shop.end_now(record_id)
    except Impossible as error:
        raise _ended(error) from None
    return Answered(200, shapes.subscription(shop, ended))


def order(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Answer for an order."""
    return Answered(200, shapes.order(shop, shop.get(Invoice, record_id)))


def order_invoice(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Answer where an order's PDF is."""
    return Answered(200, {"url": shop.pdf_url(shop.get(Invoice, record_id))})
