"""Say amounts, dates and intervals the way the reader of a hosted page writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, get_currency_precision
from starlette.requests import Request

from billing_ui.sandbox.core import currencies


@dataclass(frozen=True)
class Formats:
    """Amounts, dates and intervals in one locale."""

    locale: Locale

    def money(self, minor: int, currency: str, *, decimal: str | None = None) -> str:
        """Return an amount of `minor` units of `currency`, such as "$480.00".

        Args:
            minor: the amount in the currency's minor units, as the API counts them.
            currency: an ISO 4217 code in either case.
            decimal: minor units with a fraction (a price's `unit_amount_decimal`), used instead
                of `minor` when it has one.
        """
        code = currency.upper()
        digits = currencies.digits(currency)
        amount = Decimal(decimal if decimal is not None else minor).scaleb(-digits)
        # A tenth of a cent must not be rounded away: such a price is shown with all its digits.
        round_ = amount == round(amount, get_currency_precision(code))
        text = format_currency(
            amount, code, locale=self.locale, currency_digits=round_, decimal_quantization=round_
        )
        return text.replace("-", "\N{MINUS SIGN}")

    def date(self, timestamp: int) -> str:
        """Return the long UTC date of a Unix timestamp, such as "January 3, 2027"."""
        return format_date(datetime.fromtimestamp(timestamp, UTC), "long", locale=self.locale)

    def country(self, code: str) -> str:
        """Return a country's name by its ISO 3166 code; the code itself when it is unknown."""
        return str(self.locale.territories.get(code, code))

    def countries(self) -> list[tuple[str, str]]:
        """Return (code, name) of all countries, in the order of their names."""
        names = [
            (code, str(name))
            for code, name in self.locale.territories.items()
            if len(code) == 2 and code.isalpha() and code not in _NOT_COUNTRIES
        ]
        return sorted(names, key=lambda pair: pair[1].casefold())


# CLDR lists these beside the countries: regions, pseudo-locales and the unknown one.
_NOT_COUNTRIES = frozenset({"EU", "EZ", "UN", "XA", "XB", "ZZ", "QO"})


def per_interval(recurring: dict[str, Any]) -> str:
    """Return a price's rhythm in words: "per month", or "every 3 months"."""
    count, interval = int(recurring["interval_count"]), recurring["interval"]
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"


def counted(number: int, noun: str) -> str:
    """Return "1 seat" or "24 seats"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def formats_for(
    request: Request, wish: str | None = None, preferred: Sequence[str] = ()
) -> Formats:
    """Return the formats for who sent a request; see `choose_formats`."""
    return choose_formats(wish, preferred, request.headers.get("accept-language", ""))


def choose_formats(wish: str | None, preferred: Sequence[str], accept_language: str) -> Formats:
    """Return the formats for one reader.

    Args:
        wish: the locale set on the session, if any; "auto" counts as none.
        preferred: the customer's `preferred_locales`.
        accept_language: the browser's header, "" when it sent none.
    """
    chosen = [wish] if wish and wish != "auto" else []
    for tag in (*chosen, *preferred, *_accepted_tags(accept_language), "en-US"):
        locale = _locale(tag)
        if locale:
            return Formats(locale)
    raise AssertionError("en-US is always known")


def _accepted_tags(header: str) -> list[str]:
    """Return the language tags of an Accept-Language header, the most wanted first."""
    weighted: list[tuple[float, str]] = []
    for part in header.split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if tag and tag != "*" and weight > 0:
            weighted.append((weight, tag))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


@lru_cache(maxsize=256)
def _locale(tag: str) -> Locale | None:
    """Return the locale of a language tag, or of its language alone; None when unknown."""
    # Bare "en" is what hosted pages usually show as American English.
    for name in ("en-US" if tag == "en" else tag, tag.partition("-")[0]):
        try:
            return Locale.parse(name, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return None
