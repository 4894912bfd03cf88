"""Statuses that this version has no word for: shown as they are, and reported, so that somebody gives them one."""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from sqlalchemy import func, literal_column
from sqlmodel import col, select

from billing_ui.database import Database
from billing_ui.models import Subscription
from billing_ui.payments.types import Snapshot, SubscriptionState

log = structlog.get_logger(__name__)

_reported: set[tuple[str, str]] = set()
"""What this process has said already: a provider and its word."""


@dataclass(frozen=True)
class UnknownStatus:
    """A provider's word that none of ours stands for, and how many subscriptions have it."""

    provider: str
    status: str
    subscriptions: int


def report_unknown(snapshots: Iterable[Snapshot]) -> None:
    """Say in the log which statuses in `snapshots` are unknown; of each, a process says so once."""
    for snapshot in snapshots:
        for subscription in snapshot.subscriptions:
            found = (snapshot.provider, subscription.status)
            if subscription.state is SubscriptionState.UNKNOWN and found not in _reported:
                _reported.add(found)
                log.warning(
                    "status_unknown",
                    provider=snapshot.provider,
                    status=subscription.status,
                    subscription=subscription.id,
                )


async def unknown_statuses(database: Database) -> tuple[UnknownStatus, ...]:
    """Return the unknown statuses that subscriptions have; an index holds just those."""
    provider, status = col(Subscription.provider), col(Subscription.status)
    query = (
        select(provider, status, func.count())
        # Written as the index has it, so that both databases use it.
        .where(literal_column("state = 'unknown'"))
        .group_by(provider, status)
        .order_by(provider, status)
    )
    async with database.read() as session:
        return tuple(UnknownStatus(*row) for row in (await session.exec(query)).all())
