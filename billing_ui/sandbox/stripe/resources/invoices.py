"""Invoices: drafted, finalized, paid or failed, for subscriptions and by hand."""

from typing import Any

from stripe import Invoice, InvoiceLineItem, InvoiceLineItemService, InvoicePayment, InvoiceService

from billing_ui.sandbox.core.ids import new_id, secret_for
from billing_ui.sandbox.core.store import Condition, equals, one_of
from billing_ui.sandbox.stripe import billing
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, created_within, refuse
from billing_ui.sandbox.stripe.operations import INCLUDABLE, operation, view
from billing_ui.sandbox.stripe.resources import payment_intents, payment_methods, tax_ids
from billing_ui.sandbox.stripe.shapes import Json, complete
from billing_ui.sandbox.stripe.validator import Params

INCLUDABLE["invoice"] = {"confirmation_secret", "payments"}

RETRY_AFTER = [3 * billing.DAY, 5 * billing.DAY, 7 * billing.DAY]
"""How long after the first, second and third failure a payment is tried again."""


@operation(InvoiceService.create)
def create(account: Account, params: Params) -> Json:
    """Draft an invoice by hand, with the customer's pending items unless they are excluded."""
    refuse(params, "discounts", "from_invoice", "shipping_cost", "transfer_data", "issuer")
    if "customer" not in params:
        raise StripeError.missing("customer")
    customer = account.get("customer", params["customer"], "customer")
    subscription = None
    if "subscription" in params:
        subscription = account.get("subscription", params["subscription"], "subscription")
    _check_collection(params)
    take = params.get("pending_invoice_items_behavior", "exclude") == "include"
    currency = params.get("currency") or customer["currency"] or "usd"
    handled = {"customer", "subscription", "pending_invoice_items_behavior", "currency"}
    handled |= {"days_until_due", "automatic_tax"}
    invoice = draft(
        account,
        customer,
        currency=currency,
        reason="manual",
        subscription=subscription,
        lines=[],
        take_pending=take or subscription is not None,
        period=(account.now, account.now),
    )
    changed = {**apply(Invoice, invoice, params, handled=handled)}
    changed["auto_advance"] = params.get("auto_advance", False)
    if "days_until_due" in params:
        changed["due_date"] = account.now + params["days_until_due"] * billing.DAY
    account.store.put(changed)
    account.tell("invoice.created", changed)
    return changed


def _check_collection(params: Params) -> None:
    sends = params.get("collection_method") == "send_invoice"
    has_date = "due_date" in params or "days_until_due" in params
    if sends and not has_date:
        raise StripeError(
            "If invoices are sent to the customer, you must pass `days_until_due` or `due_date`.",
            param="days_until_due",
        )
    if has_date and not sends:
        raise StripeError(
            "You can only set `days_until_due` or `due_date` when `collection_method` is "
            "`send_invoice`.",
            param="days_until_due",
        )


@operation(InvoiceService.update)
def update(account: Account, params: Params, invoice_id: str) -> Json:
    """Change a draft; of a finalized invoice only what does not change its amounts."""
    before = account.get("invoice", invoice_id)
    if before["status"] != "draft" and set(params) - {"metadata", "auto_advance", "description"}:
        raise StripeError(
            "Finalized invoices can't be updated in this way.", code="invoice_not_editable"
        )
    return account.save(before, apply(Invoice, before, params), "invoice.updated")


@operation(InvoiceService.retrieve)
def retrieve(account: Account, params: Params, invoice_id: str) -> Json:
    """Return an invoice."""
    return account.get("invoice", invoice_id)


@operation(InvoiceService.list)
def list_(account: Account, params: Params) -> Json:
    """List invoices, newest first."""
    conditions = created_within(params)
    conditions += [
        equals(name, params[name]) for name in ("status", "collection_method") if name in params
    ]
    if "due_date" in params:
        bounds = params["due_date"]
        bounds = {"gte": bounds, "lte": bounds} if isinstance(bounds, int) else bounds
        signs = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
        conditions += [
            Condition(f"json_extract(body, '$.due_date') {signs[sign]} ?", (at,))
            for sign, at in bounds.items()
        ]
    customer = params.get("customer")
    if customer:
        account.get("customer", customer, "customer")
    if "subscription" in params:
        subscription = account.get("subscription", params["subscription"], "subscription")
        customer = customer or subscription["customer"]
        path = "parent.subscription_details.subscription"
        conditions.append(equals(path, params["subscription"]))
    return account.page("invoice", params, conditions, url="/v1/invoices", customer=customer)


@operation(InvoiceService.delete)
def delete(account: Account, params: Params, invoice_id: str) -> Json:
    """Delete a draft made by hand."""
    invoice = account.get("invoice", invoice_id)
    if invoice["status"] != "draft" or invoice["parent"]:
        raise StripeError("You can only delete draft invoices that were created by hand.")
    return account.delete(invoice, "invoice.deleted")


@operation(InvoiceService.finalize_invoice)
def finalize_(account: Account, params: Params, invoice_id: str) -> Json:
    """Finalize a draft: it gets its number and can be paid."""
    invoice = account.get("invoice", invoice_id)
    if invoice["status"] != "draft":
        raise StripeError(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    if "auto_advance" in params:
        invoice = {**invoice, "auto_advance": params["auto_advance"]}
    return finalize(account, invoice)


@operation(InvoiceService.pay)
def pay_(account: Account, params: Params, invoice_id: str) -> Json:
    """Pay an invoice now."""
    refuse(params, "forgive", "mandate", "source")
    invoice = account.get("invoice", invoice_id)
    if invoice["status"] == "paid":
        raise StripeError("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] not in ("draft", "open", "uncollectible"):
        raise StripeError("This invoice can no longer be paid.", code="invoice_not_editable")
    if invoice["status"] == "draft":
        invoice = finalize(account, invoice)
        if invoice["status"] == "paid":
            return invoice
    if params.get("paid_out_of_band"):
        return settle(account, invoice, None)
    method = None
    if "payment_method" in params:
        method = payment_methods.of_customer(
            account, params["payment_method"], invoice["customer"], "payment_method"
        )
    invoice, problem = collect(account, invoice, method)
    if problem:
        problem.commits = True
        raise problem
    return invoice


@operation(InvoiceService.void_invoice)
def void_(account: Account, params: Params, invoice_id: str) -> Json:
    """Void a finalized, unpaid invoice."""
    return void(account, account.get("invoice", invoice_id))


@operation(InvoiceService.send_invoice)
def send(account: Account, params: Params, invoice_id: str) -> Json:
    """Send an invoice to the customer: here nothing is sent, but it is told that it was."""
    invoice = account.get("invoice", invoice_id)
    if invoice["status"] == "draft":
        invoice = finalize(account, invoice)
    if invoice["status"] != "open":
        raise StripeError("You can only send open invoices.", code="invoice_not_editable")
    account.tell("invoice.sent", invoice)
    return invoice


@operation(InvoiceService.mark_uncollectible)
def mark_uncollectible(account: Account, params: Params, invoice_id: str) -> Json:
    """Write an open invoice off."""
    return write_off(account, account.get("invoice", invoice_id))


def write_off(account: Account, before: Json) -> Json:
    """Mark an open invoice as uncollectible."""
    if before["status"] != "open":
        raise StripeError("You can only mark open invoices as uncollectible.")
    after = {**before, "status": "uncollectible", "_due": None}
    after = _transition(after, account.now, "marked_uncollectible_at")
    return account.save(before, after, "invoice.marked_uncollectible")


@operation(InvoiceLineItemService.list)
def lines_(account: Account, params: Params, invoice_id: str) -> Json:
    """List the lines of an invoice."""
    found = account.get("invoice", invoice_id)["lines"]["data"]
    ids = [entry["id"] for entry in found]
    limit = params.get("limit", 10)
    start = 0
    if params.get("starting_after") in ids:
        start = ids.index(params["starting_after"]) + 1
    return {
        "object": "list",
        "data": found[start : start + limit],
        "has_more": len(found) > start + limit,
        "url": f"/v1/invoices/{invoice_id}/lines",
    }


# ------------------------------------------------------------------------------------ making one


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
        account: The account.
        customer: Who pays.
        currency: The three-letter code.
        reason: The `billing_reason`.
        subscription: What it bills, or None.
        lines: What `billing.line` made.
        take_pending: Whether the customer's pending invoice items in this currency go onto it.
        period: From when to when, in Unix seconds.
    """
    invoice_id = account.new_id("in") if reason == "manual" else new_id("in")
    items = _pending(account, customer["id"], currency, subscription) if take_pending else []
    lines = [*(line_of(item) for item in items), *lines]
    for item in items:
        account.save(item, {**item, "invoice": invoice_id})
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
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    }
    if sends and subscription:
        document["due_date"] = account.now + subscription["days_until_due"] * billing.DAY
    invoice = complete(Invoice, {"created": account.now, **document})
    invoice = with_lines(invoice, lines)
    account.store.put(invoice)
    if customer["currency"] is None:
        account.save(customer, {**customer, "currency": currency})
    return invoice


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
        account: The account.
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
        intent_id=_open_intent(invoice),
        description="Subscription update" if subscription else "Payment for Invoice",
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


def void(account: Account, before: Json) -> Json:
    """Void an invoice that is not paid."""
    if before["status"] not in ("open", "uncollectible"):
        raise StripeError("You can only pass in open or uncollectible invoices.")
    after = {**before, "_due": None, "auto_advance": False, "next_payment_attempt": None}
    after = _transition({**after, "status": "void"}, account.now, "voided_at")
    return account.save(before, after, "invoice.voided")


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


def _open_intent(invoice: Json) -> str | None:
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


def _pending(
    account: Account, customer_id: str, currency: str, subscription: Json | None
) -> list[Json]:
    conditions = [Condition("json_extract(body, '$.invoice') IS NULL")]
    conditions.append(equals("currency", currency))
    found = account.store.find("invoiceitem", conditions, customer=customer_id, oldest_first=True)
    mine = (None, subscription and subscription["id"])
    return [
        item
        for item in found
        if (item["parent"] and item["parent"]["subscription_details"]["subscription"]) in mine
    ]


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


def _list_of(data: list[Json], url: str) -> Json:
    return {"object": "list", "data": data, "has_more": False, "url": url}


@view("invoice")
def _shown(account: Account, shown: Json, tree: Json) -> Json:
    # The list inside an object shows its first ten; the rest is at its own URL.
    lines = shown["lines"]
    if len(lines["data"]) > 10:
        shown["lines"] = {**lines, "data": lines["data"][:10], "has_more": True}
    if "confirmation_secret" in tree:
        intent = _open_intent(account.get("invoice", shown["id"]))
        secret = intent and account.get("payment_intent", intent)["client_secret"]
        shown["confirmation_secret"] = secret and {
            "client_secret": secret,
            "type": "payment_intent",
        }
    return shown
