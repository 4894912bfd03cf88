"""Recovery: what happened while nobody listened is found in the provider's event list."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from itertools import count

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing import fetches
from billing_ui.billing.inbox import accept, accept_many
from billing_ui.billing.job_rows import remember, remembered
from billing_ui.billing.recovery import KEPT_FOR, OVERLAP, position_row
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import Catalog, Customer, InboxEvent
from billing_ui.payments.types import ProviderEvent, ProviderUnavailable
from billing_ui.settings import Provider
from tests.unit.billing.factories import new_account, recover_all, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver

_numbers = count(1)


def happened(driver: FakeDriver, customer: str, *, ago: timedelta = timedelta()) -> ProviderEvent:
    """Let the provider have an event of a customer in its list."""
    event = ProviderEvent(
        id=f"evt_{next(_numbers)}",
        type="customer.subscription.updated",
        created_at=utc_now() - ago,
        customer_id=customer,
        payload={"id": "evt"},
    )
    driver.events.append(event)
    return event


async def out_of_date(services: Services) -> set[str]:
    """Return the provider's ids of the customers the worker will fetch."""
    query = select(Customer).where(
        Customer.wanted > Customer.applied, col(Customer.partial).is_(False)
    )
    async with services.database.read() as session:
        return {row.provider_customer_id or "" for row in (await session.exec(query)).all()}


async def inbox(services: Services) -> dict[str, str]:
    """Return the events we have, and how each reached us."""
    async with services.database.read() as session:
        return {row.id: row.source for row in (await session.exec(select(InboxEvent))).all()}


async def position(services: Services) -> dict[str, str]:
    """Return how far the list was walked."""
    async with services.database.read() as session:
        return await remembered(session, position_row(Provider.STRIPE))


@pytest.fixture
async def synced(services: Services, driver: FakeDriver) -> Services:
    """Services that know one customer, up to date, and have walked the event list once."""
    driver.has(snapshot(subscription(), customer="cus_1"))
    account = await new_account(services, customer="cus_1")
    await recover_all(services)
    await sync_customer(services, account.customer)
    return services


async def test_a_missed_webhook_is_found_after_downtime(
    synced: Services, driver: FakeDriver
) -> None:
    assert await out_of_date(synced) == set()
    event = happened(driver, "cus_1")
    assert await recover_all(synced) == 1
    assert await inbox(synced) == {event.id: "recovery"}
    assert await out_of_date(synced) == {"cus_1"}


async def test_a_customer_never_heard_of_is_found_too(synced: Services, driver: FakeDriver) -> None:
    happened(driver, "cus_unheard")
    await recover_all(synced)
    assert await out_of_date(synced) == {"cus_unheard"}


async def test_what_a_webhook_brought_is_not_brought_again(
    synced: Services, driver: FakeDriver
) -> None:
    event = happened(driver, "cus_1")
    await accept(synced, Provider.STRIPE, event)
    assert await recover_all(synced) == 0
    async with synced.database.read() as session:
        row = (await session.exec(select(Customer))).one()
    assert await inbox(synced) == {event.id: "webhook"}
    assert row.wanted == row.applied + 1


async def test_an_event_that_appears_late_in_the_list_is_still_found(
    synced: Services, driver: FakeDriver
) -> None:
    happened(driver, "cus_1")
    await recover_all(synced)
    late = happened(driver, "cus_late", ago=OVERLAP - timedelta(seconds=5))
    happened(driver, "cus_too_late", ago=OVERLAP + timedelta(seconds=5))
    assert await recover_all(synced) == 1
    assert late.id in await inbox(synced)


async def test_nothing_new_costs_one_call(synced: Services, driver: FakeDriver) -> None:
    for _ in range(30):
        happened(driver, "cus_1")
    await recover_all(synced)
    before = len(driver.calls)
    assert await recover_all(synced) == 0
    assert driver.calls[before:] == ["list_events"]


@pytest.mark.parametrize("seen", [0, 1, 150])
async def test_a_walk_that_breaks_off_does_not_move_the_position(
    synced: Services, driver: FakeDriver, seen: int
) -> None:
    events = [happened(driver, f"cus_{n}", ago=timedelta(seconds=300 - n)) for n in range(200)]
    before = await position(synced)
    for _ in range(seen):
        driver.hold("list_events:event").release()
    breaking = driver.hold("list_events:event")
    walk = asyncio.create_task(recover_all(synced))
    await breaking.reached.wait()
    driver.fail("list_events:event", ProviderUnavailable())
    breaking.release()
    with pytest.raises(ProviderUnavailable):
        await walk
    assert await position(synced) == before
    # What was accepted stays accepted; the next walk finds the rest, and nothing twice.
    accepted = len(await inbox(synced))
    assert accepted == (100 if seen == 150 else 0)
    assert await recover_all(synced) == len(events) - accepted
    assert set(await inbox(synced)) == {event.id for event in events}


async def test_the_position_is_the_providers_time_not_ours(
    synced: Services, driver: FakeDriver
) -> None:
    # The provider's clock is two hours behind.
    happened(driver, "cus_1", ago=timedelta(hours=2))
    await recover_all(synced)
    happened(driver, "cus_2", ago=timedelta(hours=2) - timedelta(minutes=1))
    assert await recover_all(synced) == 1
    assert "cus_2" in await out_of_date(synced)


async def test_the_first_walk_fetches_everything_anew_and_begins_a_day_ago(
    services: Services, driver: FakeDriver
) -> None:
    driver.has(snapshot(customer="cus_1"))
    account = await new_account(services, customer="cus_1")
    await sync_customer(services, account.customer)
    happened(driver, "cus_old", ago=timedelta(hours=25))
    happened(driver, "cus_new", ago=timedelta(hours=23))
    assert await recover_all(services) == 1
    assert await out_of_date(services) == {"cus_1", "cus_new"}


async def test_after_a_longer_absence_than_events_are_kept_everything_is_fetched_anew(
    synced: Services, driver: FakeDriver
) -> None:
    await recover_all(synced)
    async with synced.database.write() as session:
        session.add(Catalog(provider="stripe", wanted=3, applied=3))
        session.add(Customer(provider="stripe", provider_customer_id="cus_listed", partial=True))
        state = await remembered(session, position_row(Provider.STRIPE))
        long_ago = utc_now() - KEPT_FOR - timedelta(hours=1)
        await remember(
            session, position_row(Provider.STRIPE), state | {"walked_at": long_ago.isoformat()}
        )
    assert await recover_all(synced) == 0
    # Whom we have only listed is fetched when somebody looks.
    assert await out_of_date(synced) == {"cus_1"}
    async with synced.database.read() as session:
        assert (await session.exec(select(Catalog.wanted))).one() == 4
    # Once is enough.
    assert (await position(synced))["walked_at"] > long_ago.isoformat()


async def test_a_list_that_cannot_be_walked_does_not_fetch_everything_again_and_again(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer=driver.has(snapshot(customer="cus_1")))
    for _ in range(3):
        driver.fail("list_events", ProviderUnavailable())
        with pytest.raises(ProviderUnavailable):
            await recover_all(services)
    async with services.database.read() as session:
        row = (await session.exec(select(Customer))).one()
    assert row.id == account.customer
    assert row.wanted == 2


@pytest.fixture
async def seven(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Seven customers fetched whole, where three are marked at once."""
    monkeypatch.setattr(fetches, "_MARKED_AT_ONCE", 3)
    names = [f"cus_{n}" for n in range(7)]
    async with services.database.write() as session:
        for name in names:
            session.add(
                Customer(provider="stripe", provider_customer_id=name, applied=1, marked_at=None)
            )
    return names


async def test_each_customer_is_marked_once_a_few_in_each_transaction(
    services: Services, seven: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions, write = [], services.database.write

    def counted(**options: bool) -> AbstractAsyncContextManager[AsyncSession]:
        transactions.append(options)
        return write(**options)

    monkeypatch.setattr(services.database, "write", counted)
    assert await fetches.mark_all_out_of_date(services.database, Provider.STRIPE) == 7
    assert len(transactions) == 3
    async with services.database.read() as session:
        rows = (await session.exec(select(Customer))).all()
    assert [(row.wanted, row.marked_at is not None) for row in rows] == [(2, True)] * 7


async def test_marking_that_breaks_off_keeps_no_position_and_is_done_again(
    services: Services, seven: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = services.database.write
    left = iter([True])

    def breaking(**options: bool) -> AbstractAsyncContextManager[AsyncSession]:
        if next(left, None) is None:
            raise OSError("the database is gone")
        return write(**options)

    monkeypatch.setattr(services.database, "write", breaking)
    with pytest.raises(OSError, match="gone"):
        await recover_all(services)
    assert await position(services) == {}
    assert len(await out_of_date(services)) == 3
    monkeypatch.setattr(services.database, "write", write)
    await recover_all(services)
    assert await out_of_date(services) == set(seven)
    assert await position(services) != {}


async def test_events_are_accepted_while_everything_is_marked(
    services: Services, other_process: Services, driver: FakeDriver, seven: list[str]
) -> None:
    events = [happened(driver, name) for name in seven]
    marking = [fetches.mark_all_out_of_date(services.database, Provider.STRIPE) for _ in range(10)]
    await asyncio.gather(*marking, accept_many(other_process, Provider.STRIPE, events))
    async with services.database.read() as session:
        assert set((await session.exec(select(Customer.wanted))).all()) == {12}


async def test_quiet_years_are_no_absence(synced: Services, driver: FakeDriver) -> None:
    happened(driver, "cus_1", ago=timedelta(days=400))
    await recover_all(synced)
    before = await position(synced)
    await recover_all(synced)
    assert await out_of_date(synced) == set()
    assert (await position(synced))["walked_at"] > before["walked_at"]


async def test_two_processes_that_recover_at_once_store_each_event_once(
    synced: Services, other_process: Services, driver: FakeDriver
) -> None:
    for number in range(250):
        happened(driver, f"cus_{number}")
    found = await asyncio.gather(recover_all(synced), recover_all(other_process))
    assert sum(found) == 250
    assert len(await inbox(synced)) == 250
