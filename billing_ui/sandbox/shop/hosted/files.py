"""An invoice as its customer sees it: the hosted page where it can be paid, and the PDF."""

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.hosted.formats import Formats, choose_formats
from billing_ui.sandbox.hosted.forms import (
    Form,
    FormRefused,
    form_key,
    form_token,
    keep_form_key,
    note_card_problem,
    page_secret,
    read_card,
    read_form,
    without_cvc,
)
from billing_ui.sandbox.hosted.pages import Endpoint, go, headers, show
from billing_ui.sandbox.hosted.paper import Paper, PaperLine, draw
from billing_ui.sandbox.hosted.wording import INVOICE_STATUS
from billing_ui.sandbox.shop.errors import ShopError
from billing_ui.sandbox.shop.hosted.words import address_words, period_words
from billing_ui.sandbox.shop.model import Customer, Invoice, InvoiceStatus, Line
from billing_ui.sandbox.shop.shop import Shop


def routes(shop: Shop) -> list[Route]:
    """Return the invoices' routes. Who has the link may see and pay the invoice."""
    return [
        Route("/i/{token}", _page(shop), methods=["GET"]),
        Route("/i/{token}", _pay(shop), methods=["POST"]),
        Route("/i/{token}/pdf", _pdf(shop), methods=["GET"]),
    ]


def _page(shop: Shop) -> Endpoint:
    async def page(request: Request) -> Response:
        invoice = _find(shop, request)
        if invoice is None:
            return _unknown(shop)
        said = "Thank you. The invoice is paid." if "paid" in request.query_params else ""
        return _show(shop, request, invoice, Form(), said=said)

    return page


def _pay(shop: Shop) -> Endpoint:
    async def pay(request: Request) -> Response:
        invoice = _find(shop, request)
        if invoice is None:
            return _unknown(shop)
        try:
            form = await read_form(request, page_secret(request, form_key(request)))
        except FormRefused:
            problem = "This form is out of date. Nothing was paid."
            return _show(shop, request, invoice, Form(), problem=problem, status=403)
        if invoice.status is not InvoiceStatus.OPEN:
            return go(request.url.path)
        problem, card = "", read_card(form)
        if not form.problems:
            try:
                with shop.together():
                    added = shop.add_card(invoice.customer, **card, default=False)
                    shop.pay(invoice.id, added)
                return go(f"{request.url.path}?paid")
            except CardProblem as refusal:
                note_card_problem(form, refusal.code, str(refusal))
            except ShopError as error:
                problem = str(error)
        return _show(shop, request, invoice, without_cvc(form), problem=problem, status=422)

    return pay


def _pdf(shop: Shop) -> Endpoint:
    async def pdf(request: Request) -> Response:
        invoice = _find(shop, request)
        if invoice is None:
            return _unknown(shop)
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", invoice.number)
        disposition = (
            f'attachment; filename="Invoice-{plain}.pdf"; '
            f"filename*=UTF-8''Invoice-{quote(invoice.number, safe='')}.pdf"
        )
        return Response(
            draw(_paper(shop, invoice, _formats(request))),
            media_type="application/pdf",
            headers={**headers(), "Content-Disposition": disposition},
        )

    return pdf


def _find(shop: Shop, request: Request) -> Invoice | None:
    invoice_id = shop.unsign("invoice", request.path_params["token"])
    return shop.peek(Invoice, invoice_id) if invoice_id else None


def _show(
    shop: Shop,
    request: Request,
    invoice: Invoice,
    form: Form,
    *,
    said: str = "",
    problem: str = "",
    status: int = 200,
) -> Response:
    formats, key = _formats(request), form_key(request)
    is_open = invoice.status is InvoiceStatus.OPEN
    total = formats.money(invoice.total, invoice.currency)
    page = show(
        "invoice.html",
        status=status,
        seller=shop.name,
        name=invoice.number,
        said=said if invoice.status is InvoiceStatus.PAID else "",
        problem=problem,
        problems=bool(problem or form.problems),
        headline=f"{total} due" if is_open else total,
        status_badge=INVOICE_STATUS[invoice.status],
        amount_due=total,
        pdf=shop.pdf_url(invoice),
        action=request.url.path,
        form=form if is_open else None,
        form_token=form_token(page_secret(request, key)),
        facts=_facts(shop, invoice, formats),
        lines=[_line(line, invoice, formats) for line in invoice.lines],
        totals=_totals(invoice, formats),
    )
    keep_form_key(request, page, key)
    return page


def _facts(shop: Shop, invoice: Invoice, formats: Formats) -> list[tuple[str, str]]:
    customer = shop.get(Customer, invoice.customer)
    facts = [
        ("To", customer.name or ""),
        ("E-mail", customer.email),
        ("Address", ", ".join(address_words(customer, formats))),
        ("Issued", formats.date(invoice.created)),
        ("Paid", formats.date(invoice.paid_at) if invoice.paid_at else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _line(line: Line, invoice: Invoice, formats: Formats) -> PaperLine:
    # A part of a period has no unit price that anybody agreed to.
    unit = None if line.proration else line.unit_amount
    return PaperLine(
        description=line.description,
        period=period_words(line, formats),
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


def _paper(shop: Shop, invoice: Invoice, formats: Formats) -> Paper:
    customer, badge = shop.get(Customer, invoice.customer), INVOICE_STATUS[invoice.status]
    total = formats.money(invoice.total, invoice.currency)
    is_open = invoice.status is InvoiceStatus.OPEN
    facts = [
        ("Invoice number", invoice.number),
        ("Date of issue", formats.date(invoice.created)),
        ("Date paid", formats.date(invoice.paid_at) if invoice.paid_at else ""),
        ("Status", badge.word),
    ]
    buyer = customer.name or customer.email
    about = [*address_words(customer, formats), customer.email, customer.phone, customer.tax_id]
    return Paper(
        name=invoice.number,
        seller=shop.name,
        facts=[(name, value) for name, value in facts if value],
        buyer=buyer,
        buyer_lines=[text for text in about if text and text != buyer],
        headline=f"{total} due" if is_open else f"{total} \N{MIDDLE DOT} {badge.word}",
        lines=[_line(line, invoice, formats) for line in invoice.lines],
        totals=_totals(invoice, formats),
    )


def _formats(request: Request) -> Formats:
    return choose_formats(None, (), request.headers.get("accept-language", ""))


def _unknown(shop: Shop) -> Response:
    return show(
        "message.html",
        status=404,
        seller=shop.name,
        heading="There is no such invoice",
        text="Check that the link is complete.",
        link=None,
    )
