"""Draw an invoice as a PDF: A4, 20 mm margins, as many pages as its lines need."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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

_FONTS = Path(__file__).resolve().parents[1] / "fonts"
_INK, _QUIET, _LINE = HexColor("#1c2024"), HexColor("#60646c"), HexColor("#d9d9e0")
_MARGIN = 20 * mm
_WIDTH = A4[0] - 2 * _MARGIN


@dataclass(frozen=True)
class PaperLine:
    """One thing an invoice is for; amounts are in words, "" for what there is none of."""

    description: str
    period: str
    quantity: str
    unit_price: str
    amount: str


@dataclass(frozen=True)
class Paper:
    """What stands on an invoice, all of it in words.

    Attributes:
        name: Its number, which is its title.
        seller: Whose it is.
        facts: Names and values, such as ("Date of issue", "January 3, 2027").
        buyer: The buyer's name.
        buyer_lines: Address, e-mail and the like.
        headline: What it comes to and how it stands.
        lines: What it is for.
        totals: Name, amount, and "body" or "bold".
    """

    name: str
    seller: str
    facts: Sequence[tuple[str, str]]
    buyer: str
    buyer_lines: Sequence[str]
    headline: str
    lines: Sequence[PaperLine]
    totals: Sequence[tuple[str, str, str]]


def draw(paper: Paper) -> bytes:
    """Return an invoice as a PDF; the same words give the same bytes.

    DejaVu Sans draws Latin, Greek, Cyrillic, Armenian, Georgian and most symbols. Letters it does
    not have (Chinese, Japanese, Korean and others) appear as empty boxes, so that nobody takes a
    name with letters missing for the whole name; the invoice's web page shows them.
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
        title=f"Invoice {paper.name}",
        author=paper.seller,
        lang="en",
        invariant=1,
    )
    document.build(list(_story(paper)), onFirstPage=_footer, onLaterPages=_footer)
    return out.getvalue()


def _story(paper: Paper) -> Iterable[Flowable]:
    yield _columns([_text(paper.seller, "title")], [_text("Invoice", "title", right=True)], 0.65)
    yield Spacer(0, 8 * mm)
    facts = [[_text(name, "label"), _text(value)] for name, value in paper.facts]
    yield _table(facts, [40 * mm, _WIDTH - 40 * mm])
    yield Spacer(0, 8 * mm)
    yield _columns(
        [_text("From", "label"), _text(paper.seller, "bold")],
        [
            _text("Bill to", "label"),
            _text(paper.buyer, "bold"),
            *(_text(line) for line in paper.buyer_lines),
        ],
        0.5,
    )
    yield Spacer(0, 8 * mm)
    yield _table([[_text(paper.headline, "large")]], [_WIDTH])
    yield Spacer(0, 6 * mm)
    yield _lines(paper)
    yield Spacer(0, 3 * mm)
    totals = [
        [_text(""), _text(name, style), _text(amount, style, right=True)]
        for name, amount, style in paper.totals
    ]
    yield _table(totals, [_WIDTH - 95 * mm, 60 * mm, 35 * mm])


def _lines(paper: Paper) -> Table:
    head = ("Description", "Quantity", "Unit price", "Amount")
    rows: list[list[Any]] = [
        [_text(name, "label", right=index > 0) for index, name in enumerate(head)]
    ]
    for line in paper.lines:
        rows.append(
            [
                [_text(line.description), _text(line.period, "small")],
                _text(line.quantity, right=True),
                _text(line.unit_price, right=True),
                _text(line.amount, right=True),
            ]
        )
    widths = [_WIDTH - 90 * mm, 20 * mm, 35 * mm, 35 * mm]
    # A LongTable breaks over pages and repeats its head there.
    rules: list[Any] = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    return LongTable(rows, colWidths=widths, repeatRows=1, style=[*rules, *_PADDING])


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
