"""Payment pages: what a checkout's hosted page, or Stripe's CLI in its place, asks and does."""

from typing import NotRequired

from stripe import InvoiceItem
from typing_extensions import TypedDict

from billing_ui.sandbox.core.ids import new_id
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.operations import route
from billing_ui.sandbox.stripe.resources import checkout_sessions, payment_intents, payment_methods
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params


class ConfirmParams(TypedDict):
    """What the hosted page, and Stripe's CLI in its place, sends to pay."""

    payment_method: str
    expected_amount: NotRequired[int]


@route("get", "/v1/payment_pages/{session}", None)
def retrieve(account: Account, params: Params, session_id: str) -> Json:
    """Return what the hosted page knows of its session."""
    session = account.get(checkout_sessions.KIND, session_id)
    return {
        "id": f"ppage_{session_id[-24:]}",
        "object": "checkout.payment_page",
        "amount": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
        "livemode": False,
        "mode": session["mode"],
        "session_id": session_id,
        "state": {"open": "active", "complete": "succeeded"}.get(session["status"], "expired"),
        "total_summary": {"due": session["amount_total"], "total": session["amount_total"]},
    }


@route("post", "/v1/payment_pages/{session}/confirm", ConfirmParams)
def confirm(account: Account, params: Params, session_id: str) -> Json:
    """Pay a session, as its hosted page does, and return the page."""
    session = account.get(checkout_sessions.KIND, session_id)
    if session["status"] != "open":
        raise StripeError(f"This Checkout Session is {session['status']}.")
    expected = params.get("expected_amount", session["amount_total"])
    if expected != session["amount_total"]:
        raise StripeError(
            f"The amount expected, {expected}, is not the amount due, {session['amount_total']}.",
            param="expected_amount",
        )
    if session["mode"] == "subscription":
        changes = _subscribe(account, session, params["payment_method"])
    else:
        changes = _pay(account, session, params["payment_method"])
    after = {**session, **changes, "_due": None, "status": "complete", "url": None}
    account.store.put(after)
    account.tell("checkout.session.completed", after)
    return retrieve(account, {}, session_id)


def _subscribe(account: Account, session: Json, method_id: str) -> Json:
    """Begin the subscription a session sells; return what that changes of the session."""
    method = account.get("payment_method", method_id, "payment_method")
    customer = _customer(account, session, method)
    payment_methods.attach_to(account, method_id, customer["id"], "payment_method")
    recurring = []
    for item in session["line_items"]["data"]:
        price = account.get("price", item["price"])
        if price["recurring"]:
            recurring.append({"price": price["id"], "quantity": item["quantity"]})
        else:
            _add_once(account, customer["id"], item, price)
    subscription = account.call(
        "post",
        "/v1/subscriptions",
        {
            **session["_data"],
            "customer": customer["id"],
            "items": recurring,
            "currency": session["currency"],
            "default_payment_method": method_id,
            "payment_behavior": "error_if_incomplete",
        },
    )
    paid = session["amount_total"] > 0
    return {
        "customer": customer["id"],
        "customer_details": checkout_sessions.customer_details(customer, {}),
        "invoice": subscription["latest_invoice"],
        "payment_status": "paid" if paid else "no_payment_required",
        "subscription": subscription["id"],
    }


def _pay(account: Account, session: Json, method_id: str) -> Json:
    """Take the single payment of a session; return what that changes of the session."""
    method = account.get("payment_method", method_id, "payment_method")
    customer_id = session["customer"]
    if session["customer_creation"] == "always":
        customer_id = _customer(account, session, method)["id"]
    if customer_id and session["_data"].get("setup_future_usage"):
        payment_methods.attach_to(account, method_id, customer_id, "payment_method")
    intent, problem = payment_intents.charge(
        account,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=customer_id,
        method=method,
        details=session["_data"],
    )
    if problem:
        raise problem
    billing_details = method["billing_details"]
    details = session["customer_details"] or checkout_sessions.nothing_known()
    named = {name: billing_details[name] for name in ("email", "name", "phone")}
    details = {**details, **{name: value for name, value in named.items() if value}}
    return {
        "customer": customer_id,
        "customer_details": {**details, "address": billing_details["address"]},
        "payment_intent": intent["id"],
        "payment_status": "paid",
    }


def _customer(account: Account, session: Json, method: Json) -> Json:
    """Return the customer of a session, made now when it came without one."""
    if session["customer"]:
        return account.get("customer", session["customer"])
    details = method["billing_details"]
    email = session["customer_email"] or details["email"]
    made = account.call("post", "/v1/customers", {"email": email, "name": details["name"]})
    return account.get("customer", made["id"])


def _add_once(account: Account, customer_id: str, item: Json, price: Json) -> None:
    account.create(
        InvoiceItem,
        {
            "id": new_id("ii"),
            "object": "invoiceitem",
            "amount": item["amount_total"],
            "currency": item["currency"],
            "customer": customer_id,
            "date": account.now,
            "description": item["description"],
            "discountable": True,
            "net_amount": item["amount_total"],
            "period": {"start": account.now, "end": account.now},
            "pricing": {
                "price_details": {"price": price["id"], "product": price["product"]},
                "type": "price_details",
                "unit_amount_decimal": price["unit_amount_decimal"],
            },
            "quantity": item["quantity"],
            "quantity_decimal": str(item["quantity"]),
        },
        "invoiceitem.created",
    )
