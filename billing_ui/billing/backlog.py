"""What waits for the worker and what it gave up on, in numbers; cheap however many customers there are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, literal_column, select
from sqlmodel import col
from sqlmodel import select as select_rows

from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer, Job

COUNTED_AT_MOST: Final = 100_000
"""How many customers out of date are counted; a backlog this long needs no exact number."""


@dataclass(frozen=True)
class Backlog:
    """The customers of one provider that are out of date.

    Attributes:
        waiting: those the worker will sync, the failing ones included.
        failing: those whose last sync failed and will be tried again.
        parked: those the worker gave up on.
        oldest_at: since when the one that has waited longest is out of date (UTC), None when none waits.
    """

    provider: str
    waiting: int = 0
    failing: int = 0
    parked: int = 0
    oldest_at: datetime | None = None

    @property
    def age_seconds(self) -> float:
        """How long the one that has waited longest has been out of date."""
        return (utc_now() - self.oldest_at).total_seconds() if self.oldest_at else 0.0


async def backlogs(database: Database) -> tuple[Backlog, ...]:
    """Return the backlog of each provider that has one.

    Customers out of date are few among many, and an index holds just them.
    """
    due = (
        select(
            col(Customer.provider),
            col(Customer.marked_at),
            col(Customer.parked_at),
            col(Customer.attempts),
        )
        .where(
            # Written as the index has it, so that both databases use it.
            literal_column("wanted > applied AND NOT partial"),
            col(Customer.provider_customer_id).is_not(None),
        )
        .order_by(col(Customer.provider), col(Customer.marked_at))
        .limit(COUNTED_AT_MOST)
        .subquery()
    )
    parked = due.c.parked_at.is_not(None)
    query = select(
        due.c.provider,
        func.count().filter(~parked),
        func.count().filter(~parked, due.c.attempts > 0),
        func.count().filter(parked),
        func.min(due.c.marked_at).filter(~parked),
    ).group_by(due.c.provider)
    async with database.engine.connect() as connection:
        return tuple(Backlog(*row) for row in await connection.execute(query))


async def jobs(database: Database) -> tuple[Job, ...]:
    """Return what is known of the work that comes round by itself, by name."""
    async with database.read() as session:
        return tuple(await session.exec(select_rows(Job).order_by(col(Job.name))))
