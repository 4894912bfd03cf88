"""Pruning: what is kept for a while only is deleted, a little at a time, so that nobody waits for it."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import structlog
from sqlalchemy import delete, tuple_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import forget_old
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import InboxEvent, PortalVisit

log = structlog.get_logger(__name__)

KEPT_FOR: Final = timedelta(days=30)
"""So long an event's payload and a visit's copy of the state before it are kept."""
_BATCH: Final = 500

_Forget: TypeAlias = Callable[[AsyncSession, int], Awaitable[int]]
"""Forgets so many rows at most within a transaction, and returns how many."""


async def prune(services: Services) -> int:
    """Delete events received more than 30 days ago, and from visits as old the copy of the state before them.

    The audit log forgets what is older than a year.

    Returns:
        How many rows were deleted or emptied.
    """
    limit = utc_now() - KEPT_FOR
    pruned = 0
    for forget in (_statement(_delete_events, limit), _statement(_clear_visits, limit), forget_old):
        pruned += await _in_batches(services, forget)
    if pruned:
        log.info("pruned", rows=pruned)
    return pruned


async def _in_batches(services: Services, forget: _Forget) -> int:
    pruned, last = 0, _BATCH
    while last == _BATCH:
        # A transaction each: on SQLite everybody who writes waits for the end of this one.
        async with services.database.write() as session:
            last = await forget(session, _BATCH)
        pruned += last
    return pruned


def _statement(statement: Callable[[datetime, int], Any], limit: datetime) -> _Forget:
    async def forget(session: AsyncSession, at_most: int) -> int:
        count: int = (await session.exec(statement(limit, at_most))).rowcount
        return count

    return forget


def _delete_events(limit: datetime, at_most: int) -> Any:
    key = (col(InboxEvent.provider), col(InboxEvent.id))
    oldest = (
        select(*key)
        .where(InboxEvent.received_at < limit)
        .order_by(col(InboxEvent.received_at))
        .limit(at_most)
    )
    return delete(InboxEvent).where(tuple_(*key).in_(oldest))


def _clear_visits(limit: datetime, at_most: int) -> Any:
    old = (
        select(PortalVisit.id)
        .where(PortalVisit.created_at < limit, col(PortalVisit.before).is_not(None))
        .limit(at_most)
        # One that is being settled can wait till tomorrow; who settles it must not wait for the others here.
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    return update(PortalVisit).where(col(PortalVisit.id).in_(select(old.c.id))).values(before=None)
