"""An invoice as its customer sees it: the hosted page where it can be paid, and the PDF."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing_ui.sandbox.hosted.forms import (
    Form,
    FormRefused,
    read_card,
    read_page_form,
    show_form,
    without_cvc,
)
from billing_ui.sandbox.hosted.pages import go, headers, say
from billing_ui.sandbox.hosted.paper import Paper, PaperLine, draw
from billing_ui.sandbox.hosted.wording import INVOICE_STATUS


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """An invoice in words; "" stands for what there is none of.

    Attributes:
        id: Its id at the provider.
        number: What people call it.
        seller: Whose it is.
        status: A key of `INVOICE_STATUS`.
        total: What it comes to.
        due: What is still to be paid.
        issued: The date of issue.
        due_on: The date until when it is to be paid.
        paid_on: The date when it was paid.
        customer: The buyer's id.
        name: The buyer's name.
        email: The buyer's e-mail address.
        phone: The buyer's phone number.
        address: The buyer's address in lines.
        tax_ids: The buyer's tax ids.
        lines: What it is for.
        totals: Name, amount, and "body" or "bold" of what stands below the lines.
        pdf: The address of its PDF.
    """

    id: str
    number: str
    seller: str
    status: str
    total: str
    due: str
    issued: str
    due_on: str
    paid_on: str
    customer: str
    name: str
    email: str
    phone: str
    address: Sequence[str]
    tax_ids: Sequence[str]
    lines: Sequence[PaperLine]
    totals: Sequence[tuple[str, str, str]]
    pdf: str


class InvoicePages(ABC):
    """The pages of one provider's invoices. Who has an invoice's link may see and pay it."""

    def __init__(self, seller: str) -> None:
        self.seller = seller

    @abstractmethod
    def find(self, request: Request) -> Invoice | None:
        """Return the invoice of a link; None when there is none."""

    @abstractmethod
    def pay(self, invoice: Invoice, card: dict[str, Any], form: Form) -> str:
        """Pay an open invoice with a card, which the customer keeps when it is good.

        Returns:
            Why it was not paid, if `form.problems` does not say so now; else "".
        """

    def routes(self) -> list[Route]:
        """Return the invoices' routes."""
        return [
            Route("/i/{token}", self._page, methods=["GET"]),
            Route("/i/{token}", self._pay, methods=["POST"]),
            Route("/i/{token}/pdf", self._pdf, methods=["GET"]),
        ]

    async def _page(self, request: Request) -> Response:
        invoice = self.find(request)
        if invoice is None:
            return self._unknown()
        said = "Thank you. The invoice is paid." if "paid" in request.query_params else ""
        return _show(request, invoice, Form(), said=said)

    async def _pay(self, request: Request) -> Response:
        invoice = self.find(request)
        if invoice is None:
            return self._unknown()
        try:
            form = await read_page_form(request)
        except FormRefused:
            problem = "This form is out of date. Nothing was paid."
            return _show(request, invoice, Form(), problem=problem, status=403)
        if invoice.status != "open":
            return go(request.url.path)
        problem, card = "", read_card(form)
        if not form.problems:
            problem = self.pay(invoice, card, form)
            if not (problem or form.problems):
                return go(f"{request.url.path}?paid")
        # A declined payment is written down at the invoice, too.
        invoice = self.find(request) or invoice
        return _show(request, invoice, without_cvc(form), problem=problem, status=422)

    async def _pdf(self, request: Request) -> Response:
        invoice = self.find(request)
        if invoice is None:
            return self._unknown()
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", invoice.number)
        disposition = (
            f'attachment; filename="Invoice-{plain}.pdf"; '
            f"filename*=UTF-8''Invoice-{quote(invoice.number, safe='')}.pdf"
        )
        return Response(
            draw(_paper(invoice)),
            media_type="application/pdf",
            headers={**headers(), "Content-Disposition": disposition},
        )

    def _unknown(self) -> Response:
        return say(self.seller, 404, "There is no such invoice", "Check that the link is complete.")


def _show(
    request: Request,
    invoice: Invoice,
    form: Form,
    *,
    said: str = "",
    problem: str = "",
    status: int = 200,
) -> Response:
    is_open = invoice.status == "open"
    facts = [
        ("To", invoice.name),
        ("E-mail", invoice.email),
        ("Address", ", ".join(invoice.address)),
        ("Tax ID", ", ".join(invoice.tax_ids)),
        ("Issued", invoice.issued),
        ("Due", invoice.due_on),
        ("Paid", invoice.paid_on),
    ]
    return show_form(
        "invoice.html",
        request,
        form,
        problem=problem,
        status=status,
        seller=invoice.seller,
        name=invoice.number,
        said=said if invoice.status == "paid" else "",
        headline=f"{invoice.due} due" if is_open else invoice.total,
        status_badge=INVOICE_STATUS[invoice.status],
        payable=is_open,
        amount_due=invoice.due,
        pdf=invoice.pdf,
        facts=[(name, value) for name, value in facts if value],
        lines=invoice.lines,
        totals=invoice.totals,
    )


def _paper(invoice: Invoice) -> Paper:
    badge = INVOICE_STATUS[invoice.status]
    is_open = invoice.status == "open"
    facts = [
        ("Invoice number", invoice.number),
        ("Date of issue", invoice.issued),
        ("Date due", invoice.due_on),
        ("Date paid", invoice.paid_on),
        ("Status", badge.word),
    ]
    buyer = invoice.name or invoice.email or invoice.customer
    about = [*invoice.address, invoice.email, invoice.phone, *invoice.tax_ids]
    return Paper(
        name=invoice.number,
        seller=invoice.seller,
        facts=[(name, value) for name, value in facts if value],
        buyer=buyer,
        buyer_lines=[text for text in about if text and text != buyer],
        headline=f"{invoice.due} due"
        if is_open
        else f"{invoice.total} \N{MIDDLE DOT} {badge.word}",
        lines=invoice.lines,
        totals=invoice.totals,
    )
