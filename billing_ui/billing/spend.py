"""What a team has paid in each of the last twelve months."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import case, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.customers import TeamCustomers
from billing_ui.billing.invoices import belong_to
from billing_ui.models import Invoice

MONTHS: Final = 12
_FEWEST_INVOICES: Final = 2


@dataclass(frozen=True)
class Month:
    """One calendar month: its first moment, and what was paid of its invoices, in minor units."""

    begins_at: datetime
    paid: int


@dataclass(frozen=True)
class Spend:
    """Twelve months of `currency`, oldest first, and what was paid in other currencies meanwhile.

    Attributes:
        months: twelve, the present one last.
        others: other currency -> its sum over the twelve months, in its own minor units.
    """

    currency: str
    months: tuple[Month, ...]
    others: dict[str, int]

    @property
    def total(self) -> int:
        """The sum of all months."""
        return sum(month.paid for month in self.months)

    @property
    def since_first(self) -> tuple[Month, ...]:
        """The months from the first in which something was paid."""
        first = next((n for n, month in enumerate(self.months) if month.paid), len(self.months))
        return self.months[first:]


async def read_spend(
    session: AsyncSession, customers: TeamCustomers, now: datetime, zone: ZoneInfo
) -> Spend | None:
    """Return what a team has paid, to somebody who may see its invoices; None of fewer than two paid ones.

    Args:
        zone: whose months are meant; an invoice counts in the one it was made in.
    """
    if customers.current is None:
        return None
    begins = _month_starts(now, zone)
    # SQL's own months are in UTC on one database and need its time zones on the other.
    bucket = case(
        *(
            (col(Invoice.created_at) < following, place)
            for place, following in enumerate(begins[1:])
        ),
        else_=MONTHS - 1,
    ).label("month")
    query = (
        select(
            col(Invoice.currency),
            bucket,
            func.sum(col(Invoice.amount_paid)),
            func.count(),
        )
        .where(
            belong_to(customers),
            Invoice.created_at >= begins[0],
            Invoice.amount_paid > 0,
        )
        .group_by(col(Invoice.currency), bucket)
    )
    rows = (await session.exec(query)).all()
    paid: dict[str, dict[int, int]] = defaultdict(dict)
    counts: dict[str, int] = defaultdict(int)
    for currency, place, amount, count in rows:
        # PostgreSQL adds up whole numbers as decimals.
        paid[currency][place] = int(amount)
        counts[currency] += count
    if not counts:
        return None
    theirs = customers.current.currency
    main = theirs if theirs in counts else max(counts, key=counts.__getitem__)
    if counts[main] < _FEWEST_INVOICES:
        return None
    return Spend(
        currency=main,
        months=tuple(Month(start, paid[main].get(n, 0)) for n, start in enumerate(begins)),
        others={other: sum(paid[other].values()) for other in sorted(paid) if other != main},
    )


def _month_starts(now: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the first moments of the last twelve months in `zone`, the present one last."""
    today = now.astimezone(zone)
    present = today.year * 12 + today.month - 1
    months = (divmod(present - back, 12) for back in reversed(range(MONTHS)))
    return [datetime(year, month + 1, 1, tzinfo=zone).astimezone(UTC) for year, month in months]
