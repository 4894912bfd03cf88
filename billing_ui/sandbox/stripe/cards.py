"""Stripe's test cards: which numbers and tokens there are, and how each behaves."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from billing_ui.sandbox.core import cards
from billing_ui.sandbox.core.cards import (
    AMEX,
    DECLINED,
    FAILS_WHEN_CHARGED,
    MASTERCARD,
    NO_FUNDS,
    VISA,
)
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.validator import Params

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
    with _as_stripe_says_it():
        issued = cards.read(
            card["number"],
            card["exp_month"],
            card["exp_year"],
            card.get("cvc"),
            now_year,
            now_month,
        )
    return {"number": issued.number, "exp_month": issued.exp_month, "exp_year": issued.exp_year}


def describe(card: Params) -> dict[str, Any]:
    """Return the `card` hash of a payment method for what `read` returned."""
    number = card["number"]
    brand = cards.brand_of(number)
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
    with _as_stripe_says_it():
        cards.refuse_to_attach(number)


def charge(number: str) -> None:
    """Charge a card.

    Raises:
        StripeError: `card_declined`.
    """
    with _as_stripe_says_it():
        cards.charge(number)


def declined(number: str) -> StripeError:
    """Return the error a declined card gives."""
    return _error(cards.declined(number))


@contextmanager
def _as_stripe_says_it() -> Iterator[None]:
    try:
        yield
    except cards.CardProblem as problem:
        raise _error(problem) from None


def _error(problem: cards.CardProblem) -> StripeError:
    return StripeError.card(
        str(problem), problem.code, param=problem.part, decline_code=problem.decline_code
    )
