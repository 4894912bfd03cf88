"""Stripe's test cards: which numbers and tokens there are, and how each behaves."""

import hashlib
import re
from typing import Any

from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.validator import Params

VISA, MASTERCARD, AMEX = "4242424242424242", "5555555555554444", "378282246310005"
FAILS_WHEN_CHARGED = "4000000000000341"
DECLINED = "4000000000000002"
NO_FUNDS = "4000000000009995"

NAMES = {
    "visa": VISA,
    "mastercard": MASTERCARD,
    "amex": AMEX,
    "visa_debit": "4000056655665556",
    "discover": "6011111111111117",
    "chargeCustomerFail": FAILS_WHEN_CHARGED,
    "chargeDeclined": DECLINED,
    "visa_chargeDeclined": DECLINED,
    "chargeDeclinedInsufficientFunds": NO_FUNDS,
    "visa_chargeDeclinedInsufficientFunds": NO_FUNDS,
}
"""`tok_NAME` and `pm_card_NAME` -> card number, see https://docs.stripe.com/testing."""

BRANDS = [("4", "visa"), ("5", "mastercard"), ("2", "mastercard"), ("34", "amex"), ("37", "amex")]


def number_of(name: str, param: str) -> str:
    """Return the card number behind `tok_visa`, `pm_card_visa` and the like.

    Raises:
        StripeError: There is no such token.
    """
    kind, prefix = ("token", "tok_") if name.startswith("tok_") else ("PaymentMethod", "pm_card_")
    number = NAMES.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
    if number is None:
        raise StripeError.no_such(kind, name, param)
    return number


def read(card: Params, now_year: int, now_month: int) -> Params:
    """Return number, expiry and CVC of a `card` parameter, checked as an issuer would.

    Args:
        card: `{"token": …}` or `{"number", "exp_month", "exp_year", "cvc"}`.
        now_year: The current year, four digits.
        now_month: The current month, 1 to 12.

    Raises:
        StripeError: A `card_error` naming the wrong field.
    """
    if card.get("token"):
        number = number_of(card["token"], "card[token]")
        return {"number": number, "exp_month": 12, "exp_year": now_year + 2}
    for name in ("number", "exp_month", "exp_year"):
        if name not in card:
            raise StripeError.missing(f"card[{name}]")
    number = re.sub(r"[ -]", "", card["number"])
    if not number.isdecimal() or not 12 <= len(number) <= 19 or not _luhn(number):
        raise StripeError.card("Your card number is incorrect.", "incorrect_number", param="number")
    month, year = card["exp_month"], card["exp_year"]
    year += 2000 if year < 100 else 0
    if not 1 <= month <= 12:
        raise StripeError.card(
            "Your card's expiration month is invalid.", "invalid_expiry_month", param="exp_month"
        )
    if year < now_year or year > now_year + 50:
        raise StripeError.card(
            "Your card's expiration year is invalid.", "invalid_expiry_year", param="exp_year"
        )
    if year == now_year and month < now_month:
        raise StripeError.card(
            "Your card's expiration month is invalid.", "invalid_expiry_month", param="exp_month"
        )
    digits = 4 if number.startswith(("34", "37")) else 3
    if "cvc" in card and not re.fullmatch(rf"\d{{{digits}}}", card["cvc"], re.ASCII):
        raise StripeError.card("Your card's security code is invalid.", "invalid_cvc", param="cvc")
    return {"number": number, "exp_month": month, "exp_year": year}


def describe(card: Params) -> dict[str, Any]:
    """Return the `card` hash of a payment method for what `read` returned."""
    number = card["number"]
    brand = next((name for start, name in BRANDS if number.startswith(start)), "unknown")
    return {
        "brand": brand,
        "checks": {"cvc_check": "pass"},
        "country": "US",
        "display_brand": brand if brand != "amex" else "american_express",
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "fingerprint": hashlib.sha256(number.encode()).hexdigest()[:16],
        "funding": "debit" if number == NAMES["visa_debit"] else "credit",
        "last4": number[-4:],
        "networks": {"available": [brand]},
        "three_d_secure_usage": {"supported": True},
    }


def refuse_to_attach(number: str) -> None:
    """Refuse a card whose issuer declines even its verification.

    Raises:
        StripeError: `card_declined`.
    """
    if number in (DECLINED, NO_FUNDS):
        raise declined(number)


def charge(number: str) -> None:
    """Charge a card.

    Raises:
        StripeError: `card_declined`.
    """
    if number in (DECLINED, NO_FUNDS, FAILS_WHEN_CHARGED):
        raise declined(number)


def declined(number: str) -> StripeError:
    """Return the error a declined card gives."""
    if number == NO_FUNDS:
        return StripeError.card(
            "Your card has insufficient funds.",
            "card_declined",
            decline_code="insufficient_funds",
        )
    return StripeError.card(
        "Your card was declined.", "card_declined", decline_code="generic_decline"
    )


def _luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(map(int, reversed(number))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
