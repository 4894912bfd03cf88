"""The shop's invoices: their words, and how one is paid with a card."""

from typing import Any

from starlette.requests import Request

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.hosted import invoices
from billing_ui.sandbox.hosted.formats import Formats, formats_for
from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.paper import PaperLine
from billing_ui.sandbox.hosted.wording import days_between
from billing_ui.sandbox.shop.errors import ShopError
from billing_ui.sandbox.shop.hosted.refusals import note_refusal
from billing_ui.sandbox.shop.hosted.words import address_words
from billing_ui.sandbox.shop.model import Customer, Invoice, InvoiceStatus, Line
from billing_ui.sandbox.shop.shop import Shop


class InvoicePages(invoices.InvoicePages):
    """The pages of a shop's invoices."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop.name)
        self._shop = shop

    def find(self, request: Request) -> invoices.Invoice | None:
        """Return the invoice of a link; None when there is none."""
        invoice_id = self._shop.unsign("invoice", request.path_params["token"])
        invoice = self._shop.peek(Invoice, invoice_id) if invoice_id else None
        if invoice is None:
            return None
        return _words(self._shop, invoice, formats_for(request))

    def pay(self, invoice: invoices.Invoice, card: dict[str, Any], form: Form) -> str:
        """Pay an open invoice with a card; a bad card is not kept."""
        try:
            with self._shop.together():
                added = self._shop.add_card(invoice.customer, **card, default=False)
                self._shop.pay(invoice.id, added)
        except (CardProblem, ShopError) as error:
            return note_refusal(form, error)
        return ""


def _words(shop: Shop, invoice: Invoice, formats: Formats) -> invoices.Invoice:
    customer = shop.get(Customer, invoice.customer)
    total = formats.money(invoice.total, invoice.currency)
    return invoices.Invoice(
        id=invoice.id,
        number=invoice.number,
        seller=shop.name,
        status=invoice.status,
        total=total,
        due=total,
        issued=formats.date(invoice.created),
        due_on="",
        paid_on=formats.date(invoice.paid_at) if invoice.paid_at else "",
        customer=customer.id,
        name=customer.name or "",
        email=customer.email,
        phone=customer.phone or "",
        address=address_words(customer, formats),
        tax_ids=[customer.tax_id] if customer.tax_id else [],
        lines=[_line(line, invoice, formats) for line in invoice.lines],
        totals=_totals(invoice, formats),
        pdf=shop.pdf_url(invoice),
    )


def _line(line: Line, invoice: Invoice, formats: Formats) -> PaperLine:
    # A part of a period has no unit price that anybody agreed to.
    unit = None if line.proration else line.unit_amount
    return PaperLine(
        description=line.description,
        period=days_between(line.period_start, line.period_end, formats),
        quantity=str(line.quantity),
        unit_price="" if unit is None else formats.money(unit, invoice.currency),
        amount=formats.money(line.amount, invoice.currency),
    )


def _totals(invoice: Invoice, formats: Formats) -> list[tuple[str, str, str]]:
    def money(minor: int) -> str:
        return formats.money(minor, invoice.currency)

    rows = [("Tax", money(0), "body"), ("Total", money(invoice.total), "bold")]
    if invoice.paid_at is not None:
        rows.append(("Amount paid", money(-invoice.total), "body"))
    if invoice.refunded:
        rows.append(("Refunded", money(invoice.refunded), "body"))
    due = invoice.total if invoice.status is InvoiceStatus.OPEN else 0
    return [*rows, ("Amount due", money(due), "bold")]
