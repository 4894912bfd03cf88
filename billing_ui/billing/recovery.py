"""Recovery: events that never reached us are read from the provider's own list, so that downtime heals itself."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

import structlog
from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.fetches import mark_all_out_of_date, mark_values
from billing_ui.billing.inbox import accept_many
from billing_ui.billing.job_rows import remember, remembered
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import Catalog, EventSource, InboxEvent
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import ProviderEvent
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)

OVERLAP: Final = timedelta(minutes=10)
"""So late an event may appear in the list and still be found."""
KEPT_FOR: Final = timedelta(days=29)
"""So old a position may be. Providers list 30 days of events; a day is for clocks that differ from theirs."""
_CLOCKS_DIFFER: Final = timedelta(days=1)
_BATCH: Final = 100


@dataclass(frozen=True)
class Position:
    """How far the event list was walked.

    Attributes:
        newest: when the provider created the newest event seen, by its own clock; None while it had none.
        walked_at: when the last whole walk began, by our clock. It says how long we were away.
    """

    newest: datetime | None
    walked_at: datetime

    @property
    def since(self) -> datetime:
        """From where the next walk goes, by the provider's clock."""
        return self.walked_at - _CLOCKS_DIFFER if self.newest is None else self.newest - OVERLAP

    @classmethod
    def loaded(cls, state: dict[str, Any]) -> Self | None:
        """Return the position in what a job remembers, None when there is none."""
        if not state:
            return None
        newest = state["newest"]
        return cls(
            datetime.fromisoformat(newest) if newest else None,
            datetime.fromisoformat(state["walked_at"]),
        )

    def dumped(self) -> dict[str, Any]:
        """Return the position as JSON."""
        newest = self.newest.isoformat() if self.newest else None
        return {"newest": newest, "walked_at": self.walked_at.isoformat()}


def position_row(provider: Provider) -> str:
    """Return the name of the job that walks a provider's event list; its row keeps the position in it."""
    return f"recovery:{provider}"


async def recover(services: Services, driver: Driver) -> int:
    """Accept every event in a provider's list since the last whole walk, less ten minutes.

    The list comes newest first, so the position moves on only when all of it was seen. Events known already
    cost a look at their keys. Without a position, or after an absence longer than the provider keeps
    events, nobody can say what was missed: then every customer fetched before is marked out of date.

    Returns:
        How many events were new.

    Raises:
        PaymentError: the provider could not be asked. What was accepted stays; the position does not move.
    """
    began, provider = utc_now(), driver.provider
    position = await _load(services, provider)
    if position is None or began - position.walked_at > KEPT_FOR:
        position = await _begin_anew(services, provider, position, began)
    found, newest = 0, position.newest
    async for events in _in_batches(driver.list_events(position.since)):
        newest = max(filter(None, (newest, *(event.created_at for event in events))))
        if unknown := await _unknown(services, provider, events):
            found += await accept_many(services, provider, unknown, source=EventSource.RECOVERY)
    async with services.database.write() as session:
        await _advance(session, provider, Position(newest, began))
    if found:
        log.info("events_recovered", provider=provider.value, events=found)
    return found


async def _begin_anew(
    services: Services, provider: Provider, lost: Position | None, began: datetime
) -> Position:
    """Mark everything that was fetched before out of date; the walk then begins a day ago.

    The position is kept when everything is marked, and before the walk: a list that cannot be walked must not
    make us fetch everything again and again.
    """
    position = Position(None, began)
    marked = await mark_all_out_of_date(services.database, provider)
    async with services.database.write() as session:
        await session.exec(
            update(Catalog)
            .where(col(Catalog.provider) == provider.value)
            .values(**mark_values(Catalog))
        )
        await _advance(session, provider, position)
    services.work.ring()
    if lost is not None:
        log.warning(
            "events_lost",
            provider=provider.value,
            since=lost.walked_at.isoformat(),
            customers_to_fetch=marked,
        )
    return position


async def _in_batches(events: AsyncIterator[ProviderEvent]) -> AsyncIterator[list[ProviderEvent]]:
    batch: list[ProviderEvent] = []
    async for event in events:
        batch.append(event)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _unknown(
    services: Services, provider: Provider, events: Sequence[ProviderEvent]
) -> list[ProviderEvent]:
    query = select(InboxEvent.id).where(
        InboxEvent.provider == provider.value,
        col(InboxEvent.id).in_([event.id for event in events]),
    )
    async with services.database.read() as session:
        known = set((await session.exec(query)).all())
    return [event for event in events if event.id not in known]


async def _load(services: Services, provider: Provider) -> Position | None:
    async with services.database.read() as session:
        return Position.loaded(await remembered(session, position_row(provider)))


async def _advance(session: AsyncSession, provider: Provider, position: Position) -> None:
    """Keep a position, unless another process has kept one of a later walk."""
    row = position_row(provider)
    kept = Position.loaded(await remembered(session, row, lock=True))
    if kept is None or kept.walked_at <= position.walked_at:
        await remember(session, row, position.dumped())
