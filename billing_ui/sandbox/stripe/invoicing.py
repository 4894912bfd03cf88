"""What becomes of an invoice: drafted, finalized, charged, paid, failed or given up."""

from typing import Any

from stripe import Invoice, InvoiceLineItem, InvoicePayment

from billing_ui.sandbox.core import periods
from billing_ui.sandbox.core.ids import new_id, secret_for
from billing_ui.sandbox.core.store import Condition, equals, one_of
from billing_ui.sandbox.stripe import billing
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.resources import payment_intents, payment_methods, tax_ids
from billing_ui.sandbox.stripe.shapes import Json, complete

RETRY_AFTER = [3 * periods.DAY, 5 * periods.DAY, 7 * periods.DAY]
"""How long after the first, second and third failure a payment is tried again."""


def draft(
    account: Account,
    customer: Json,
    *,
    currency: str,
    reason: str,
    subscription: Json | None,
    lines: list[Json],
    take_pending: bool,
    period: tuple[int, int],
) -> Json:
    """Store a new draft, telling nobody yet.

    Args:
        customer: Who pays.
        currency: The three-letter code.
        reason: The `billing_reason`.
        subscription: What it bills, or None.
        lines: What `billing.line` made.
        take_pending: Whether the customer's pending invoice items in this currency go onto it.
        period: From when to when, in Unix seconds.
    """
    invoice_id = account.new_id("in") if reason == "manual" else new_id("in")
    items = pending(account, customer["id"], currency, subscription) if take_pending else []
    for item in items:
        account.save(item, {**item, "invoice": invoice_id})
    invoice = compose(
        account,
        customer,
        invoice_id=invoice_id,
        currency=currency,
        reason=reason,
        subscription=subscription,
        lines=[*(line_of(item) for item in items), *lines],
        period=period,
    )
    account.store.put(invoice)
    if customer["currency"] is None:
        account.save(customer, {**customer, "currency": currency})
    return invoice


def compose(
    account: Account,
    customer: Json,
    *,
    invoice_id: str,
    currency: str,
    reason: str,
    subscription: Json | None,
    lines: list[Json],
    period: tuple[int, int],
) -> Json:
    """Return an invoice as it would be drafted now, storing nothing; arguments as of `draft`."""
    sends = bool(subscription) and subscription["collection_method"] == "send_invoice"  # type: ignore[index]
    document: Json = {
        "id": invoice_id,
        "object": "invoice",
        "account_country": "US",
        "account_name": account.name,
        "auto_advance": True,
        "billing_reason": reason,
        "collection_method": "send_invoice" if sends else "charge_automatically",
        "currency": currency,
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [
            {"type": tax_id["type"], "value": tax_id["value"]}
            for tax_id in tax_ids.of_customer(account, customer["id"])
        ],
        "default_tax_rates": [],
        "due_date": None,
        "issuer": {"type": "self"},
        "lines": {"object": "list", "data": [], "has_more": False, "url": ""},
        "metadata": {},
        "parent": _parent(subscription),
        "payment_settings": {},
        "payments": _list_of([], f"/v1/invoices/{invoice_id}/payments"),
        "period_end": period[1],
        "period_start": period[0],
        "starting_balance": customer["balance"],
        "status": "draft",
        "status_transitions": {},
        "test_clock": customer["test_clock"],
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    }
    if sends and subscription:
        document["due_date"] = account.now + subscription["days_until_due"] * periods.DAY
    return with_lines(complete(Invoice, {"created": account.now, **document}), lines)


def with_lines(invoice: Json, lines: list[Json]) -> Json:
    """Return an invoice with these lines and the amounts that follow from them."""
    made = [complete(InvoiceLineItem, {**entry, "invoice": invoice["id"]}) for entry in lines]
    total = sum(entry["amount"] for entry in made)
    due = max(0, total + invoice["starting_balance"])
    return {
        **invoice,
        "lines": _list_of(made, f"/v1/invoices/{invoice['id']}/lines"),
        "amount_due": due,
        "amount_remaining": due,
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
    }


def line_of(item: Json) -> Json:
    """Return the invoice line of an invoice item."""
    subscription_id: Any = None
    if item["parent"]:
        subscription_id = item["parent"]["subscription_details"]["subscription"]
    details = {
        "invoice_item": item["id"],
        "proration": item["proration"],
        "subscription": subscription_id,
    }
    if item["proration"]:
        subscription_item = item["parent"]["subscription_details"]["subscription_item"]
        parent = {
            "subscription_item_details": {**details, "subscription_item": subscription_item},
            "type": "subscription_item_details",
        }
    else:
        parent = {"invoice_item_details": details, "type": "invoice_item_details"}
    made = billing.line(
        id_=new_id("il"),
        amount=item["amount"],
        currency=item["currency"],
        description=item["description"],
        period=(item["period"]["start"], item["period"]["end"]),
        quantity=item["quantity"],
        parent=parent,
        metadata=item["metadata"],
    )
    return {**made, "pricing": item["pricing"], "discountable": item["discountable"]}


def finalize(account: Account, before: Json) -> Json:
    """Give a draft its number; with nothing to pay it is paid at once."""
    customer = account.get("customer", before["customer"])
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    # What the invoice does not ask for stays on the balance: a credit used up, or a new one.
    left = customer["balance"] + before["total"]
    balance = 0 if before["amount_due"] else left
    sequence = customer["next_invoice_sequence"] + 1
    account.save(customer, {**customer, "balance": balance, "next_invoice_sequence": sequence})
    token = secret_for(before["id"])
    after = {
        **before,
        "_due": None,
        "_secret": token,
        "attempted": False,
        "automatically_finalizes_at": None,
        "effective_at": account.now,
        "ending_balance": balance,
        "hosted_invoice_url": f"{account.origin}/i/{token}",
        "invoice_pdf": f"{account.origin}/i/{token}/pdf",
        "number": number,
        "status": "open",
    }
    after = _transition(after, account.now, "finalized_at")
    after = account.save(before, after, "invoice.finalized")
    return settle(account, after, None) if after["amount_due"] == 0 else after


def collect(
    account: Account, invoice: Json, method: Json | None = None
) -> tuple[Json, StripeError | None]:
    """Charge an open invoice.

    Args:
        invoice: As stored, open.
        method: The payment method; the subscription's or the customer's default when None.

    Returns:
        The invoice as it is now, and the card's error when it was declined.
    """
    customer = account.get("customer", invoice["customer"])
    subscription = subscription_of(account, invoice)
    method = method or payment_methods.default_of(account, subscription, customer)
    if method is None:
        return _fail(account, invoice, subscription, None), StripeError(
            "This customer has no attached payment source or default payment method. Please "
            "consider adding a default payment method. For more information, visit "
            "https://stripe.com/docs/billing/subscriptions/payment-methods-setting"
            "#payment-method-priority.",
            code="resource_missing",
        )
    intent, problem = payment_intents.charge(
        account,
        amount=invoice["amount_remaining"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        method=method,
        intent_id=open_intent(invoice),
        details={"description": "Subscription update" if subscription else "Payment for Invoice"},
    )
    if problem:
        return _fail(account, invoice, subscription, intent["id"]), problem
    return settle(account, invoice, intent["id"]), None


def await_payment(account: Account, before: Json) -> Json:
    """Open the payment intent by which a customer is to pay an open invoice."""
    intent = payment_intents.open_for_invoice(account, before)
    payments = _with_payment(account, before, intent["id"], "open")
    return account.save(before, {**before, "payments": payments})


def settle(account: Account, before: Json, intent_id: str | None) -> Json:
    """Mark an invoice paid, by a payment intent or without one, and its subscription in order."""
    paid = before["amount_remaining"]
    after = {
        **before,
        "_due": None,
        "amount_paid": before["amount_paid"] + paid,
        "amount_remaining": 0,
        "attempt_count": before["attempt_count"] + (1 if intent_id else 0),
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
    }
    if intent_id:
        after["payments"] = _with_payment(account, before, intent_id, "paid")
    after = _transition(after, account.now, "paid_at")
    account.save(before, after, "invoice.paid")
    account.tell("invoice.payment_succeeded", after)
    _cheer(account, after)
    return after


def _fail(account: Account, before: Json, subscription: Json | None, intent_id: str | None) -> Json:
    attempts = before["attempt_count"] + 1
    again = due = None
    reasons = ("subscription_cycle", "subscription_update")
    if before["auto_advance"] and before["billing_reason"] in reasons:
        if attempts <= len(RETRY_AFTER):
            again = account.now + RETRY_AFTER[attempts - 1]
        # After the last try there is one look more: then the subscription is given up.
        due = again or account.now
    after = {
        **before,
        "_due": due,
        "attempt_count": attempts,
        "attempted": True,
        "next_payment_attempt": again,
    }
    if intent_id:
        after["payments"] = _with_payment(account, before, intent_id, "open")
    account.save(before, after, "invoice.updated")
    account.tell("invoice.payment_failed", after)
    if subscription and subscription["status"] == "active":
        owed = {**subscription, "status": "past_due"}
        account.save(subscription, owed, "customer.subscription.updated")
    customer = account.get("customer", before["customer"])
    if not customer["delinquent"]:
        account.save(customer, {**customer, "delinquent": True}, "customer.updated")
    return after


def void(account: Account, before: Json) -> Json:
    """Void an invoice that is not paid."""
    if before["status"] not in ("open", "uncollectible"):
        raise StripeError("You can only pass in open or uncollectible invoices.")
    after = {**before, "_due": None, "auto_advance": False, "next_payment_attempt": None}
    after = _transition({**after, "status": "void"}, account.now, "voided_at")
    return account.save(before, after, "invoice.voided")


def write_off(account: Account, before: Json) -> Json:
    """Mark an open invoice as uncollectible."""
    if before["status"] != "open":
        raise StripeError("You can only mark open invoices as uncollectible.")
    after = {**before, "status": "uncollectible", "_due": None}
    after = _transition(after, account.now, "marked_uncollectible_at")
    return account.save(before, after, "invoice.marked_uncollectible")


def subscription_of(account: Account, invoice: Json) -> Json | None:
    """Return the stored subscription an invoice bills, or None."""
    details = invoice["parent"] and invoice["parent"]["subscription_details"]
    return account.store.get(details["subscription"]) if details else None


def unpaid_of(account: Account, subscription: Json) -> list[Json]:
    """Return the drafts and open invoices of a subscription, newest first."""
    conditions = [
        one_of("status", ("draft", "open")),
        equals("parent.subscription_details.subscription", subscription["id"]),
    ]
    return account.store.find("invoice", conditions, customer=subscription["customer"])


def _cheer(account: Account, invoice: Json) -> None:
    """Let a subscription whose newest invoice is paid be active again."""
    subscription = subscription_of(account, invoice)
    if subscription is None or subscription["latest_invoice"] != invoice["id"]:
        return
    if subscription["status"] in ("incomplete", "past_due", "unpaid"):
        healed = billing.with_due({**subscription, "status": "active"})
        account.save(subscription, healed, "customer.subscription.updated")
    customer = account.get("customer", invoice["customer"])
    if customer["delinquent"]:
        account.save(customer, {**customer, "delinquent": False}, "customer.updated")


def _transition(invoice: Json, moment: int, name: str) -> Json:
    return {**invoice, "status_transitions": {**invoice["status_transitions"], name: moment}}


def open_intent(invoice: Json) -> str | None:
    """Return the id of the payment intent by which an invoice is to be paid, or None."""
    for payment in invoice["payments"]["data"]:
        if payment["status"] == "open":
            return str(payment["payment"]["payment_intent"])
    return None


def _with_payment(account: Account, invoice: Json, intent_id: str, status: str) -> Json:
    """Return the invoice's payments with the one of this intent in its new state."""
    earlier = [
        payment
        for payment in invoice["payments"]["data"]
        if payment["payment"]["payment_intent"] != intent_id
    ]
    same = [payment for payment in invoice["payments"]["data"] if payment not in earlier]
    payment = complete(
        InvoicePayment,
        {
            "id": same[0]["id"] if same else new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": invoice["amount_remaining"] if status == "paid" else None,
            "amount_requested": invoice["amount_remaining"],
            "created": same[0]["created"] if same else account.now,
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "payment": {"payment_intent": intent_id, "type": "payment_intent"},
            "status": status,
            "status_transitions": {"paid_at": account.now if status == "paid" else None},
        },
    )
    return {**invoice["payments"], "data": [*earlier, payment]}


def _parent(subscription: Json | None) -> Json | None:
    if subscription is None:
        return None
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    return {"subscription_details": details, "type": "subscription_details"}


def pending(
    account: Account, customer_id: str, currency: str, subscription: Json | None
) -> list[Json]:
    """Return the invoice items that wait for the next invoice, of a subscription or of any."""
    conditions = [Condition("json_extract(body, '$.invoice') IS NULL")]
    conditions.append(equals("currency", currency))
    found = account.store.find("invoiceitem", conditions, customer=customer_id, oldest_first=True)
    mine = (None, subscription and subscription["id"])
    return [
        item
        for item in found
        if (item["parent"] and item["parent"]["subscription_details"]["subscription"]) in mine
    ]


def _list_of(data: list[Json], url: str) -> Json:
    return {"object": "list", "data": data, "has_more": False, "url": url}
