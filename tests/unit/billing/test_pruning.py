"""Pruning: events and the state before a visit are kept for thirty days."""

from datetime import timedelta

from sqlmodel import col, select

from billing_ui.billing.pruning import KEPT_FOR, prune
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import InboxEvent, PortalVisit
from tests.unit.billing.factories import new_account

LONG_AGO = KEPT_FOR + timedelta(minutes=1)
LATELY = KEPT_FOR - timedelta(minutes=1)


async def test_old_events_go_and_young_ones_stay(services: Services) -> None:
    def event(number: int, age: timedelta) -> InboxEvent:
        return InboxEvent(
            provider="stripe",
            id=f"evt_{number}",
            type="invoice.paid",
            created_at=utc_now() - age,
            received_at=utc_now() - age,
            payload={},
        )

    async with services.database.write() as session:
        session.add_all(event(number, LONG_AGO) for number in range(1200))
        session.add(event(1200, LATELY))
    assert await prune(services) == 1200
    assert await prune(services) == 0
    async with services.database.read() as session:
        assert (await session.exec(select(InboxEvent.id))).all() == ["evt_1200"]


async def test_an_old_visit_stays_without_the_state_before_it(services: Services) -> None:
    account = await new_account(services, customer="cus_1")
    async with services.database.write() as session:
        session.add_all(
            PortalVisit(
                customer_id=account.customer,
                team_id=account.team_id,
                kind="portal",
                created_at=utc_now() - age,
                before={"provider": "stripe"},
                changes=[{"kind": "plan"}],
            )
            for age in (LONG_AGO, LATELY)
        )
    assert await prune(services) == 1
    async with services.database.read() as session:
        by_age = select(PortalVisit).order_by(col(PortalVisit.created_at))
        visits = (await session.exec(by_age)).all()
    assert [visit.before for visit in visits] == [None, {"provider": "stripe"}]
    assert all(visit.changes for visit in visits)
