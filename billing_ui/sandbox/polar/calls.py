"""Polar's calls about one thing: a customer, a product, a subscription, an order."""

from uuid import uuid4

from polar.v2026_10 import inputs

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.polar import shapes
from billing_ui.sandbox.polar.errors import Refused, invalid, missing, wrong
from billing_ui.sandbox.polar.found import living, sold
from billing_ui.sandbox.polar.validator import body, check_email, only, parsed
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.errors import Impossible, PaymentFailed, Taken
from billing_ui.sandbox.shop.model import (
    Address,
    Invoice,
    Json,
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
    if owner is not None:
        check_email("owner", owner["email"])
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


def _address(given: Json | None) -> Address | None:
    return None if given is None else Address(**given)


def customer(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Answer for a customer; for one that was deleted Polar does so no more."""
    return Answered(200, shapes.customer(shop, living(shop, record_id)))


def customer_by_external_id(shop: Shop, asked: Asked, external_id: str) -> Answered:
    """Answer for the customer with an external id."""
    found = shop.customer_by_external_id(external_id)
    if found is None:
        raise missing("Customer")
    return Answered(200, shapes.customer(shop, found))


def member(shop: Shop, asked: Asked, record_id: str, member_id: str) -> Answered:
    """Answer for a member of a customer, who is its owner."""
    owner = shapes.owner(living(shop, record_id))
    if member_id != owner["id"]:
        raise missing("Member")
    return Answered(200, owner)


def update_customer(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Change a customer; what is left out stays."""
    wish = body(inputs.CustomerUpdate, parsed(asked.body))
    before = living(shop, record_id)
    changes: Json = {name: wish[name] for name in ("name", "tax_id", "metadata") if name in wish}
    if wish.get("email") is not None:
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
    shop.delete_customer(living(shop, record_id).id)
    return Answered(204, None)


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
            only(wish, {"product_id"})
            shop.change_plan(record_id, sold(shop, wish.get("product_id") or "").id)
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
    """Answer where an order's PDF is, once somebody has asked for it to be made."""
    record = _order(shop, record_id)
    if not shapes.has_pdf(record):
        detail = f"No invoice exists for order {record.id}."
        raise Refused(404, {"error": "InvoiceDoesNotExist", "detail": detail})
    return Answered(200, {"url": shop.pdf_url(record)})


def make_order_invoice(shop: Shop, asked: Asked, record_id: str) -> Answered:
    """Make an order's PDF, which is there at once; Polar itself takes a few seconds."""
    record = _order(shop, record_id)
    told = shapes.order(shop, record)
    if not told["paid"]:
        detail = f"Order {record.id} is not eligible for invoice generation."
        raise Refused(409, {"error": "OrderNotEligibleForInvoice", "detail": detail})
    if told["billing_name"] is None or told["billing_address"] is None:
        detail = "Billing name and address are required to generate an invoice for this order."
        raise Refused(422, {"error": "MissingInvoiceBillingDetails", "detail": detail})
    shop.save(shapes.with_pdf(record))
    return Answered(202, {})


def _order(shop: Shop, record_id: str) -> Invoice:
    found = shop.peek(Invoice, record_id)
    if found is None:
        raise missing("Order")
    return found
