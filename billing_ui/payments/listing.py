"""What drivers do alike with a page of a list: keep what lies in a range of time, and tell whose it is."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from billing_ui.payments.mapping import whole_number
from billing_ui.payments.types import CursorGone

T = TypeVar("T")


class Narrowed(NamedTuple, Generic[T]):
    """What of a page, newest first, lies within a range of time.

    Attributes:
        inside: what does.
        reached: when the last thing on the page was created; None of an empty page.
        past: whether that was before the range, so that no further page has any of it.
    """

    inside: list[T]
    reached: datetime | None
    past: bool


def narrowed(
    page: Sequence[T],
    created: Callable[[T], datetime],
    created_from: datetime | None,
    created_to: datetime | None,
) -> Narrowed[T]:
    """Return what of a page was created at `created_from` or later, and before `created_to`, where these are given."""
    reached = created(page[-1]) if page else None
    inside = [
        one
        for one in page
        if (created_from is None or created(one) >= created_from)
        and (created_to is None or created(one) < created_to)
    ]
    past = created_from is not None and reached is not None and reached < created_from
    return Narrowed(inside, reached, past)


def by_customer(found: Iterable[T], customer: Callable[[T], str | None]) -> dict[str, list[T]]:
    """Return what each customer has of `found`, and leave out what is nobody's."""
    theirs: dict[str, list[T]] = {}
    for one in found:
        if customer_id := customer(one):
            theirs.setdefault(customer_id, []).append(one)
    return theirs


def page_number(cursor: str | None, name: str) -> int:
    """Return which page a list goes on with at a provider that numbers them, and that people know as `name`.

    Raises:
        CursorGone: `cursor` is no such number.
    """
    number = 1 if cursor is None else whole_number(cursor)
    if not number:
        raise CursorGone(f"{name} can't go on with a list: the place it was left at is unknown.")
    return number
