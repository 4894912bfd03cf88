"""Hosted invoices: the page, paying it, and the PDF."""

import io
import re
from typing import Any

import httpx
import pytest
from pypdf import PageObject, PdfReader

from tests.sandbox.browser import Browser
from tests.sandbox.shop import Shop
from tests.sandbox.test_portal import GOOD_CARD

A4 = (595, 841)
MARGIN = 56  # 20 mm in points, rounded down


def open_invoice(shop: Shop, customer: str, amount: int = 4800, description: str = "Work") -> str:
    """Return the id of a new open invoice with one line."""
    invoice = shop.v1.invoices.create({"customer": customer, "auto_advance": False}).id
    assert invoice
    shop.v1.invoice_items.create(
        {
            "customer": customer,
            "invoice": invoice,
            "currency": "usd",
            "amount": amount,
            "description": description,
        }
    )
    shop.v1.invoices.finalize_invoice(invoice)
    return invoice


def pdf_of(shop: Shop, invoice: str) -> httpx.Response:
    """Return the answer of an invoice's PDF link."""
    url = shop.v1.invoices.retrieve(invoice).invoice_pdf
    assert url
    return httpx.get(url, trust_env=False)


def text_of(response: httpx.Response) -> str:
    """Return the text of all pages of a PDF."""
    pages = PdfReader(io.BytesIO(response.content)).pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))


def starts_of_text(page: PageObject) -> list[float]:
    """Return how far from the left, in points, each text of a PDF page begins."""
    places: list[float] = []

    def note(text: str, cm: Any, tm: list[float], font: Any, size: Any) -> None:
        if text.strip():
            places.append(tm[4] + cm[4])

    page.extract_text(visitor_text=note)
    return places


def test_the_pdf_says_who_what_when_and_how_much(shop: Shop) -> None:
    address = {"line1": "12 Harbour Street", "city": "Dublin", "country": "IE"}
    customer = shop.customer(
        address=address, tax_id_data=[{"type": "eu_vat", "value": "IE1234567FA"}]
    )
    subscription = shop.subscribe(customer, "Team", 24)
    invoice = shop.v1.invoices.retrieve(str(subscription.latest_invoice))
    response = pdf_of(shop, str(invoice.id))
    assert response.headers["content-type"] == "application/pdf"
    assert f'filename="Invoice-{invoice.number}.pdf"' in response.headers["content-disposition"]
    assert response.headers["cache-control"] == "no-store"
    text = text_of(response)
    for expected in (
        str(invoice.number),
        "Acme Cloud",
        "Northwind Labs",
        "12 Harbour Street",
        "Ireland",
        "IE1234567FA",
        "24 × Team (at $20.00 / month)",
        "Subtotal $480.00",
        "Tax $0.00",
        "Total $480.00",
        "Status Paid",
    ):
        assert expected in text, expected


def test_the_pdf_is_a4_with_20_mm_margins(shop: Shop) -> None:
    invoice = open_invoice(shop, shop.customer(), description="Supercalifragilistic" * 40)
    for page in PdfReader(io.BytesIO(pdf_of(shop, invoice).content)).pages:
        assert (int(page.mediabox.width), int(page.mediabox.height)) == A4
        places = starts_of_text(page)
        assert min(places) >= MARGIN
        assert max(places) < A4[0] - MARGIN


def test_long_texts_wrap_and_many_lines_make_more_pages(shop: Shop) -> None:
    customer = shop.customer(name="Long " * 40)
    invoice = shop.v1.invoices.create({"customer": customer}).id
    assert invoice
    for number in range(60):
        shop.v1.invoice_items.create(
            {
                "customer": customer,
                "invoice": invoice,
                "currency": "usd",
                "amount": 100,
                "description": f"Line {number} " + "word " * 30,
            }
        )
    shop.v1.invoices.finalize_invoice(invoice)
    response = pdf_of(shop, invoice)
    assert len(PdfReader(io.BytesIO(response.content)).pages) > 2
    text = text_of(response)
    assert all(f"Line {number} " in text for number in range(60))
    assert text.count("Description Quantity Unit price Amount") > 2


@pytest.mark.parametrize("name", ["Ελληνική Εταιρεία", "ООО «Ёжик»", "Łódź & <Söhne>", "Ազգային"])
def test_names_in_other_alphabets_are_drawn(shop: Shop, name: str) -> None:
    invoice = open_invoice(shop, shop.customer(name=name))
    assert name in text_of(pdf_of(shop, invoice))


def test_letters_without_a_glyph_do_not_break_the_pdf(shop: Shop) -> None:
    invoice = open_invoice(shop, shop.customer(name="株式会社 Northwind 🙂"))
    assert "Northwind" in text_of(pdf_of(shop, invoice))


def test_the_same_invoice_gives_the_same_bytes(shop: Shop) -> None:
    invoice = open_invoice(shop, shop.customer())
    assert pdf_of(shop, invoice).content == pdf_of(shop, invoice).content


def test_an_open_invoice_is_paid_by_card(shop: Shop) -> None:
    invoice = open_invoice(shop, shop.customer())
    url = shop.v1.invoices.retrieve(invoice).hosted_invoice_url
    assert url
    page = Browser().open(url)
    assert "$48.00 due Open" in page.text
    refused = page.press("Pay $48.00", {**GOOD_CARD, "Card number": "4000000000000341"})
    assert (refused.status, refused.role("alert")) == (422, "Your card was declined.")
    paid = refused.press("Pay $48.00", GOOD_CARD)
    assert paid.role("status") == "Thank you. The invoice is paid."
    assert "Card number" not in paid.fields
    assert shop.v1.invoices.retrieve(invoice).status == "paid"
    assert "Date paid" in text_of(pdf_of(shop, invoice))


def test_a_declined_card_is_not_kept(shop: Shop) -> None:
    customer = shop.customer("")
    url = shop.v1.invoices.retrieve(open_invoice(shop, customer)).hosted_invoice_url
    assert url
    Browser().open(url).press("Pay $48.00", {**GOOD_CARD, "Card number": "4000000000000341"})
    assert shop.v1.customers.payment_methods.list(customer).data == []


def test_a_payment_form_without_its_token_pays_nothing(shop: Shop) -> None:
    invoice = open_invoice(shop, shop.customer())
    url = shop.v1.invoices.retrieve(invoice).hosted_invoice_url
    assert url
    method, action, values = Browser().open(url).form("Pay $48.00")
    forged = Browser().send(method, action, {**values, "number": "4242424242424242"})
    assert forged.status == 403
    assert shop.v1.invoices.retrieve(invoice).status == "open"


@pytest.mark.parametrize("path", ["/i/x", "/i/in_1.x", "/i/x/pdf", "/i/%2e%2e/pdf"])
def test_an_invented_invoice_is_not_found(shop: Shop, path: str) -> None:
    assert httpx.get(shop.origin + path, trust_env=False).status_code == 404
