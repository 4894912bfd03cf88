"""What came of trips to the provider, written in the transaction that found it out."""

from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.changes import Change, dump_changes
from billing_ui.billing.comparison import compare
from billing_ui.billing.fetches import Fetch
from billing_ui.clock import utc_now
from billing_ui.models import PortalVisit, VisitKind
from billing_ui.payments.types import Snapshot


async def settle_visits(
    session: AsyncSession, customer_id: UUID, snapshot: Snapshot, fetch: Fetch
) -> None:
    """Say what changed on every visit whose person came back before `fetch` began.

    Whoever fetches does it (the returning visitor, another tab, the worker), so that a visit whose own
    sync failed is settled by the next one that succeeds.
    """
    query = select(PortalVisit).where(
        PortalVisit.customer_id == customer_id,
        col(PortalVisit.synced_at).is_(None),
        col(PortalVisit.wanted) <= fetch.wanted,
    )
    for visit in (await session.exec(query)).all():
        changes = _changes_since(visit, snapshot)
        document = None if changes is None else dump_changes(changes)
        # Coming back a second time with more to tell shows a banner that was dismissed again.
        dismissed_at = visit.dismissed_at if document == visit.changes else None
        await session.exec(
            update(PortalVisit)
            .where(col(PortalVisit.id) == visit.id)
            .values(synced_at=utc_now(), changes=document, dismissed_at=dismissed_at)
        )


def _changes_since(visit: PortalVisit, snapshot: Snapshot) -> tuple[Change, ...] | None:
    if visit.before is not None:
        return compare(Snapshot.model_validate(visit.before), snapshot)
    # A customer that was never synced had nothing yet before its first checkout. Before a portal visit
    # it had something, and nobody knows what.
    return compare(None, snapshot) if visit.kind == VisitKind.CHECKOUT else None
