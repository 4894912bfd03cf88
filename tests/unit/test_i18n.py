"""Amounts as people read them, from the minor units that a provider counts in."""

from zoneinfo import ZoneInfo

import pytest

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
