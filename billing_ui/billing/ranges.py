"""Ranges of time in which a provider's objects were created: what is left to list, how it is shared and asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Self

from billing_ui.billing.patience import ask
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import CatalogSnapshot, CursorGone, ListedPage, Listing

EPOCH: Final = datetime(2010, 1, 1, tzinfo=UTC)
"""Before any of the providers began; what should be older nevertheless is in the oldest range all the same."""
_AGES: Final = tuple(timedelta(days=days) for days in (60, 365, 1095))
"""Where the first ranges meet: most of what an account holds is young, and an empty range costs one call."""
_WORTH_A_PART: Final = 150.0
"""So many objects, about, are worth a part of their own."""


def first_ranges(now: datetime, *, by_time: bool = True) -> tuple["Range", ...]:
    """Return ranges that hold everything there is to list.

    Args:
        by_time: whether a list can be asked for a range of time; else there is one range a list.
    """
    if not by_time:
        return tuple(Range(listing) for listing in Listing)
    cuts = [None, *(now - age for age in _AGES), None]
    return tuple(
        Range(listing, created_from=earliest, created_to=latest)
        for latest, earliest in pairwise(cuts)
        for listing in Listing
    )


@dataclass(frozen=True)
class Range:
    """What is left to list between two moments; the list goes from the newest to the oldest.

    Attributes:
        created_from: the earliest moment (UTC), None when there is no such limit.
        created_to: the moment before which everything was created (UTC), None when there is no such limit.
        cursor: where the last page ended; None before the first one.
        reached: when the last object listed was created (UTC), None before the first page.
        density: objects a second, as the last page had them.
    """

    listing: Listing
    created_from: datetime | None = None
    created_to: datetime | None = None
    cursor: str | None = None
    reached: datetime | None = None
    density: float = 0.0

    @property
    def top(self) -> datetime:
        """From where downwards objects are left."""
        return self.reached or self.created_to or utc_now()

    @property
    def seconds(self) -> float:
        """How long the time is that is left."""
        return max((self.top - (self.created_from or EPOCH)).total_seconds(), 0.0)

    @property
    def objects(self) -> float:
        """How many objects are left, should they lie as densely as those before."""
        return self.seconds * self.density

    def after(self, page: ListedPage, helpers: int) -> tuple[Self, ...]:
        """Return what is left after a page: nothing, the rest, or the rest shared out.

        Args:
            helpers: how many others could take a part.
        """
        if page.cursor is None or page.reached is None:
            return ()
        took = max((self.top - page.reached).total_seconds(), 1.0)
        rest = replace(self, cursor=page.cursor, reached=page.reached, density=page.count / took)
        parts = min(helpers + 1, int(rest.objects / _WORTH_A_PART), int(rest.seconds))
        return tuple(rest.shared(parts)) if parts > 1 else (rest,)

    def without_cursor(self) -> Self:
        """Return what is left and what was created in the second that the last page ended in.

        Moments are whole seconds: more of that second may be left.
        """
        top = self.reached + timedelta(seconds=1) if self.reached else self.created_to
        return replace(self, created_to=top, cursor=None, reached=None)

    def shared(self, parts: int) -> Iterable[Self]:
        """Share out what is left, by time; the first part goes on where this range stands."""
        oldest = self.created_from or EPOCH
        step = int(self.seconds) // parts
        cuts = [oldest + timedelta(seconds=step * number) for number in range(1, parts)]
        yield replace(self, created_from=cuts[-1])
        for earliest, latest in zip([self.created_from, *cuts], cuts, strict=False):
            yield replace(self, created_from=earliest, created_to=latest, cursor=None, reached=None)

    def dumped(self) -> dict[str, Any]:
        """Return the range as JSON."""
        moments = {name: getattr(self, name) for name in _MOMENTS}
        return {
            "listing": self.listing.value,
            "cursor": self.cursor,
            "density": self.density,
            **{name: at.isoformat() if at else None for name, at in moments.items()},
        }

    @classmethod
    def loaded(cls, document: dict[str, Any]) -> Self:
        """Return the range that `dumped` made a document of."""
        moments = {name: document[name] for name in _MOMENTS}
        return cls(
            listing=Listing(document["listing"]),
            cursor=document["cursor"],
            density=document["density"],
            **{name: datetime.fromisoformat(at) if at else None for name, at in moments.items()},
        )


_MOMENTS: Final = ("created_from", "created_to", "reached")


async def next_page(
    services: Services, driver: Driver, left: Range, catalog: CatalogSnapshot
) -> ListedPage:
    """Fetch the next page of a range, even when what the last one ended with was deleted since.

    Then a few objects may be listed a second time.

    Args:
        catalog: where the names of what was bought are taken from.

    Raises:
        PaymentError: the provider cannot be asked.
    """

    async def page(of: Range) -> ListedPage:
        return await ask(
            services,
            driver,
            lambda: driver.list_page(
                of.listing,
                catalog,
                created_from=of.created_from,
                created_to=of.created_to,
                cursor=of.cursor,
            ),
        )

    try:
        return await page(left)
    except CursorGone:
        return await page(left.without_cursor())
