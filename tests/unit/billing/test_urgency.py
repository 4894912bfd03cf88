"""Whose turn it is: what an event told of comes before what was marked in bulk, whoever can look before nobody."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select, update

from billing_ui.billing.customers import mark_customer_out_of_date
from billing_ui.billing.fetches import any_due, begin_due_fetches, mark_all_out_of_date
from billing_ui.billing.inbox import accept, accept_many
from billing_ui.billing.live import Notice, TeamChanged
from billing_ui.billing.services import Services
from billing_ui.billing.worker import SYNCS_AT_ONCE, drain
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer, Team, Urgency
from billing_ui.payments.types import ProviderEvent, Snapshot
from billing_ui.settings import Provider
from tests.unit.billing.factories import new_account, snapshot
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.statements import noted_statements, plan_of


def event(customer: str, number: int = 1) -> ProviderEvent:
    """Return an event about a customer."""
    return ProviderEvent(
        id=f"evt_{customer}_{number}",
        type="customer.updated",
        created_at=utc_now(),
        customer_id=customer,
    )


async def current(services: Services, *names: str, claimed: bool = False) -> None:
    """Store customers that are up to date."""
    async with services.database.write() as session:
        for name in names:
            team = Team(name=name) if claimed else None
            if team is not None:
                session.add(team)
                await session.flush()
            session.add(
                Customer(
                    team_id=team.id if team else None,
                    provider="stripe",
                    provider_customer_id=name,
                    applied=1,
                    marked_at=None,
                )
            )


async def mark_all(services: Services) -> None:
    """Mark every customer, as is done when nobody can say what was missed."""
    await mark_all_out_of_date(services.database, Provider.STRIPE)


async def row_of(services: Services, name: str) -> Customer:
    """Return a customer as it now is."""
    async with services.database.read() as session:
        query = select(Customer).where(Customer.provider_customer_id == name)
        return (await session.exec(query)).one()


async def taken(services: Services, times: int) -> AsyncIterator[str]:
    """Take the leases of so many customers, one after the other, as the worker does; yield who they are."""
    for _ in range(times):
        for customer_id in await begin_due_fetches(services.database, Provider.STRIPE, 1):
            yield await _name_of(services, customer_id)


def assert_in_order(plan: list[str]) -> None:
    """Assert that a plan finds customers out of date in the order of their index."""
    steps = "\n".join(plan).lower()
    assert "ix_customer_out_of_date" in steps, steps
    assert "sort" not in steps, steps
    assert "temp b-tree" not in steps, steps


async def order_of(services: Services, times: int) -> list[str]:
    """Return who comes first, second and so on."""
    return [name async for name in taken(services, times)]


async def _name_of(services: Services, customer_id: UUID) -> str:
    async with services.database.read() as session:
        query = select(Customer.provider_customer_id).where(Customer.id == customer_id)
        return (await session.exec(query)).one() or ""


# ---------------------------------------------------------------- events first


async def test_an_event_does_not_wait_for_a_thousand_marked_in_bulk(services: Services) -> None:
    await current(services, *(f"cus_{number}" for number in range(1000)))
    await mark_all(services)
    await accept(services, Provider.STRIPE, event("cus_777"))
    assert await order_of(services, 1) == ["cus_777"]


async def test_the_worker_fetches_whom_an_event_names_among_the_first_and_the_bulk_after_it(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"cus_{number}" for number in range(5 * SYNCS_AT_ONCE)]
    for name in names:
        driver.has(snapshot(customer=name))
    await current(services, *names)
    await mark_all(services)
    await accept(services, Provider.STRIPE, event(names[-1]))
    began: list[str] = []
    fetch = driver.fetch_snapshot

    async def noting(customer_id: str, **options: Any) -> Snapshot:
        began.append(customer_id)
        return await fetch(customer_id, **options)

    monkeypatch.setattr(driver, "fetch_snapshot", noting)
    assert await drain(services) == len(names)
    assert names[-1] in began[:SYNCS_AT_ONCE]
    assert sorted(began) == sorted(names)


async def test_a_customer_never_heard_of_does_not_wait_for_the_bulk(services: Services) -> None:
    await current(services, "cus_1", claimed=True)
    await mark_all(services)
    await accept_many(services, Provider.STRIPE, [event("cus_new")])
    assert await order_of(services, 2) == ["cus_new", "cus_1"]


async def test_a_person_does_not_wait_for_the_bulk(services: Services) -> None:
    await current(services, *(f"cus_{number}" for number in range(3)), claimed=True)
    await mark_all(services)
    await mark_customer_out_of_date(services, (await row_of(services, "cus_2")).id)
    assert await order_of(services, 1) == ["cus_2"]


async def test_what_waits_in_bulk_stands_behind_earlier_events_when_one_names_it(
    services: Services,
) -> None:
    await current(services, "cus_1", "cus_2")
    await mark_all(services)
    hour_ago = utc_now() - timedelta(hours=1)
    async with services.database.write() as session:
        await session.exec(update(Customer).values(marked_at=hour_ago))
    await accept(services, Provider.STRIPE, event("cus_2"))
    await accept(services, Provider.STRIPE, event("cus_1"))
    # Nothing was known to be late before.
    assert ((await row_of(services, "cus_2")).marked_at or hour_ago) > hour_ago
    assert await order_of(services, 2) == ["cus_2", "cus_1"]


async def test_a_second_event_and_a_mark_in_bulk_cost_nobody_their_place(
    services: Services,
) -> None:
    await current(services, "cus_1", "cus_2")
    await accept(services, Provider.STRIPE, event("cus_1", 1))
    await accept(services, Provider.STRIPE, event("cus_2"))
    before = (await row_of(services, "cus_1")).marked_at
    await accept(services, Provider.STRIPE, event("cus_1", 2))
    await mark_all(services)
    row = await row_of(services, "cus_1")
    assert (row.wanted, row.urgency, row.marked_at) == (4, Urgency.EVENT_UNCLAIMED, before)
    assert await order_of(services, 2) == ["cus_1", "cus_2"]


async def test_an_event_of_the_past_makes_nobody_urgent_again(
    services: Services, driver: FakeDriver
) -> None:
    for name in ("cus_1", "cus_2"):
        driver.has(snapshot(customer=name))
    await current(services, "cus_1")
    await accept(services, Provider.STRIPE, event("cus_1"))
    await drain(services)
    await mark_all(services)
    await accept(services, Provider.STRIPE, event("cus_2"))
    assert await order_of(services, 2) == ["cus_2", "cus_1"]


async def test_an_event_during_a_fetch_of_the_bulk_is_urgent_afterwards(
    services: Services, driver: FakeDriver
) -> None:
    driver.has(snapshot(customer="cus_1"))
    await current(services, "cus_1")
    await mark_all(services)
    hold = driver.hold("fetch_snapshot:answer")
    async with asyncio.TaskGroup() as group:
        group.create_task(drain(services))
        await hold.reached.wait()
        await accept(services, Provider.STRIPE, event("cus_1"))
        again = driver.hold("fetch_snapshot")
        hold.release()
        await again.reached.wait()
        row = await row_of(services, "cus_1")
        assert (row.wanted - row.applied, row.urgency) == (1, Urgency.EVENT_UNCLAIMED)
        again.release()


# ---------------------------------------------------------------- whoever can look first


async def test_of_the_bulk_those_come_first_that_somebody_can_look_at(services: Services) -> None:
    await current(services, "cus_1", "cus_2", "cus_3")
    await current(services, "cus_claimed", claimed=True)
    await mark_all(services)
    assert await order_of(services, 1) == ["cus_claimed"]


async def test_of_the_events_those_come_first_that_somebody_can_see(services: Services) -> None:
    await current(services, "cus_1")
    await current(services, "cus_claimed", claimed=True)
    events = [event("cus_new"), event("cus_1"), event("cus_claimed")]
    for one in events:
        await accept(services, Provider.STRIPE, one)
    assert await order_of(services, 3) == ["cus_claimed", "cus_new", "cus_1"]


# ---------------------------------------------------------------- what else goes by it


async def test_only_what_was_known_to_have_happened_can_be_shown_late(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(customer="cus_1"))
    told: list[Notice] = []
    services.live.subscribe(told.append)
    await drain(services)
    await mark_all(services)
    await drain(services)
    first, second = [notice for notice in told if isinstance(notice, TeamChanged)]
    assert first.since is not None
    assert second == TeamChanged(team_id=account.team_id)


async def test_looking_for_work_reads_the_index_in_its_own_order(database: Database) -> None:
    with noted_statements(database) as asked:
        await any_due(database, Provider.STRIPE)
        await begin_due_fetches(database, Provider.STRIPE, 16)
    assert len(asked) == 2
    for statement, arguments in asked:
        assert_in_order(await plan_of(database, statement, arguments))
