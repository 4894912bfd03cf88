"""Pages of lists, whichever provider's: what lies in a range of time, whose it is, and where to go on."""

from datetime import UTC, datetime, timedelta

import pytest

from billing_ui.payments.listing import by_customer, narrowed, page_number
from billing_ui.payments.types import CursorGone

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOURS = (3, 2, 1)


def at(hours: int) -> datetime:
    """Return a moment so many hours after noon."""
    return NOON + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("begin", "end", "inside", "past"),
    [
        (None, None, [3, 2, 1], False),
        (2, None, [3, 2], True),
        (1, None, [3, 2, 1], False),
        (None, 3, [2, 1], False),
        (2, 3, [2], True),
        (4, 5, [], True),
        (-2, 0, [], False),
    ],
)
def test_a_range_begins_with_its_first_moment_and_ends_before_its_last(
    begin: int | None, end: int | None, inside: list[int], past: bool
) -> None:
    bounds = [None if hour is None else at(hour) for hour in (begin, end)]
    found = narrowed(HOURS, at, *bounds)
    assert (found.inside, found.reached, found.past) == (inside, at(1), past)


def test_an_empty_page_reaches_nothing_and_is_past_nothing() -> None:
    assert narrowed((), at, NOON, None) == ([], None, False)


def test_what_is_nobodys_is_left_out() -> None:
    found = [("ada", 1), (None, 2), ("bob", 3), ("ada", 4), ("", 5)]
    assert by_customer(found, lambda one: one[0]) == {
        "ada": [("ada", 1), ("ada", 4)],
        "bob": [("bob", 3)],
    }


def test_a_list_begins_with_its_first_page_and_goes_on_where_it_was_left() -> None:
    assert [page_number(cursor, "Acme") for cursor in (None, "1", "12")] == [1, 1, 12]


@pytest.mark.parametrize("cursor", ["", "0", "-1", "1.5", "next", "²", "9" * 5000])
def test_a_cursor_that_is_no_page_is_gone(cursor: str) -> None:
    with pytest.raises(CursorGone, match="Acme can't go on"):
        page_number(cursor, "Acme")
