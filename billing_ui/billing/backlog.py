"""What waits for the worker and what it gave up on, in numbers; cheap however many customers there are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, SQLColumnExpression, func, literal, literal_column, select, union_all
from sqlmodel import col

from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer, Urgency
from billing_ui.settings import Provider

COUNTED_AT_MOST: Final = 100_000
"""How many customers out of date are counted; a backlog this long needs no exact number."""


@dataclass(frozen=True)
class Backlog:
    """The customers of one provider that are out of date.

    Attributes:
        waiting: those the worker will sync.
        in_bulk: those of them that nothing is known to have happened to; they were marked with many others.
        failing: those of them whose last sync failed and will be tried again.
        parked: those the worker gave up on.
        oldest_at: since when the one that has waited longest is out of date (UTC), None when none waits. What
            waits in bulk may wait for as long as it takes, and does not count.
    """

    provider: str
    waiting: int = 0
    in_bulk: int = 0
    failing: int = 0
    parked: int = 0
    oldest_at: datetime | None = None

    @property
    def age_seconds(self) -> float:
        """How long the one that has waited longest has been out of date; as `oldest_at`, not counting the bulk."""
        return (utc_now() - self.oldest_at).total_seconds() if self.oldest_at else 0.0


async def backlogs(
    database: Database, providers: Iterable[Provider] = Provider
) -> tuple[Backlog, ...]:
    """Return the backlog of each of `providers` that has one.

    Customers out of date are few among many, and an index holds just them: of each provider those that wait, in
    the order in which they are fetched, then those that are parked.
    """
    async with database.engine.connect() as connection:
        rows = await connection.execute(union_all(*map(_counted, providers)))
        found = [Backlog(*row) for row in rows]
    return tuple(backlog for backlog in found if backlog.waiting or backlog.parked)


def _counted(provider: Provider) -> Select[Any]:
    """Return the query for the row of one provider; asked for all of them together, the index would not be in order."""
    parked_at, urgency, marked_at = (
        col(Customer.parked_at),
        col(Customer.urgency),
        col(Customer.marked_at),
    )
    # As the worker sorts them: of more than are counted the bulk is left out, and no page waits for that.
    waiting = (
        _out_of_date(provider, urgency, marked_at, col(Customer.attempts))
        .where(parked_at.is_(None))
        .order_by(parked_at, urgency, marked_at)
        .subquery()
    )
    parked = _out_of_date(provider, parked_at).where(parked_at.is_not(None)).subquery()
    in_bulk = waiting.c.urgency >= Urgency.BULK.value
    return select(
        literal(provider.value),
        func.count(),
        func.count().filter(in_bulk),
        func.count().filter(waiting.c.attempts > 0),
        select(func.count()).select_from(parked).scalar_subquery(),
        func.min(waiting.c.marked_at).filter(~in_bulk),
    ).select_from(waiting)


def _out_of_date(provider: Provider, *columns: SQLColumnExpression[Any]) -> Select[Any]:
    return (
        select(*columns)
        .where(
            col(Customer.provider) == provider.value,
            # Written as the index has it, so that both databases use it.
            literal_column("wanted > applied AND NOT partial"),
            col(Customer.provider_customer_id).is_not(None),
        )
        .limit(COUNTED_AT_MOST)
    )
