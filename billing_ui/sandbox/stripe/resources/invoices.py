"""Invoices, as the API has them."""

from stripe import Invoice, InvoiceLineItemService, InvoiceService

from billing_ui.sandbox.core import periods
from billing_ui.sandbox.core.store import Condition, equals
from billing_ui.sandbox.stripe import currencies, invoicing, previews
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, created_within, refuse
from billing_ui.sandbox.stripe.operations import INCLUDABLE, operation, view
from billing_ui.sandbox.stripe.resources import payment_methods
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

INCLUDABLE["invoice"] = {"confirmation_secret", "payments"}


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
    currency = currencies.read(currency, "currency")
    handled = {"customer", "subscription", "pending_invoice_items_behavior", "currency"}
    handled |= {"days_until_due", "automatic_tax"}
    invoice = invoicing.draft(
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
        changed["due_date"] = account.now + params["days_until_due"] * periods.DAY
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


@operation(InvoiceService.create_preview)
def create_preview(account: Account, params: Params) -> Json:
    """Return the invoice that comes next, or would after a change; nothing is kept of it."""
    return previews.preview(account, params)


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
def finalize(account: Account, params: Params, invoice_id: str) -> Json:
    """Finalize a draft: it gets its number and can be paid."""
    invoice = account.get("invoice", invoice_id)
    if invoice["status"] != "draft":
        raise StripeError(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    if "auto_advance" in params:
        invoice = {**invoice, "auto_advance": params["auto_advance"]}
    return invoicing.finalize(account, invoice)


@operation(InvoiceService.pay)
def pay(account: Account, params: Params, invoice_id: str) -> Json:
    """Pay an invoice now."""
    refuse(params, "forgive", "mandate", "source")
    invoice = account.get("invoice", invoice_id)
    if invoice["status"] == "paid":
        raise StripeError("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] not in ("draft", "open", "uncollectible"):
        raise StripeError("This invoice can no longer be paid.", code="invoice_not_editable")
    if invoice["status"] == "draft":
        invoice = invoicing.finalize(account, invoice)
        if invoice["status"] == "paid":
            return invoice
    if params.get("paid_out_of_band"):
        return invoicing.settle(account, invoice, None)
    method = None
    if "payment_method" in params:
        method = payment_methods.of_customer(
            account, params["payment_method"], invoice["customer"], "payment_method"
        )
    invoice, problem = invoicing.collect(account, invoice, method)
    if problem:
        problem.commits = True
        raise problem
    return invoice


@operation(InvoiceService.void_invoice)
def void(account: Account, params: Params, invoice_id: str) -> Json:
    """Void a finalized, unpaid invoice."""
    return invoicing.void(account, account.get("invoice", invoice_id))


@operation(InvoiceService.send_invoice)
def send(account: Account, params: Params, invoice_id: str) -> Json:
    """Send an invoice to the customer: here nothing is sent, but it is told that it was."""
    invoice = account.get("invoice", invoice_id)
    if invoice["status"] == "draft":
        invoice = invoicing.finalize(account, invoice)
    if invoice["status"] != "open":
        raise StripeError("You can only send open invoices.", code="invoice_not_editable")
    account.tell("invoice.sent", invoice)
    return invoice


@operation(InvoiceService.mark_uncollectible)
def mark_uncollectible(account: Account, params: Params, invoice_id: str) -> Json:
    """Write an open invoice off."""
    return invoicing.write_off(account, account.get("invoice", invoice_id))


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


@view("invoice")
def _shown(account: Account, shown: Json, tree: Json) -> Json:
    # The list inside an object shows its first ten; the rest is at its own URL.
    lines = shown["lines"]
    if len(lines["data"]) > 10:
        shown["lines"] = {**lines, "data": lines["data"][:10], "has_more": True}
    if "confirmation_secret" in tree:
        intent = invoicing.open_intent(account.get("invoice", shown["id"]))
        secret = intent and account.get("payment_intent", intent)["client_secret"]
        shown["confirmation_secret"] = secret and {
            "client_secret": secret,
            "type": "payment_intent",
        }
    return shown
