"""The order in which plans are shown, whichever provider sells them."""

import pytest

from billing_ui.payments.catalog import in_shown_order, interval_of
from billing_ui.payments.types import CatalogPrice, CatalogProduct


def product(name: str, *prices: tuple[int, str | None, int, bool]) -> CatalogProduct:
    """Return a product of prices: each its amount, interval, their count, and whether it is active."""
    made = [
        CatalogPrice(
            id=f"{name}{number}",
            product_id=name,
            active=active,
            currency="usd",
            amounts={"usd": amount},
            interval=interval_of(interval),
            interval_count=count,
        )
        for number, (amount, interval, count, active) in enumerate(prices)
    ]
    return CatalogProduct(id=name, name=name, active=True, prices=tuple(made))


def shown(*products: tuple[CatalogProduct, str]) -> str:
    """Return the products' names in the order they are shown."""
    return "".join(one.name for one in in_shown_order(products))


def test_what_costs_least_a_day_stands_first() -> None:
    weekly, yearly = product("w", (700, "week", 1, True)), product("y", (7300, "year", 1, True))
    two_years = product("t", (7300, "year", 2, True))
    assert shown((weekly, ""), (yearly, ""), (two_years, "")) == "tyw"


def test_neither_what_is_paid_once_nor_what_is_no_longer_sold_counts() -> None:
    once, former = product("o", (1, None, 1, True)), product("f", (1, "day", 1, False))
    assert shown((once, ""), (former, ""), (product("p", (900, "day", 1, True)), "")) == "pof"


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "²", "9" * 5000])
def test_a_position_counts_before_the_price_when_it_is_one(text: str) -> None:
    cheap, dear = product("c", (1, "day", 1, True)), product("d", (9, "day", 1, True))
    assert shown((cheap, text), (dear, "10")) == "dc"
    assert shown((cheap, "10"), (dear, "9")) == "dc"


def test_an_interval_nobody_knows_is_none() -> None:
    assert [interval_of(word) for word in ("day", "year", "fortnight", None)] == [
        *("day", "year"),
        *(None, None),
    ]
