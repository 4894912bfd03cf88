"""A Stripe invoice in the words that stand on paper."""

from typing import Any

from billing_ui.sandbox.hosted.formats import Formats
from billing_ui.sandbox.hosted.paper import Paper, PaperLine
from billing_ui.sandbox.hosted.wording import INVOICE_STATUS, address_lines
from billing_ui.sandbox.stripe.hosted.words import invoice_name, is_proration, period_words


def paper_of(invoice: dict[str, Any], formats: Formats) -> Paper:
    """Return what stands on an invoice.

    Args:
        invoice: a Stripe invoice as the API answers it.
        formats: how its reader writes amounts and dates.
    """
    status = INVOICE_STATUS[invoice["status"]].word
    money = _money_of(invoice, formats)
    if invoice["status"] == "open":
        headline = f"{money(invoice['amount_remaining'])} due"
    else:
        headline = f"{money(invoice['total'])} \N{MIDDLE DOT} {status}"
    buyer = invoice["customer_name"] or invoice["customer_email"] or invoice["customer"]
    return Paper(
        name=invoice_name(invoice),
        seller=invoice["account_name"],
        facts=_facts(invoice, formats, status),
        buyer=buyer,
        buyer_lines=[text for text in _buyer_lines(invoice, formats) if text and text != buyer],
        headline=headline,
        lines=[_line(line, invoice, formats) for line in invoice["lines"]["data"]],
        totals=total_rows(invoice, formats),
    )


def _facts(invoice: dict[str, Any], formats: Formats, status: str) -> list[tuple[str, str]]:
    paid_at = invoice["status_transitions"]["paid_at"]
    facts = [
        ("Invoice number", invoice_name(invoice)),
        ("Date of issue", formats.date(invoice["effective_at"] or invoice["created"])),
        ("Date due", formats.date(invoice["due_date"]) if invoice["due_date"] else ""),
        ("Date paid", formats.date(paid_at) if paid_at else ""),
        ("Status", status),
    ]
    return [(name, value) for name, value in facts if value]


def _buyer_lines(invoice: dict[str, Any], formats: Formats) -> list[str | None]:
    return [
        *address_lines(invoice["customer_address"], formats),
        invoice["customer_email"],
        invoice["customer_phone"],
        *(tax_id["value"] for tax_id in invoice["customer_tax_ids"] or []),
    ]


def _line(line: dict[str, Any], invoice: dict[str, Any], formats: Formats) -> PaperLine:
    currency = invoice["currency"]
    # A part of a period has no unit price that anybody agreed to.
    unit = None if is_proration(line) else (line["pricing"] or {}).get("unit_amount_decimal")
    return PaperLine(
        description=line["description"] or "Item",
        period=period_words(line, formats),
        quantity=str(line["quantity"] or ""),
        unit_price=formats.money(0, currency, decimal=unit) if unit else "",
        amount=formats.money(line["amount"], currency),
    )


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
