"""Money, dates and plurals in the reader's locale and the operator's time zone."""

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError, localedata
from babel.dates import (
    format_date,
    format_datetime,
    format_interval,
    format_skeleton,
    format_time,
    format_timedelta,
    get_month_names,
)
from babel.numbers import (
    format_compact_currency,
    format_currency,
    format_decimal,
    get_currency_name,
    get_currency_precision,
)

DEFAULT_LOCALE = "en_US"

_WORTH_SHORTENING = 10_000

_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"

_WHOLE = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD JOD KWD OMR TND"
_DECIMALS = dict.fromkeys(_WHOLE.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3)
"""How many decimals an amount on the wire has, where not two (https://docs.stripe.com/currencies).

Not how many people write: Icelandic krónur are counted in hundredths and written whole.
"""


def to_major(minor: int, currency: str) -> Decimal:
    """Return `minor` units of `currency` (ISO code, any case) in major units: 2000 usd is 20.00, 2000 jpy is 2000."""
    return Decimal(minor).scaleb(-_DECIMALS.get(currency.upper(), 2))


@dataclass(frozen=True)
class Reader:
    """Who reads: the locale and time zone everything is shown in."""

    locale: Locale
    zone: ZoneInfo

    @property
    def language_tag(self) -> str:
        """The locale as an IETF tag, such as "en-US", for `lang` attributes and providers."""
        return str(self.locale).replace("_", "-")

    def money(self, minor: int, currency: str) -> str:
        """Return an amount with the currency's own digits and a true minus sign, such as "$20.00"."""
        code = currency.upper()
        amount = to_major(minor, code)
        # Decimals that are not usually written are written when they are not zero.
        usual = amount == round(amount, get_currency_precision(code))
        text = format_currency(amount, code, locale=self.locale, currency_digits=usual)
        return self._within_english(text.replace("-", "−"))

    def short_money(self, minor: int, currency: str) -> str:
        """Return an amount without decimals, as short as an axis needs it: "$200" or "$25K"."""
        amount, code = to_major(minor, currency), currency.upper()
        if abs(amount) >= _WORTH_SHORTENING:
            text = format_compact_currency(amount, code, locale=self.locale, fraction_digits=1)
        else:
            whole = self.locale.currency_formats["standard"].pattern.replace(".00", "")
            text = format_currency(amount, code, whole, locale=self.locale, currency_digits=False)
        return self._within_english(text.replace("-", "−"))

    def currency_name(self, currency: str) -> str:
        """Return the currency's name in the plural, such as "US dollars"; English, as part of a sentence."""
        return get_currency_name(currency.upper(), count=2, locale=_ENGLISH)

    def number(self, value: int) -> str:
        """Return a whole number with the locale's grouping."""
        return format_decimal(value, locale=self.locale)

    def date(self, moment: datetime) -> str:
        """Return the date in long form, such as "January 3, 2027"."""
        here = moment.astimezone(self.zone)
        return self._within_english(format_date(here, format="long", locale=self.locale))

    def short_date(self, moment: datetime) -> str:
        """Return the date in medium form, such as "Jan 3, 2027", for dense tables."""
        here = moment.astimezone(self.zone)
        return self._within_english(format_date(here, format="medium", locale=self.locale))

    def day(self, moment: datetime) -> str:
        """Return day and month alone, such as "January 3", where the year goes without saying."""
        text = format_skeleton("MMMMd", moment, tzinfo=self.zone, locale=self.locale)
        return self._within_english(text)

    def month(self, moment: datetime) -> str:
        """Return month and year, such as "January 2027"."""
        text = format_skeleton("yMMMM", moment, tzinfo=self.zone, locale=self.locale)
        return self._within_english(text)

    def month_name(self, moment: datetime, width: Literal["wide", "abbreviated", "narrow"]) -> str:
        """Return the month alone: "January", "Jan" or "J"."""
        names = get_month_names(width, context="stand-alone", locale=self.locale)
        return str(names[moment.astimezone(self.zone).month])

    def months(self, first: datetime, last: datetime) -> str:
        """Return a span of months, such as "January – December 2026"."""
        begins, ends = (each.astimezone(self.zone).date() for each in (first, last))
        text = format_interval(begins, ends, skeleton="yMMMM", locale=self.locale)
        return self._within_english(text)

    def time(self, moment: datetime) -> str:
        """Return the time of day, such as "2:32 PM"."""
        text = format_time(moment, format="short", tzinfo=self.zone, locale=self.locale)
        return self._within_english(text)

    def date_and_time(self, moment: datetime) -> str:
        """Return date and time in long form with the zone, for titles."""
        text = format_datetime(moment, format="long", tzinfo=self.zone, locale=self.locale)
        return self._within_english(text)

    def short_date_and_time(self, moment: datetime) -> str:
        """Return date and time in short form, such as "Jan 3, 2027, 2:32 PM"."""
        return f"{self.short_date(moment)}, {self.time(moment)}"

    def country(self, code: str) -> str:
        """Return the country's name; `code` is an ISO 3166 code, which comes back when it is unknown."""
        return str(self.locale.territories.get(code.upper(), code))

    def ago(self, span: timedelta) -> str:
        """Return how long ago something was, such as "2 hours ago"; English, as part of a sentence."""
        return format_timedelta(-span, threshold=1, add_direction=True, locale=_ENGLISH)

    def plural(self, count: int, one: str, other: str) -> str:
        """Return "1 seat" or "24 seats": the number and the form that fits it.

        The words are English whatever the locale, so English rules choose between them.
        """
        form = one if _ENGLISH.plural_form(count) == "one" else other
        return f"{self.number(count)} {form}"

    def _within_english(self, text: str) -> str:
        """Return `text` so that it keeps its own order inside an English sentence, which runs left to right.

        Without it the parts of "4 ديسمبر 2026" would change places.
        """
        if self.locale.text_direction == "ltr":
            return text
        return f"{_ISOLATE}{text}{_END_OF_ISOLATE}"


_ENGLISH = Locale.parse("en")


@lru_cache(maxsize=256)
def parse_locale(accept_language: str) -> Locale:
    """Return the first locale of an Accept-Language header that Babel knows, else US English."""
    ranked: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept_language[:512].split(",")):
        tag, _, parameters = part.strip().partition(";")
        quality = 1.0
        if parameters.strip().startswith("q="):
            try:
                quality = float(parameters.strip()[2:])
            except ValueError:
                quality = 0.0
        if tag and tag != "*" and quality > 0:
            ranked.append((-quality, position, tag))
    for _, _, tag in sorted(ranked):
        try:
            return _with_months_of_its_own(Locale.parse(tag, sep="-"))
        except (UnknownLocaleError, ValueError):
            continue
    return _with_months_of_its_own(Locale.parse(DEFAULT_LOCALE))


def _with_months_of_its_own(locale: Locale) -> Locale:
    """Return `locale` with the names of months in a place that no other locale shares.

    Babel resolves what a locale takes from its parents when it is first asked for, and writes it down
    where they all look it up: after a Hebrew reader, a French one would read Hebrew months.
    """
    data = localedata.load(str(locale))
    data["months"] = deepcopy(data["months"])
    return locale
