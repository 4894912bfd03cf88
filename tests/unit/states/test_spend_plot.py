"""The bars of a year: their heights, the axis, and the same in words."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from billing_ui.billing.spend import Month, Spend
from billing_ui.i18n import Reader, parse_locale
from billing_ui.states.spend_view import SpendView, spend_view
from tests.unit.billing.factories import AMERICAN

YEAR = [2900, 2900, 2900, 14900, 14900, 16820, 18150, 14900, 19540, 21275, 18810, 17460]


def spend_of(*paid: int, currency: str = "usd", others: dict[str, int] | None = None) -> Spend:
    """Return twelve months that end with `paid`."""
    amounts = [0] * (12 - len(paid)) + list(paid)
    months = (
        Month(datetime(2026, n, 1, tzinfo=UTC), amount) for n, amount in enumerate(amounts, start=1)
    )
    return Spend(currency, tuple(months), others or {})


def shown(*paid: int, reader: Reader = AMERICAN, **fields: str) -> SpendView:
    """Return twelve months as they are drawn."""
    return spend_view(spend_of(*paid, **fields), reader)  # type: ignore[arg-type]


def percent(length: str) -> float:
    """Return the number in a CSS length."""
    return float(length.removesuffix("%"))


def test_a_year_is_summed_averaged_and_told() -> None:
    view = shown(*YEAR)
    assert (view.total, view.average) == ("$1,654.55", "$137.88 a month on average")
    assert [bar.name for bar in view.bars[:3]] == ["Jan", "Feb", "Mar"]
    assert [bar.initial for bar in view.bars[:3]] == ["J", "F", "M"]
    assert "2026" in view.period
    assert view.summary.endswith(
        "The highest month was $212.75 in October 2026, the lowest $29.00 in January 2026."
    )


def test_only_the_highest_bar_has_its_amount_above_it_and_leaves_room_for_it() -> None:
    view = shown(*YEAR)
    assert [bar.caption for bar in view.bars if bar.caption] == ["$212.75"]
    assert max(percent(bar.height) for bar in view.bars) == 85.0


def test_bars_are_in_proportion_and_the_axis_begins_at_zero() -> None:
    view = shown(*YEAR)
    assert view.ticks[0].height == "0.0%"
    assert [tick.label for tick in view.ticks] == ["$0", "$100", "$200"]
    per_cent = percent(view.bars[9].height) / 21275
    for bar, paid in zip(view.bars, YEAR, strict=True):
        assert percent(bar.height) == pytest.approx(paid * per_cent, abs=0.1)
    assert percent(view.ticks[2].height) == pytest.approx(20000 * per_cent, abs=0.1)


@pytest.mark.parametrize("highest", [1, 2, 3, 9, 87, 101, 2900, 48000, 123_456_789, 10**12])
def test_an_axis_has_a_few_round_amounts(highest: int) -> None:
    labels = [tick.label for tick in shown(highest, highest).ticks]
    assert 2 <= len(labels) <= 7
    assert len(set(labels)) == len(labels)
    assert all(percent(tick.height) <= 100 for tick in shown(highest, highest).ticks)


@pytest.mark.parametrize(
    ("currency", "highest", "labels"),
    [
        ("jpy", 4800, ["¥0", "¥2,000", "¥4,000"]),
        ("usd", 87, ["$0.00", "$0.20", "$0.40", "$0.60", "$0.80", "$1.00"]),
        ("usd", 480_000_000, ["$0", "$2M", "$4M"]),
        ("eur", 48000, ["€0", "€200", "€400"]),
    ],
)
def test_an_axis_writes_amounts_as_the_currency_does(
    currency: str, highest: int, labels: list[str]
) -> None:
    view = shown(highest, highest, currency=currency)
    assert [tick.label for tick in view.ticks] == labels


def test_a_german_reads_german_months_and_amounts() -> None:
    german = Reader(Locale.parse("de_DE"), ZoneInfo("UTC"))
    view = shown(*YEAR, reader=german)
    assert view.total == "1.654,55\u00a0$"
    assert [tick.label for tick in view.ticks] == ["0\u00a0$", "100\u00a0$", "200\u00a0$"]
    assert view.bars[2].month == "März 2026"


def test_months_that_do_not_fit_under_their_bars_are_written_as_short_as_they_can_be() -> None:
    arab = Reader(parse_locale("ar"), ZoneInfo("UTC"))
    view = shown(*YEAR, reader=arab)
    assert [bar.name for bar in view.bars[:2]] == ["ي", "ف"]
    assert view.axis == f"{len('200 US$')}ch"


def test_the_average_is_of_the_months_since_the_first_payment() -> None:
    view = shown(100, 0, 200)
    assert view.average == "$1.00 a month on average since October 2026"
    assert shown(300).average == ""


def test_other_currencies_are_said_beside_the_plot() -> None:
    spend = spend_of(100, 200, others={"eur": 1500, "jpy": 900})
    assert spend_view(spend, AMERICAN).others == "and €15.00 and ¥900 in other currencies"


def test_there_is_nothing_to_show_of_nothing() -> None:
    assert spend_view(None, AMERICAN) == SpendView()
