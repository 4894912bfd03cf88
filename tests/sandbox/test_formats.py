"""How the hosted pages write amounts and dates, and whose language they follow."""

import pytest

from billing_ui.sandbox.hosted.formats import choose_formats, per_interval


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (48000, "usd", "$480.00"),
        (123456789, "usd", "$1,234,567.89"),
        (0, "eur", "€0.00"),
        (-2500, "usd", "\N{MINUS SIGN}$25.00"),
        (500, "jpy", "¥500"),
        (50000, "isk", "ISK500"),
        (12345, "kwd", "KWD12.345"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(minor: int, currency: str, text: str) -> None:
    assert choose_formats("en-US", [], "").money(minor, currency) == text


def test_a_price_below_a_cent_keeps_its_digits() -> None:
    assert choose_formats("en-US", [], "").money(0, "usd", decimal="0.125") == "$0.00125"


@pytest.mark.parametrize(
    ("wish", "preferred", "accepted", "date"),
    [
        (None, [], "", "January 3, 2027"),
        ("en", [], "de", "January 3, 2027"),
        ("auto", [], "en-GB,en;q=0.9", "3 January 2027"),
        ("de", ["fr"], "en-GB", "3. Januar 2027"),
        (None, ["fr"], "en-GB", "3 janvier 2027"),
        (None, [], "xx, fr;q=0.2, de-CH;q=0.8", "3. Januar 2027"),
        ("zh-TW", [], "", "2027年1月3日"),
        (None, [], "../../etc/passwd, \0, *, ;q=, en;q=x", "January 3, 2027"),
    ],
)
def test_the_session_is_followed_then_the_customer_then_the_browser(
    wish: str | None, preferred: list[str], accepted: str, date: str
) -> None:
    assert choose_formats(wish, preferred, accepted).date(1798934400) == date


def test_an_interval_is_said_in_words() -> None:
    assert per_interval({"interval": "month", "interval_count": 1}) == "per month"
    assert per_interval({"interval": "month", "interval_count": 3}) == "every 3 months"
