"""Currencies as Stripe takes them, and how it writes an amount."""

from billing_ui.sandbox.core.currencies import SUPPORTED, digits
from billing_ui.sandbox.stripe.errors import StripeError

SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def read(name: str, param: str) -> str:
    """Return a currency's code in lower case.

    Args:
        name: As sent.
        param: The parameter it was sent in.

    Raises:
        StripeError: There is no such currency.
    """
    code = name.lower()
    if code not in SUPPORTED:
        raise StripeError(
            f"Invalid currency: {code}. Stripe currently supports these currencies: "
            + ", ".join(sorted(SUPPORTED)),
            param=param,
        )
    return code


def money(amount: int, currency: str) -> str:
    """Return an amount in minor units as Stripe writes it in an invoice line."""
    places = digits(currency)
    number = f"{abs(amount) / 10**places:,.{places}f}"
    sign = "-" if amount < 0 else ""
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{number} {currency.upper()}"
