"""Stripe's invoices: their words, and how one is paid with a card."""

from typing import Any

from starlette.requests import Request

from billing_ui.sandbox.hosted import invoices
from billing_ui.sandbox.hosted.formats import Formats, formats_for
from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.invoices import Invoice
from billing_ui.sandbox.hosted.paper import PaperLine
from billing_ui.sandbox.hosted.wording import address_lines, days_between
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.hosted.refusals import note_refusal
from billing_ui.sandbox.stripe.hosted.words import invoice_name, is_proration
from billing_ui.sandbox.stripe.shapes import Json


class InvoicePages(invoices.InvoicePages):
    """The pages of an account's invoices."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.name)
        self._account = account

    def find(self, request: Request) -> Invoice | None:
        """Return the invoice of a link, with all its lines; the API would answer the first ten."""
        invoice = self._account.by_secret("invoice", request.path_params["token"])
        if invoice is None:
            return None
        customer = self._account.store.get(invoice["customer"]) or {}
        preferred = customer.get("preferred_locales") or []
        return _words(invoice, formats_for(request, preferred=preferred))

    def pay(self, invoice: Invoice, card: dict[str, Any], form: Form) -> str:
        """Pay an open invoice with a card; one that is declined is not kept."""
        try:
            self._charge(invoice, card)
        except StripeError as error:
            return note_refusal(form, error)
        return ""

    def _charge(self, invoice: Invoice, card: Json) -> None:
        call = self._account.call
        added = call("post", "/v1/payment_methods", {"type": "card", "card": card})
        path = f"/v1/payment_methods/{added['id']}"
        call("post", f"{path}/attach", {"customer": invoice.customer})
        try:
            call("post", f"/v1/invoices/{invoice.id}/pay", {"payment_method": added["id"]})
        except StripeError:
            call("post", f"{path}/detach")
            raise


def _words(invoice: Json, formats: Formats) -> Invoice:
    def money(minor: int) -> str:
        return formats.money(minor, invoice["currency"])

    def date(moment: int | None) -> str:
        return formats.date(moment) if moment else ""

    return Invoice(
        id=invoice["id"],
        number=invoice_name(invoice),
        seller=invoice["account_name"],
        status=invoice["status"],
        total=money(invoice["total"]),
        due=money(invoice["amount_remaining"]),
        issued=date(invoice["effective_at"] or invoice["created"]),
        due_on=date(invoice["due_date"]),
        paid_on=date(invoice["status_transitions"]["paid_at"]),
        customer=invoice["customer"],
        name=invoice["customer_name"] or "",
        email=invoice["customer_email"] or "",
        phone=invoice["customer_phone"] or "",
        address=address_lines(invoice["customer_address"], formats),
        tax_ids=[one["value"] for one in invoice["customer_tax_ids"] or []],
        lines=[_line(line, invoice["currency"], formats) for line in invoice["lines"]["data"]],
        totals=_totals(invoice, formats),
        pdf=invoice["invoice_pdf"],
    )


def _line(line: Json, currency: str, formats: Formats) -> PaperLine:
    # A part of a period has no unit price that anybody agreed to.
    unit = None if is_proration(line) else (line["pricing"] or {}).get("unit_amount_decimal")
    return PaperLine(
        description=line["description"] or "Item",
        period=days_between(line["period"]["start"], line["period"]["end"], formats),
        quantity=str(line["quantity"] or ""),
        unit_price=formats.money(0, currency, decimal=unit) if unit else "",
        amount=formats.money(line["amount"], currency),
    )


def _totals(invoice: Json, formats: Formats) -> list[tuple[str, str, str]]:
    def money(minor: int) -> str:
        return formats.money(minor, invoice["currency"])

    rows = [("Subtotal", money(invoice["subtotal"]), "body")]
    for discount in invoice["total_discount_amounts"] or []:
        rows.append(("Discount", money(-discount["amount"]), "body"))
    for tax in invoice["total_taxes"] or []:
        kind = " (included)" if tax["tax_behavior"] == "inclusive" else ""
        rows.append((f"Tax{kind}", money(tax["amount"]), "body"))
    if not invoice["total_taxes"]:
        rows.append(("Tax", money(0), "body"))
    rows.append(("Total", money(invoice["total"]), "bold"))
    # What an earlier credit or debt of the customer did to this invoice.
    applied = invoice["amount_due"] - invoice["total"]
    if applied:
        rows.append(("Applied balance", money(applied), "body"))
    if invoice["amount_paid"]:
        rows.append(("Amount paid", money(-invoice["amount_paid"]), "body"))
    rows.append(("Amount due", money(invoice["amount_remaining"]), "bold"))
    return rows
