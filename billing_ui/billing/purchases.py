"""Whose a customer is that nobody made here: a purchase under another e-mail address than the team's makes one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import case, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.customers import give_to_team, rivals_of
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import Customer, InboxEvent, PortalVisit, Team, VisitKind
from billing_ui.payments.driver import TellsBuyers
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)

_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""By how much the database's clock may be ahead of ours, for all that we care."""


async def claim_purchase(services: Services, customer: Customer) -> UUID | None:
    """Give a customer of nobody's to the team whose purchase made it; returns whose it is then, or None.

    The events that have made it out of date must prove it. And the team must have bought nothing yet at this
    provider, for all that we have fetched: else an operator decides.

    Args:
        customer: without a team, of a provider that is served.

    Raises:
        PaymentError: the provider did not tell since when the customer is there.
    """
    customer_id = customer.provider_customer_id
    driver = services.drivers.get(Provider(customer.provider))
    if customer_id is None or not isinstance(driver, TellsBuyers):
        return None
    since = (customer.marked_at or utc_now()) - _CLOCKS_DIFFER
    query = select(InboxEvent.payload).where(
        InboxEvent.provider == customer.provider,
        InboxEvent.provider_customer_id == customer_id,
        # Found by the index on it: the inbox holds a month.
        col(InboxEvent.received_at) > since,
    )
    async with services.database.read() as session:
        events = (await session.exec(query)).all()
    team_id = await driver.team_of_purchase(customer_id, events)
    return None if team_id is None else await _give(services, customer.id, team_id)


async def _give(services: Services, customer_id: UUID, team_id: UUID) -> UUID | None:
    async with services.database.write() as session:
        query = (
            select(Customer)
            .where(or_(col(Customer.id) == customer_id, col(Customer.team_id) == team_id))
            .order_by(col(Customer.provider_customer_id))
            .with_for_update()
        )
        found = (await session.exec(query)).all()
        [customer] = [one for one in found if one.id == customer_id]
        if customer.team_id is not None or await session.get(Team, team_id) is None:
            # Somebody was faster; or the team is of another installation that sells in the same store.
            return customer.team_id
        provider_customer_id = customer.provider_customer_id or ""
        rivals = await rivals_of(session, team_id, customer.provider, provider_customer_id)
        if not all(rival.synced_at and has_nothing for rival, has_nothing in rivals):
            log.warning("purchase_unclaimed", customer=provider_customer_id, team_id=str(team_id))
            return None
        await give_to_team(session, customer, team_id, (rival for rival, _ in rivals))
        await _move_visit(session, [rival.id for rival, _ in rivals], customer_id)
    log.info("purchase_claimed", customer=provider_customer_id, team_id=str(team_id))
    return team_id


async def _move_visit(session: AsyncSession, before: Sequence[UUID], now: UUID) -> None:
    """Let the last trip to a checkout be one of the customer that came of it: what changed is found there alone."""
    last = (
        select(PortalVisit.id)
        .where(col(PortalVisit.customer_id).in_(before), PortalVisit.kind == VisitKind.CHECKOUT)
        .order_by(col(PortalVisit.created_at).desc())
        .limit(1)
    )
    # Who is back already was told that nothing changed: the fetch that goes on here tells them otherwise.
    told_again = case((col(PortalVisit.returned_at).is_not(None), 0))
    await session.exec(
        update(PortalVisit)
        .where(col(PortalVisit.id).in_(last))
        .values(customer_id=now, wanted=told_again, synced_at=None, changes=None)
    )
