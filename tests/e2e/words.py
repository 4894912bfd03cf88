"""How an American reads dates, worked out without the application's own code."""

from datetime import datetime

from babel.dates import format_date


def long_date(moment: datetime, locale: str = "en_US") -> str:
    """Return a date in long form in UTC, such as "January 3, 2027"."""
    return format_date(moment, format="long", locale=locale)
