"""Writing down what changed in a customer's billing, and who or what most likely changed it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.changes import (
    Change,
    InvoiceFailed,
    InvoicePaid,
    RenewalMoved,
    dump_changes,
)
from billing_ui.clock import utc_now
from billing_ui.models import ChangeSource, PortalVisit, RecordedChange
from billing_ui.models.columns import table_of

_AWAY_FOR: Final = timedelta(hours=1)
"""So long after leaving for the provider somebody may still be changing something there."""


async def record_changes(
    session: AsyncSession,
    customer_id: UUID,
    fetch_no: int,
    changes: Sequence[Change],
    source: ChangeSource,
) -> None:
    """Write what a fetch has found to be changed, in the transaction that applies it.

    While somebody is at the provider for the customer, or is back and not told yet, a change is taken for
    theirs; a renewal happens by itself.

    Args:
        source: what caused the fetch, which a change that is nobody's is said to come from.
    """
    if not changes:
        return
    visit = await _open_visit(session, customer_id)
    now, renewal = utc_now(), any(isinstance(change, RenewalMoved) for change in changes)
    rows: list[dict[str, Any]] = []
    for position, (change, document) in enumerate(zip(changes, dump_changes(changes), strict=True)):
        theirs = visit is not None and not (renewal and _happens_by_itself(change))
        rows.append(
            {
                "customer_id": customer_id,
                "fetch_no": fetch_no,
                "position": position,
                "source": visit.kind if visit and theirs else source.value,
                "visit_id": visit.id if visit and theirs else None,
                "found_at": now,
                "document": document,
            }
        )
    connection = await session.connection()
    await connection.execute(insert(table_of(RecordedChange)), rows)


async def _open_visit(session: AsyncSession, customer_id: UUID) -> PortalVisit | None:
    """Return the newest visit that is still going on, or whose person is back and was not told yet."""
    query = (
        select(PortalVisit)
        .where(
            PortalVisit.customer_id == customer_id,
            col(PortalVisit.synced_at).is_(None),
            or_(
                col(PortalVisit.returned_at).is_not(None),
                col(PortalVisit.created_at) > utc_now() - _AWAY_FOR,
            ),
        )
        .order_by(col(PortalVisit.created_at).desc())
        .limit(1)
    )
    return (await session.exec(query)).first()


def _happens_by_itself(change: Change) -> bool:
    return isinstance(change, RenewalMoved | InvoicePaid | InvoiceFailed)
