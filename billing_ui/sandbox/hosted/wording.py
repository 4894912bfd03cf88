"""The words and badges that the hosted pages of all providers share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing_ui.sandbox.hosted.formats import Formats, counted


@dataclass(frozen=True)
class Badge:
    """A status badge: what it says, its colour and its icon."""

    word: str
    colour: str
    icon: str


INVOICE_STATUS = {
    "refunded": Badge("Refunded", "gray", "minus"),
    "paid": Badge("Paid", "green", "check"),
    "open": Badge("Open", "amber", "clock"),
    "uncollectible": Badge("Uncollectible", "red", "warning"),
    "void": Badge("Void", "gray", "minus"),
    "draft": Badge("Draft", "gray", "minus"),
}

CANCELING = Badge("Canceling", "amber", "calendar")

_ENDED = Badge("Ended", "gray", "minus")
SUBSCRIPTION_STATUS = {
    "active": Badge("Active", "green", "check"),
    "trialing": Badge("Trialing", "blue", "clock"),
    "past_due": Badge("Past due", "red", "warning"),
    "unpaid": Badge("Unpaid", "red", "warning"),
    "incomplete": Badge("Incomplete", "amber", "warning"),
    "paused": Badge("Paused", "gray", "pause"),
    **dict.fromkeys(("incomplete_expired", "canceled", "ended"), _ENDED),
}

# What the reasons of a portal configuration say on the page (its `cancellation_reason.options`).
CANCELLATION_REASONS = {
    "too_expensive": "It’s too expensive",
    "missing_features": "Some features are missing",
    "switched_service": "I’m switching to another service",
    "unused": "I don’t use it enough",
    "customer_service": "Customer service was not what I expected",
    "low_quality": "Quality was not what I expected",
    "too_complex": "It’s too complex",
    "other": "Another reason",
}

_BRANDS = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "jcb": "JCB",
    "unionpay": "UnionPay",
}


@dataclass(frozen=True)
class PlanWords:
    """One subscription as the portal shows it."""

    id: str
    name: str
    status: Badge
    amount: str
    rhythm: str
    dates: str


def brand_words(brand: str, last4: str) -> str:
    """Return a card in words, such as "Visa ending in 4242"."""
    return f"{_BRANDS.get(brand, brand.capitalize())} ending in {last4}"


def expiry_words(month: int, year: int) -> str:
    """Return "Expires 01/2027"."""
    return f"Expires {month:02}/{year}"


def days_between(start: int, end: int, formats: Formats) -> str:
    """Return the time between two Unix timestamps, one date when it is a single day."""
    return " – ".join(dict.fromkeys(formats.date(moment) for moment in (start, end)))


def address_lines(address: Mapping[str, Any] | None, formats: Formats) -> list[str]:
    """Return a postal address as lines, the country written out."""
    if not address:
        return []
    town = " ".join(
        part for part in (address["postal_code"], address["city"], address["state"]) if part
    )
    country = formats.country(address["country"]) if address["country"] else ""
    return [part for part in (address["line1"], address["line2"], town, country) if part]


def quantity_words(unit: str | None, quantity: int, each: str) -> str:
    """Return "24 seats at $20.00", or "24 × $20.00" where the product doesn't name its unit."""
    return f"{counted(quantity, unit)} at {each}" if unit else f"{quantity} × {each}"
