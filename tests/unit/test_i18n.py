"""Amounts as people read them, from the minor units that a provider counts in."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from billing_ui.i18n import Reader, parse_locale

US = Reader(parse_locale("en-US"), ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (48000, "usd", "$480.00"),
        (123456789, "usd", "$1,234,567.89"),
        (-2000, "usd", "−$20.00"),
        (0, "eur", "€0.00"),
        (2000, "jpy", "¥2,000"),
        (2000, "kwd", "KWD2.000"),
        # Counted in hundredths, which are not usually written …
        (250000, "isk", "ISK2,500"),
        (250000, "rsd", "RSD2,500"),
        (250000, "ugx", "UGX2,500"),
        # … unless there are some.
        (250050, "rsd", "RSD2,500.50"),
        # Counted whole, though the norm knows fifths of it.
        (2500, "mga", "MGA2,500"),
    ],
)
def test_an_amount_is_shown_in_the_size_the_provider_counts_it(
    minor: int, currency: str, text: str
) -> None:
    assert US.money(minor, currency).replace("\N{NO-BREAK SPACE}", "") == text


@pytest.mark.parametrize(
    ("locale", "day", "month", "narrow"),
    [
        ("en_US", "December 3", "December 2026", "D"),
        ("en_GB", "3 December", "December 2026", "D"),
        ("de_DE", "3. Dezember", "Dezember 2026", "D"),
        ("ja_JP", "12月3日", "2026年12月", "12"),
    ],
)
def test_days_and_months_are_written_as_the_reader_does(
    locale: str, day: str, month: str, narrow: str
) -> None:
    reader = Reader(Locale.parse(locale), ZoneInfo("Asia/Tokyo"))
    moment = datetime(2026, 12, 2, 23, tzinfo=UTC)
    assert (reader.day(moment), reader.month(moment)) == (day, month)
    assert reader.month_name(moment, "narrow") == narrow


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (0, "usd", "$0"),
        (20000, "usd", "$200"),
        (999_900, "usd", "$9,999"),
        (2_500_000, "usd", "$25K"),
        (-20000, "usd", "−$200"),
        (4800, "jpy", "¥4,800"),
    ],
)
def test_an_axis_has_short_amounts(minor: int, currency: str, text: str) -> None:
    assert US.short_money(minor, currency) == text
