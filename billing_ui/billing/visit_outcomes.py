"""What came of trips to the provider, written in the transaction that found it out."""

from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import Actor, AuditAction, record
from billing_ui.accounts.clients import client_bound
from billing_ui.billing.changes import Change, dump_changes
from billing_ui.billing.comparison import compare
from billing_ui.billing.fetches import Fetch
from billing_ui.billing.words import provider_name
from billing_ui.clock import utc_now
from billing_ui.models import ActorKind, Customer, PortalVisit, User, VisitKind
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
        if document is not None and document != visit.changes:
            await _tell(session, visit, document)
        # Coming back a second time with more to tell shows a banner that was dismissed again.
        dismissed_at = visit.dismissed_at if document == visit.changes else None
        await session.exec(
            update(PortalVisit)
            .where(col(PortalVisit.id) == visit.id)
            .values(synced_at=utc_now(), changes=document, dismissed_at=dismissed_at)
        )


async def _tell(session: AsyncSession, visit: PortalVisit, document: list[dict[str, Any]]) -> None:
    """Write in the audit log what came of a visit; of a second return from it, when there is more to tell."""
    person = await session.get(User, visit.user_id) if visit.user_id else None
    actor = (
        Actor(ActorKind.USER, person.id, person.email)
        if person
        else Actor(ActorKind.PROVIDER, label=await _provider(session, visit.customer_id))
    )
    # Whoever happens to look just now is not the one who was there.
    with client_bound(None, None):
        await record(
            session,
            AuditAction.VISIT_SETTLED,
            team_id=visit.team_id,
            actor=actor,
            details={"visit": str(visit.id), "kind": visit.kind, "changes": document},
        )


async def _provider(session: AsyncSession, customer_id: UUID) -> str:
    customer = await session.get_one(Customer, customer_id)
    return provider_name(customer.provider)


def _changes_since(visit: PortalVisit, snapshot: Snapshot) -> tuple[Change, ...] | None:
    if visit.before is not None:
        return compare(Snapshot.model_validate(visit.before), snapshot)
    # A customer that was never synced had nothing yet before its first checkout. Before a portal visit
    # it had something, and nobody knows what.
    return compare(None, snapshot) if visit.kind == VisitKind.CHECKOUT else None
