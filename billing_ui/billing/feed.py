"""What changed in a team's billing lately, as the page tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.changes import (
    PLAN_KINDS,
    Change,
    InvoicePaid,
    RenewalMoved,
    load_changes,
)
from billing_ui.models import ChangeSource, Customer, RecordedChange

NEWEST: Final = 5
"""How many changes the page shows."""


@dataclass(frozen=True)
class FeedEntry:
    """One change, how it came to us, and when we found it (UTC); a later one has a higher `id`.

    `visit_id` names the trip to the provider it was made on, if it was.
    """

    id: int
    change: Change
    source: ChangeSource
    visit_id: UUID | None
    found_at: datetime


async def read_feed(
    session: AsyncSession, customer: Customer, *, plan_alone: bool
) -> Sequence[FeedEntry]:
    """Return the newest changes of a customer, to somebody who may see its team's plan.

    The latest find comes first, and of one find the most important change. Beside the plan, a renewal that was
    paid is told as a payment alone.

    Args:
        plan_alone: whether to tell of nothing but the plan, for who may not see invoices.
    """
    query = (
        select(RecordedChange)
        .where(RecordedChange.customer_id == customer.id)
        .order_by(col(RecordedChange.fetch_no).desc(), col(RecordedChange.position))
        .limit(2 * NEWEST)
    )
    if plan_alone:
        kind = col(RecordedChange.document)["kind"].as_string()
        query = query.where(kind.in_(sorted(PLAN_KINDS)))
    rows = (await session.exec(query)).all()
    entries = [
        FeedEntry(
            id=row.id or 0,
            change=load_changes([row.document])[0],
            source=ChangeSource(row.source),
            visit_id=row.visit_id,
            found_at=row.found_at,
        )
        for row in rows
    ]
    paid = {
        row.fetch_no
        for row, entry in zip(rows, entries, strict=True)
        if isinstance(entry.change, InvoicePaid)
    }
    return [
        entry
        for row, entry in zip(rows, entries, strict=True)
        if not (isinstance(entry.change, RenewalMoved) and row.fetch_no in paid)
    ][:NEWEST]
