"""A year of spending as bars: how high each is, what stands on the axis, and the same in words."""

import unicodedata
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from billing_ui.billing.spend import MONTHS, Month, Spend
from billing_ui.i18n import Reader, to_major

_FULL: Final = 0.85
"""How much of the drawing the highest bar takes; its amount stands above it."""


_ROOM: Final = 5
"""How many letters fit under a bar; the months of some languages cannot be abbreviated so far."""


@dataclass(frozen=True)
class Bar:
    """One month: `height` as a CSS length, `caption` only over the highest bar, `initial` where it is narrow."""

    month: str = ""
    name: str = ""
    initial: str = ""
    amount: str = ""
    height: str = "0%"
    caption: str = ""


@dataclass(frozen=True)
class Tick:
    """A line of the axis and how high it is, as a CSS length."""

    label: str = ""
    height: str = "0%"


@dataclass(frozen=True)
class SpendView:
    """The plot and its words; blank when there is nothing to draw.

    Attributes:
        others: what was paid in other currencies.
        summary: what the drawing shows, for those who do not see it.
        axis: how wide the axis is, as a CSS length.
    """

    total: str = ""
    average: str = ""
    others: str = ""
    period: str = ""
    summary: str = ""
    axis: str = "0"
    bars: list[Bar] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)


def spend_view(spend: Spend | None, reader: Reader) -> SpendView:
    """Return twelve months of spending as they are drawn."""
    if spend is None:
        return SpendView()
    months, currency = spend.months, spend.currency
    highest = max(months, key=lambda month: month.paid)
    top = highest.paid / _FULL
    axis = _axis(highest.paid)
    # All with their cents, or all without.
    write = reader.money if to_major(axis.step, currency) % 1 else reader.short_money
    ticks = [
        Tick(write(value, currency), _share(value, top))
        for value in takewhile(lambda value: value < top, axis)
    ]
    period = reader.months(months[0].begins_at, months[-1].begins_at)
    names = [reader.month_name(month.begins_at, "abbreviated") for month in months]
    initials = [reader.month_name(month.begins_at, "narrow") for month in months]
    if max(map(len, names)) > _ROOM:
        names = initials
    total, average = reader.money(spend.total, currency), _average(spend, reader)
    return SpendView(
        total=total,
        average=average,
        others=_others(spend, reader),
        period=period,
        summary=_summary(spend, highest, f"{period}: {total} paid", average, reader),
        axis=f"{max(_width(tick.label) for tick in ticks)}ch",
        bars=[
            Bar(
                month=reader.month(month.begins_at),
                name=name,
                initial=initial,
                amount=reader.money(month.paid, currency),
                height=_share(month.paid, top),
                caption=reader.money(month.paid, currency) if month is highest else "",
            )
            for month, name, initial in zip(months, names, initials, strict=True)
        ],
        ticks=ticks,
    )


def _axis(highest: int) -> range:
    """Return round amounts from zero to beyond `highest`: 1, 2 or 5 times a power of ten apart, at least two to it."""
    most = max(highest // 2, 1)
    power = 10 ** (len(str(most)) - 1)
    step = max(digit * power for digit in (1, 2, 5) if digit * power <= most)
    return range(0, 2 * highest + step, step)


def _width(text: str) -> int:
    """Return how many characters can be seen of `text`: the marks that turn its direction cannot."""
    return sum(unicodedata.category(character) != "Cf" for character in text)


def _share(value: int, top: float) -> str:
    return f"{100 * value / top:.1f}%"


def _average(spend: Spend, reader: Reader) -> str:
    paying = len(spend.since_first)
    if paying < 2:
        return ""
    average = reader.money(round(spend.total / paying), spend.currency)
    since = f" since {reader.month(spend.since_first[0].begins_at)}" if paying < MONTHS else ""
    return f"{average} a month on average{since}"


def _others(spend: Spend, reader: Reader) -> str:
    sums = [reader.money(paid, currency) for currency, paid in spend.others.items()]
    if not sums:
        return ""
    *first, last = sums
    return f"and {', '.join(first)}{' and ' if first else ''}{last} in other currencies"


def _summary(spend: Spend, highest: Month, paid: str, average: str, reader: Reader) -> str:
    lowest = min(spend.since_first, key=lambda month: month.paid)
    ends = [
        f"{name} {reader.money(month.paid, spend.currency)} in {reader.month(month.begins_at)}"
        for name, month in (("the highest month was", highest), ("the lowest", lowest))
    ]
    lead = ", ".join(part for part in (paid, average) if part)
    return f"{lead}. {ends[0][0].upper()}{ends[0][1:]}, {ends[1]}."
