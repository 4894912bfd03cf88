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


def test_months_are_in_the_readers_language_whoever_read_before() -> None:
    august = datetime(2026, 8, 4, tzinfo=UTC)
    names = {
        language: Reader(parse_locale(language), ZoneInfo("UTC")).month_name(august, "abbreviated")
        for language in ("he-IL", "fr-FR", "ja-JP", "pt-BR")
    }
    assert names == {"he-IL": "אוג׳", "fr-FR": "août", "ja-JP": "8月", "pt-BR": "ago."}


@pytest.mark.parametrize("language", ["ar", "he-IL", "fa"])
def test_what_runs_right_to_left_keeps_its_order_inside_an_english_sentence(language: str) -> None:
    reader = Reader(parse_locale(language), ZoneInfo("UTC"))
    moment = datetime(2026, 12, 4, 10, 20, tzinfo=UTC)
    texts = (
        reader.money(48000, "usd"),
        reader.short_money(40000, "usd"),
        reader.date(moment),
        reader.short_date(moment),
        reader.day(moment),
        reader.month(moment),
        reader.months(moment, moment),
        reader.time(moment),
        reader.date_and_time(moment),
    )
    for text in texts:
        assert (text[0], text[-1]) == ("\u2068", "\u2069")
    assert "\u2068" not in US.date(moment)
