"""How far a reconciliation is, kept in its job's row: all that another process needs to go on with it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import structlog
from pydantic import TypeAdapter, ValidationError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.drift_report import DriftReport
from billing_ui.billing.job_rows import Turn, keep, remembered
from billing_ui.billing.ranges import Range
from billing_ui.clock import utc_now
from billing_ui.models import Customer
from billing_ui.payments.types import Listing
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)


class Stage(StrEnum):
    """What a reconciliation does with one provider, one after the other."""

    TEAMS = "teams"
    """Comparing the customers that belong to teams: people look at these."""
    NOBODYS = "nobodys"
    """Comparing the others."""
    UNKNOWN = "unknown"
    """Walking the provider's own list."""
    DONE = "done"


COMPARING: Final = (Stage.TEAMS, Stage.NOBODYS)


@dataclass
class Position:
    """How far a reconciliation is with one provider.

    Attributes:
        stage: what it is at.
        after: our id of the customer up to which the stage has compared all; None at its beginning.
        ahead: those it has compared beyond that.
        mending: those it found to differ, and reported, but may not have mended.
        compared: how many customers are behind it in all.
        left: what is left of the provider's list.
        listed: how many customers of that list are behind it.
        last_unknown: the unknown ones of the page before, which may be listed a second time.
    """

    stage: Stage = Stage.TEAMS
    after: UUID | None = None
    ahead: set[UUID] = field(default_factory=set)
    mending: set[UUID] = field(default_factory=set)
    compared: int = 0
    left: Range = field(default_factory=lambda: Range(Listing.CUSTOMERS))
    listed: int = 0
    last_unknown: frozenset[str] = frozenset()

    def begin(self, stage: Stage) -> None:
        """Begin the next stage."""
        self.stage, self.after = stage, None


@dataclass
class Progress:
    """A whole reconciliation: what it found, and how far it is with each provider."""

    report: DriftReport
    positions: dict[Provider, Position] = field(default_factory=dict)

    def of(self, provider: Provider) -> Position:
        """Return how far it is with a provider."""
        return self.positions.setdefault(provider, Position())


_PROGRESS: Final = TypeAdapter(Progress)


async def load_progress(session: AsyncSession, name: str) -> Progress:
    """Return what an interrupted reconciliation has left in a job's row, else the beginning of a new one."""
    state = await remembered(session, name)
    if state:
        try:
            progress = _PROGRESS.validate_python(state)
        except ValidationError:
            # Another release of this program wrote it.
            log.warning("reconciliation_begins_anew", job=name)
        else:
            progress.report.resumed = True
            return progress
    return Progress(DriftReport(began_at=utc_now()))


async def keep_progress(session: AsyncSession, turn: Turn, progress: Progress) -> None:
    """Keep how far a reconciliation is.

    Raises:
        LostTurn: another process is at it by now.
    """
    await keep(session, turn, _PROGRESS.dump_python(progress, mode="json"))


async def count_customers(session: AsyncSession, provider: Provider, *, partial: bool) -> int:
    """Return how many customers there are to compare.

    Args:
        partial: count also those that were only listed.
    """
    conditions = _comparable(provider, partial=partial)
    return (await session.exec(select(func.count()).where(*conditions))).one()


async def next_customers(
    session: AsyncSession, provider: Provider, position: Position, *, partial: bool, limit: int
) -> list[UUID]:
    """Return our ids of the customers that follow a position, in the order of their keys.

    Args:
        partial: return also those that were only listed.
    """
    unclaimed = col(Customer.team_id).is_(None)
    query = (
        select(Customer.id)
        .where(
            *_comparable(provider, partial=partial),
            unclaimed if position.stage is Stage.NOBODYS else ~unclaimed,
        )
        .order_by(col(Customer.id))
        .limit(limit)
    )
    if position.after is not None:
        query = query.where(col(Customer.id) > position.after)
    return list((await session.exec(query)).all())


def _comparable(provider: Provider, *, partial: bool) -> list[Any]:
    conditions: list[Any] = [
        Customer.provider == provider.value,
        col(Customer.provider_customer_id).is_not(None),
    ]
    return conditions if partial else [*conditions, ~col(Customer.partial)]
