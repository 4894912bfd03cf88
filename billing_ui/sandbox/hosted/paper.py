"""Draw an invoice as a PDF: A4, 20 mm margins, as many pages as its lines need."""

import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer, Table

from billing_ui.sandbox.stripe.hosted.formats import Formats
from billing_ui.sandbox.stripe.hosted.words import (
    INVOICE_STATUS,
    address_lines,
    invoice_name,
    is_proration,
    period_words,
)

_FONTS = Path(__file__).resolve().parents[2] / "fonts"
_INK, _QUIET, _LINE = HexColor("#1c2024"), HexColor("#60646c"), HexColor("#d9d9e0")
_MARGIN = 20 * mm
_WIDTH = A4[0] - 2 * _MARGIN


def draw_invoice(invoice: dict[str, Any], formats: Formats) -> bytes:
    """Return the PDF of an invoice; the same invoice and locale give the same bytes.

    DejaVu Sans draws Latin, Greek, Cyrillic, Armenian, Georgian and most symbols. Letters it does
    not have (Chinese, Japanese, Korean and others) appear as empty boxes, so that nobody takes a
    name with letters missing for the whole name; the invoice's web page shows them.

    Args:
        invoice: a Stripe invoice as the API answers it.
        formats: how its reader writes amounts and dates.
    """
    _register_fonts()
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=f"Invoice {invoice_name(invoice)}",
        author=invoice["account_name"],
        lang="en",
        invariant=1,
    )
    document.build(list(_story(invoice, formats)), onFirstPage=_footer, onLaterPages=_footer)
    return out.getvalue()


def _story(invoice: dict[str, Any], formats: Formats) -> Iterable[Flowable]:
    status = INVOICE_STATUS[invoice["status"]].word
    money = _money_of(invoice, formats)
    yield _columns(
        [_text(invoice["account_name"], "title")], [_text("Invoice", "title", right=True)], 0.65
    )
    yield Spacer(0, 8 * mm)
    yield _facts(invoice, formats, status)
    yield Spacer(0, 8 * mm)
    yield _columns(
        [_text("From", "label"), _text(invoice["account_name"], "bold")],
        [_text("Bill to", "label"), *_customer(invoice, formats)],
        0.5,
    )
    yield Spacer(0, 8 * mm)
    if invoice["status"] == "open":
        headline = f"{money(invoice['amount_remaining'])} due"
    else:
        headline = f"{money(invoice['total'])} \N{MIDDLE DOT} {status}"
    yield _table([[_text(headline, "large")]], [_WIDTH])
    yield Spacer(0, 6 * mm)
    yield _lines(invoice, formats)
    yield Spacer(0, 3 * mm)
    yield _totals(invoice, formats)


def _facts(invoice: dict[str, Any], formats: Formats, status: str) -> Table:
    paid_at = invoice["status_transitions"]["paid_at"]
    facts = [
        ("Invoice number", invoice_name(invoice)),
        ("Date of issue", formats.date(invoice["effective_at"] or invoice["created"])),
        ("Date due", formats.date(invoice["due_date"]) if invoice["due_date"] else ""),
        ("Date paid", formats.date(paid_at) if paid_at else ""),
        ("Status", status),
    ]
    rows = [[_text(name, "label"), _text(value)] for name, value in facts if value]
    return _table(rows, [40 * mm, _WIDTH - 40 * mm])


def _customer(invoice: dict[str, Any], formats: Formats) -> list[Flowable]:
    texts = [
        *address_lines(invoice["customer_address"], formats),
        invoice["customer_email"],
        invoice["customer_phone"],
        *(tax_id["value"] for tax_id in invoice["customer_tax_ids"] or []),
    ]
    name = invoice["customer_name"] or invoice["customer_email"] or invoice["customer"]
    rest = [_text(text) for text in texts if text and text != name]
    return [_text(name, "bold"), *rest]


def _lines(invoice: dict[str, Any], formats: Formats) -> Table:
    currency, money = invoice["currency"], _money_of(invoice, formats)
    head = ("Description", "Quantity", "Unit price", "Amount")
    rows: list[list[Any]] = [
        [_text(name, "label", right=index > 0) for index, name in enumerate(head)]
    ]
    for line in invoice["lines"]["data"]:
        # A part of a period has no unit price that anybody agreed to.
        unit = None if is_proration(line) else (line["pricing"] or {}).get("unit_amount_decimal")
        rows.append(
            [
                [_text(line["description"] or "Item"), _text(period_words(line, formats), "small")],
                _text(str(line["quantity"] or ""), right=True),
                _text(formats.money(0, currency, decimal=unit) if unit else "", right=True),
                _text(money(line["amount"]), right=True),
            ]
        )
    widths = [_WIDTH - 90 * mm, 20 * mm, 35 * mm, 35 * mm]
    # A LongTable breaks over pages and repeats its head there.
    rules: list[Any] = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    return LongTable(rows, colWidths=widths, repeatRows=1, style=[*rules, *_PADDING])


def _totals(invoice: dict[str, Any], formats: Formats) -> Table:
    rows = [
        [_text(""), _text(name, style), _text(amount, style, right=True)]
        for name, amount, style in total_rows(invoice, formats)
    ]
    return _table(rows, [_WIDTH - 95 * mm, 60 * mm, 35 * mm])


def total_rows(invoice: dict[str, Any], formats: Formats) -> list[tuple[str, str, str]]:
    """Return (name, amount, "body" or "bold") of each line below an invoice's items."""
    money = _money_of(invoice, formats)
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


def _money_of(invoice: dict[str, Any], formats: Formats) -> Any:
    return lambda minor: formats.money(minor, invoice["currency"])


def _footer(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont("DejaVuSans", 8)
    canvas.setFillColor(_QUIET)
    canvas.drawString(_MARGIN, 12 * mm, "Sandbox: demo data, no real money moves.")
    canvas.drawRightString(A4[0] - _MARGIN, 12 * mm, f"Page {document.page}")
    canvas.restoreState()


_PADDING: list[Any] = [
    ("LEFTPADDING", (0, 0), (0, -1), 0),
    ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 4),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
]

_SIZES = {
    "title": (16, 20, "DejaVuSans-Bold", _INK),
    "large": (18, 24, "DejaVuSans-Bold", _INK),
    "body": (9.5, 14, "DejaVuSans", _INK),
    "bold": (9.5, 14, "DejaVuSans-Bold", _INK),
    "label": (8.5, 14, "DejaVuSans", _QUIET),
    "small": (8, 12, "DejaVuSans", _QUIET),
}


def _text(text: str, style: str = "body", *, right: bool = False) -> Paragraph:
    size, leading, font, colour = _SIZES[style]
    shape = ParagraphStyle(
        style,
        fontName=font,
        fontSize=size,
        leading=leading,
        textColor=colour,
        alignment=TA_RIGHT if right else 0,
        splitLongWords=1,
    )
    return Paragraph(escape(text), shape)


def _table(rows: list[list[Any]], widths: list[float]) -> Table:
    return Table(rows, colWidths=widths, style=[("VALIGN", (0, 0), (-1, -1), "TOP"), *_TIGHT])


_TIGHT: list[Any] = [
    *_PADDING[:2],
    ("TOPPADDING", (0, 0), (-1, -1), 1),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
]


def _columns(left: list[Flowable], right: list[Flowable], share: float) -> Table:
    return _table([[left, right]], [_WIDTH * share, _WIDTH * (1 - share)])


@cache
def _register_fonts() -> None:
    for name in ("DejaVuSans", "DejaVuSans-Bold"):
        registerFont(TTFont(name, str(_FONTS / f"{name}.ttf")))
    registerFontFamily("DejaVuSans", normal="DejaVuSans", bold="DejaVuSans-Bold")
