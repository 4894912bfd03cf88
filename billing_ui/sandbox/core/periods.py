"""The arithmetic of billing periods. It touches no store."""

import calendar
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

HOUR, DAY = 3600, 86400


def add_interval(moment: int, interval: str, count: int) -> int:
    """Return the Unix time `count` intervals later; the 31st becomes the month's last day."""
    start = datetime.fromtimestamp(moment, UTC)
    if interval in ("day", "week"):
        return int((start + timedelta(days=count * (7 if interval == "week" else 1))).timestamp())
    months = start.year * 12 + start.month - 1 + count * (12 if interval == "year" else 1)
    year, month = months // 12, months % 12 + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return int(start.replace(year=year, month=month, day=day).timestamp())


def period_around(anchor: int, moment: int, interval: str, count: int) -> tuple[int, int]:
    """Return the billing period, in Unix seconds, that a moment falls into.

    Args:
        anchor: The billing cycle anchor: every period begins a whole number of intervals from it.
        moment: A Unix time not before the anchor.
        interval: `day`, `week`, `month` or `year`.
        count: How many intervals make a period.
    """
    length = add_interval(anchor, interval, count) - anchor
    number = max(0, (moment - anchor) // length - 1)
    while True:
        # Always from the anchor: a chain of months would slip from the 31st to the 28th for good.
        start = add_interval(anchor, interval, count * number)
        end = add_interval(anchor, interval, count * (number + 1))
        if moment < end:
            return start, end
        number += 1


def unused_share(amount: int, start: int, end: int, moment: int) -> int:
    """Return what part of `amount` (minor units) falls to the time after `moment`."""
    share = Decimal(amount) * (end - moment) / (end - start)
    return int(share.quantize(Decimal(1), ROUND_HALF_UP))
