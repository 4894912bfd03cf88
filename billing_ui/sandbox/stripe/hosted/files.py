"""An invoice as its customer sees it: the hosted page where it can be paid, and the PDF."""

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing_ui.sandbox.hosted.formats import Formats, choose_formats
from billing_ui.sandbox.hosted.forms import (
    Form,
    FormRefused,
    form_key,
    form_token,
    keep_form_key,
    page_secret,
    read_card,
    read_form,
    without_cvc,
)
from billing_ui.sandbox.hosted.pages import Endpoint, go, headers, show
from billing_ui.sandbox.hosted.paper import draw
from billing_ui.sandbox.hosted.wording import INVOICE_STATUS, address_lines
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.hosted.invoice_paper import paper_of, total_rows
from billing_ui.sandbox.stripe.hosted.refusals import note_refusal
from billing_ui.sandbox.stripe.hosted.words import invoice_name, period_words
from billing_ui.sandbox.stripe.shapes import Json


def routes(account: Account) -> list[Route]:
    """Return the invoices' routes. Who has the link may see and pay the invoice."""
    return [
        Route("/i/{token}", _page(account), methods=["GET"]),
        Route("/i/{token}", _pay(account), methods=["POST"]),
        Route("/i/{token}/pdf", _pdf(account), methods=["GET"]),
    ]


def _page(account: Account) -> Endpoint:
    async def page(request: Request) -> Response:
        invoice = _find(account, request)
        if invoice is None:
            return _unknown(account)
        said = "Thank you. The invoice is paid." if "paid" in request.query_params else ""
        return _show(account, request, invoice, Form(), said=said)

    return page


def _pay(account: Account) -> Endpoint:
    async def pay(request: Request) -> Response:
        invoice = _find(account, request)
        if invoice is None:
            return _unknown(account)
        try:
            form = await read_form(request, page_secret(request, form_key(request)))
        except FormRefused:
            problem = "This form is out of date. Nothing was paid."
            return _show(account, request, invoice, Form(), problem=problem, status=403)
        if invoice["status"] != "open":
            return go(request.url.path)
        problem, card = "", read_card(form)
        if not form.problems:
            try:
                _charge(account, invoice, card)
                return go(f"{request.url.path}?paid")
            except StripeError as error:
                problem = note_refusal(form, error)
        # A declined payment is written down at the invoice, too.
        invoice = _find(account, request) or invoice
        return _show(account, request, invoice, without_cvc(form), problem=problem, status=422)

    return pay


def _pdf(account: Account) -> Endpoint:
    async def pdf(request: Request) -> Response:
        invoice = _find(account, request)
        if invoice is None:
            return _unknown(account)
        name = invoice_name(invoice)
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        disposition = (
            f'attachment; filename="Invoice-{plain}.pdf"; '
            f"filename*=UTF-8''Invoice-{quote(name, safe='')}.pdf"
        )
        return Response(
            draw(paper_of(invoice, _formats(account, request, invoice))),
            media_type="application/pdf",
            headers={**headers(), "Content-Disposition": disposition},
        )

    return pdf


def _find(account: Account, request: Request) -> Json | None:
    """Return the invoice of a link, with all its lines; the API would answer the first ten."""
    return account.by_secret("invoice", request.path_params["token"])


def _charge(account: Account, invoice: Json, card: Json) -> None:
    """Pay the invoice with a card, which the customer keeps when it is good."""
    added = account.call("post", "/v1/payment_methods", {"type": "card", "card": card})
    path = f"/v1/payment_methods/{added['id']}/attach"
    account.call("post", path, {"customer": invoice["customer"]})
    try:
        account.call("post", f"/v1/invoices/{invoice['id']}/pay", {"payment_method": added["id"]})
    except StripeError:
        account.call("post", f"/v1/payment_methods/{added['id']}/detach")
        raise


def _show(
    account: Account,
    request: Request,
    invoice: Json,
    form: Form,
    *,
    said: str = "",
    problem: str = "",
    status: int = 200,
) -> Response:
    formats, key = _formats(account, request, invoice), form_key(request)
    is_open = invoice["status"] == "open"
    due = formats.money(invoice["amount_remaining"], invoice["currency"])
    total = formats.money(invoice["total"], invoice["currency"])
    page = show(
        "invoice.html",
        status=status,
        seller=account.name,
        name=invoice_name(invoice),
        said=said if invoice["status"] == "paid" else "",
        problem=problem,
        problems=bool(problem or form.problems),
        headline=f"{due} due" if is_open else total,
        status_badge=INVOICE_STATUS[invoice["status"]],
        amount_due=due,
        pdf=invoice["invoice_pdf"],
        action=request.url.path,
        form=form if is_open else None,
        form_token=form_token(page_secret(request, key)),
        facts=_facts(invoice, formats),
        lines=[_line(line, formats) for line in invoice["lines"]["data"]],
        totals=total_rows(invoice, formats),
    )
    keep_form_key(request, page, key)
    return page


def _facts(invoice: Json, formats: Formats) -> list[tuple[str, str]]:
    paid_at = invoice["status_transitions"]["paid_at"]
    address = address_lines(invoice["customer_address"], formats)
    facts = [
        ("To", invoice["customer_name"] or ""),
        ("E-mail", invoice["customer_email"] or ""),
        ("Address", ", ".join(address)),
        ("Tax ID", ", ".join(one["value"] for one in invoice["customer_tax_ids"] or [])),
        ("Issued", formats.date(invoice["effective_at"] or invoice["created"])),
        ("Due", formats.date(invoice["due_date"]) if invoice["due_date"] else ""),
        ("Paid", formats.date(paid_at) if paid_at else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _line(line: Json, formats: Formats) -> Json:
    return {
        "description": line["description"] or "Item",
        "period": period_words(line, formats),
        "quantity": line["quantity"] or "",
        "amount": formats.money(line["amount"], line["currency"]),
    }


def _formats(account: Account, request: Request, invoice: Json) -> Formats:
    customer = account.store.get(invoice["customer"]) or {}
    preferred = customer.get("preferred_locales") or []
    return choose_formats(None, preferred, request.headers.get("accept-language", ""))


def _unknown(account: Account) -> Response:
    return show(
        "message.html",
        status=404,
        seller=account.name,
        heading="There is no such invoice",
        text="Check that the link is complete.",
        link=None,
    )
