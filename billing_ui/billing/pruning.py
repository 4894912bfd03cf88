"""Pruning: what is kept for a while only is deleted, a little at a time, so that nobody waits for it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import delete, tuple_, update
from sqlmodel import col, select

from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import InboxEvent, PortalVisit

log = structlog.get_logger(__name__)

KEPT_FOR: Final = timedelta(days=30)
"""So long an event's payload and a visit's copy of the state before it are kept."""
_BATCH: Final = 500


async def prune(services: Services) -> int:
    """Delete events received more than 30 days ago, and from visits as old the copy of the state before them.

    Returns:
        How many rows were deleted or emptied.
    """
    limit = utc_now() - KEPT_FOR
    pruned = await _in_batches(services, _delete_events, limit)
    pruned += await _in_batches(services, _clear_visits, limit)
    if pruned:
        log.info("pruned", rows=pruned)
    return pruned


async def _in_batches(
    services: Services, statement: Callable[[datetime], Any], limit: datetime
) -> int:
    pruned, last = 0, _BATCH
    while last == _BATCH:
        # A transaction each: on SQLite everybody who writes waits for the end of this one.
        async with services.database.write() as session:
            last = (await session.exec(statement(limit))).rowcount
        pruned += last
    return pruned


def _delete_events(limit: datetime) -> Any:
    key = (col(InboxEvent.provider), col(InboxEvent.id))
    oldest = (
        select(*key)
        .where(InboxEvent.received_at < limit)
        .order_by(col(InboxEvent.received_at))
        .limit(_BATCH)
    )
    return delete(InboxEvent).where(tuple_(*key).in_(oldest))


def _clear_visits(limit: datetime) -> Any:
    old = (
        select(PortalVisit.id)
        .where(PortalVisit.created_at < limit, col(PortalVisit.before).is_not(None))
        .limit(_BATCH)
        # One that is being settled can wait till tomorrow; who settles it must not wait for the others here.
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    return (
        update(PortalVisit).where(col(PortalVisit.id).in_(select(old.c.id))).values(before=None)
    )
