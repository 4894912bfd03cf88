"""Test cards: which numbers there are, and how each behaves. They are Stripe's, for everybody knows them."""

import re
from dataclasses import dataclass
from typing import Literal

VISA, MASTERCARD, AMEX = "4242424242424242", "5555555555554444", "378282246310005"
FAILS_WHEN_CHARGED = "4000000000000341"
DECLINED = "4000000000000002"
NO_FUNDS = "4000000000009995"

BRANDS = [("4", "visa"), ("5", "mastercard"), ("2", "mastercard"), ("34", "amex"), ("37", "amex")]

Part = Literal["number", "exp_month", "exp_year", "cvc"]


class CardProblem(Exception):
    """A card that is not accepted; `str(problem)` is a sentence for its holder.

    Attributes:
        code: Such as `incorrect_number`, `invalid_expiry_year` or `card_declined`.
        part: What of the card is wrong; None when it was declined.
        decline_code: Why it was declined.
    """

    def __init__(
        self, message: str, code: str, part: Part | None = None, decline_code: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.part = part
        self.decline_code = decline_code


@dataclass(frozen=True)
class TestCard:
    """A card that could be one: its number is digits only, its year has four."""

    number: str
    exp_month: int
    exp_year: int


def read(
    number: str, month: int, year: int, cvc: str | None, now_year: int, now_month: int
) -> TestCard:
    """Return a card that was typed in, checked as an issuer would.

    Args:
        number: Digits, with blanks or hyphens between them.
        month: 1 to 12.
        year: Two or four digits.
        cvc: The security code; not checked when None.
        now_year: The current year, four digits.
        now_month: The current month, 1 to 12.

    Raises:
        CardProblem: It names the wrong part.
    """
    number = re.sub(r"[ -]", "", number)
    if not number.isdecimal() or not 12 <= len(number) <= 19 or not _luhn(number):
        raise CardProblem("Your card number is incorrect.", "incorrect_number", "number")
    year += 2000 if year < 100 else 0
    late = year == now_year and month < now_month
    if not 1 <= month <= 12:
        raise CardProblem(
            "Your card's expiration month is invalid.", "invalid_expiry_month", "exp_month"
        )
    if year < now_year or year > now_year + 50:
        raise CardProblem(
            "Your card's expiration year is invalid.", "invalid_expiry_year", "exp_year"
        )
    if late:
        raise CardProblem(
            "Your card's expiration month is invalid.", "invalid_expiry_month", "exp_month"
        )
    digits = 4 if number.startswith(("34", "37")) else 3
    if cvc is not None and not re.fullmatch(rf"\d{{{digits}}}", cvc, re.ASCII):
        raise CardProblem("Your card's security code is invalid.", "invalid_cvc", "cvc")
    return TestCard(number, month, year)


def brand_of(number: str) -> str:
    """Return `visa` and the like; `unknown` for other numbers."""
    return next((name for start, name in BRANDS if number.startswith(start)), "unknown")


def refuse_to_attach(number: str) -> None:
    """Refuse a card whose issuer declines even its verification.

    Raises:
        CardProblem: `card_declined`.
    """
    if number in (DECLINED, NO_FUNDS):
        raise declined(number)


def charge(number: str) -> None:
    """Charge a card.

    Raises:
        CardProblem: `card_declined`.
    """
    if number in (DECLINED, NO_FUNDS, FAILS_WHEN_CHARGED):
        raise declined(number)


def declined(number: str) -> CardProblem:
    """Return the problem of a declined card."""
    if number == NO_FUNDS:
        return CardProblem(
            "Your card has insufficient funds.",
            "card_declined",
            decline_code="insufficient_funds",
        )
    return CardProblem("Your card was declined.", "card_declined", decline_code="generic_decline")


def _luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(map(int, reversed(number))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
