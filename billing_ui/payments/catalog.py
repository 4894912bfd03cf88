"""How long the intervals of prices are, and in which order a catalogue is shown because of it."""

from collections.abc import Iterable
from math import inf
from typing import Final, Literal, TypeAlias

from billing_ui.payments.mapping import whole_number
from billing_ui.payments.types import CatalogProduct

Interval: TypeAlias = Literal["day", "week", "month", "year"]

_DAYS: Final[dict[Interval, int]] = {"day": 1, "week": 7, "month": 30, "year": 365}


def interval_of(word: str | None) -> Interval | None:
    """Return the interval that a provider's word means, None when we know no such one."""
    return next((known for known in _DAYS if known == word), None)


def days(word: str | None, count: int) -> float:
    """Return about how many days `count` intervals have; what is paid once lasts for ever."""
    interval = interval_of(word)
    return _DAYS[interval] * count if interval else inf


def in_shown_order(
    products: Iterable[tuple[CatalogProduct, str]],
) -> tuple[CatalogProduct, ...]:
    """Return products in the order they are shown.

    Args:
        products: each with its `position`, which is a whole number, or text that says nothing. Next counts what
            it costs per day at least, cheapest first; of equal ones the order stays.
    """
    return tuple(product for product, _ in sorted(products, key=_place))


def _place(placed: tuple[CatalogProduct, str]) -> tuple[float, float]:
    product, text = placed
    position = whole_number(text)
    costs = (
        price.amounts[price.currency] / days(price.interval, price.interval_count)
        for price in product.prices
        if price.active and price.interval and price.currency in price.amounts
    )
    return inf if position is None else position, min(costs, default=inf)
