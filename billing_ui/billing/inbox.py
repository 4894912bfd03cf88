"""The inbox: takes a provider's events in, each once, and wakes whoever fetches what they make out of date."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import StatementError

from billing_ui import metrics
from billing_ui.billing.arrivals import Arrival, refuses_a_value, store_arrivals
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import EventSource
from billing_ui.payments.types import ProviderEvent
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an event: stored just now, or known already."""

    new: bool


async def accept(
    services: Services,
    provider: Provider,
    event: ProviderEvent,
    *,
    source: EventSource = EventSource.WEBHOOK,
    request_id: str | None = None,
) -> Accepted:
    """Store an event, unless it is there, and mark what it makes out of date; returns after the commit.

    Whoever calls at the same time shares the transaction. An event that concerns nothing of ours is kept too.

    Args:
        request_id: of the request that brought it.

    Raises:
        sqlalchemy.exc.SQLAlchemyError, OSError: the database failed; whether it is stored is not known.
    """
    if event.foreign:
        log.warning("event_of_the_other_mode", provider=provider, id=event.id, type=event.type)
    new = await services.arrivals.store(Arrival(provider, event, source, request_id))
    if new:
        services.work.ring()
    _count(provider, event, source, new=new)
    return Accepted(new)


async def accept_many(
    services: Services,
    provider: Provider,
    events: Sequence[ProviderEvent],
    *,
    source: EventSource = EventSource.RECOVERY,
) -> int:
    """Store those of `events` that are not there; returns how many that were.

    They share one transaction, unless the database refuses one of them: then each gets its own.

    Raises:
        sqlalchemy.exc.SQLAlchemyError, OSError: the database failed, or refused one; others may be stored.
    """
    if not events:
        return 0
    arrivals = [Arrival(provider, event, source) for event in events]
    try:
        results = await store_arrivals(services.database, arrivals)
    except StatementError as error:
        if len(arrivals) == 1 or not refuses_a_value(error):
            raise
        return sum([await accept_many(services, provider, [one], source=source) for one in events])
    for event, new in zip(events, results, strict=True):
        _count(provider, event, source, new=new)
    if any(results):
        services.work.ring()
    return sum(results)


def _count(provider: Provider, event: ProviderEvent, source: EventSource, *, new: bool) -> None:
    lag = (utc_now() - event.created_at).total_seconds()
    metrics.event_accepted(provider.value, new=new, source=source.value, lag_seconds=lag)
