"""The worker: finds what is out of date, fetches each once, and outlives everything that fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select, update

from billing_ui.billing import worker
from billing_ui.billing.catalog import portal_configuration_id
from billing_ui.billing.customers import mark_customer_out_of_date
from billing_ui.billing.fetches import any_due, begin_due_fetches, mark_out_of_date
from billing_ui.billing.live import Notice
from billing_ui.billing.refresh import catch_up, refresh_billing
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.sync_failures import PARKED_AFTER, UNKNOWN_PARKED_AFTER
from billing_ui.billing.worker import SYNCS_AT_ONCE, drain, run_worker
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import (
    Catalog,
    ChangeSource,
    Customer,
    PortalConfiguration,
    Product,
    RecordedChange,
)
from billing_ui.payments.types import ProviderRejected, ProviderUnavailable
from billing_ui.settings import EventsMode, Provider
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import Account, catalog, new_account, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers


async def row_of(services: Services, customer_id: UUID) -> Customer:
    """Return a customer as it now is."""
    async with services.database.read() as session:
        return (await session.exec(select(Customer).where(Customer.id == customer_id))).one()


async def set_row(services: Services, customer_id: UUID, **values: Any) -> None:
    """Write columns of a customer."""
    async with services.database.write() as session:
        await session.exec(update(Customer).where(col(Customer.id) == customer_id).values(**values))


async def mark(services: Services, customer_id: UUID) -> int:
    """Mark a customer out of date, as an event does."""
    goal = await mark_customer_out_of_date(services, customer_id)
    services.work.ring()
    return goal


async def new_customer(services: Services, driver: FakeDriver, name: str = "cus_1") -> Account:
    """Return an account whose customer was never fetched."""
    driver.has(snapshot(customer=name))
    return await new_account(services, customer=name)


@asynccontextmanager
async def working(*processes: Services) -> AsyncIterator[None]:
    """Let a worker run in each process."""
    tasks = [asyncio.create_task(run_worker(services)) for services in processes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when `condition` holds."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - it is a state of the database
            await asyncio.sleep(0.005)


async def until_current(services: Services, customer_id: UUID, goal: int = 1) -> None:
    """Return when a customer has reached `goal`."""

    async def reached() -> bool:
        return (await row_of(services, customer_id)).applied >= goal

    await until(reached)


async def until_failed(services: Services, customer_id: UUID, times: int = 1) -> None:
    """Return when the syncs of a customer have failed so often."""

    async def failed() -> bool:
        return (await row_of(services, customer_id)).attempts >= times

    await until(failed)


# ---------------------------------------------------------------- finding work


async def test_what_is_marked_here_is_fetched_without_waiting_for_the_next_look(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_LOOK_SECONDS", 3600)
    account = await new_customer(services, driver)
    async with working(services):
        await until_current(services, account.customer)
        await until_current(services, account.customer, await mark(services, account.customer))
    row = await row_of(services, account.customer)
    assert (row.wanted, row.applied, row.lease_owner, row.marked_at) == (2, 2, None, None)


async def test_what_another_process_marked_is_found_by_looking(
    services: Services,
    other_process: Services,
    driver: FakeDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_LOOK_SECONDS", 0.01)
    account = await new_customer(services, driver)
    async with working(services):
        await until_current(services, account.customer)
        await until_current(services, account.customer, await mark(other_process, account.customer))


async def test_two_workers_fetch_each_customer_once(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    accounts = [await new_customer(services, driver, f"cus_{number}") for number in range(24)]
    async with working(services, other_process):
        for account in accounts:
            await until_current(services, account.customer)
    assert driver.count("fetch_snapshot") == len(accounts)


async def test_so_many_syncs_run_at_the_same_time_and_no_more(
    services: Services, driver: FakeDriver
) -> None:
    accounts = [
        await new_customer(services, driver, f"cus_{number}") for number in range(SYNCS_AT_ONCE + 4)
    ]
    holds = [driver.hold("fetch_snapshot") for _ in accounts]
    async with working(services):
        for hold in holds[:SYNCS_AT_ONCE]:
            await hold.reached.wait()
        # One that ends makes room for one.
        holds[0].release()
        await holds[SYNCS_AT_ONCE].reached.wait()
        assert driver.count("fetch_snapshot") == SYNCS_AT_ONCE + 1
        for hold in holds:
            hold.release()
        for account in accounts:
            await until_current(services, account.customer)


async def test_who_has_waited_longest_comes_first(services: Services, driver: FakeDriver) -> None:
    accounts = [await new_customer(services, driver, f"cus_{number}") for number in range(3)]
    for age, account in zip((1, 3, 2), accounts, strict=True):
        marked_at = utc_now() - timedelta(minutes=age)
        await set_row(services, account.customer, marked_at=marked_at)
    order = [
        customer_id
        for _ in accounts
        for customer_id in await begin_due_fetches(services.database, Provider.STRIPE, 1)
    ]
    assert order == [accounts[index].customer for index in (1, 2, 0)]


async def test_what_changes_during_a_sync_is_fetched_again(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_LOOK_SECONDS", 3600)
    account = await new_customer(services, driver)
    hold = driver.hold("fetch_snapshot:answer")
    async with working(services):
        await hold.reached.wait()
        goal = await mark(services, account.customer)
        hold.release()
        await until_current(services, account.customer, goal)
    assert driver.count("fetch_snapshot") == 2


async def test_the_lease_of_a_process_that_died_is_taken_over(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_customer(services, driver)
    [died] = await begin_due_fetches(other_process.database, Provider.STRIPE, 1)
    assert died == account.customer
    assert await drain(services) == 0
    await set_row(services, account.customer, lease_until=utc_now() - timedelta(seconds=1))
    assert await drain(services) == 1
    assert (await row_of(services, account.customer)).applied == 1


async def test_a_customer_that_cannot_be_fetched_is_left_alone(
    services: Services, driver: FakeDriver
) -> None:
    await new_account(services, customer="pol_1", provider="polar")
    claim = await new_account(services)
    async with services.database.write() as session:
        session.add(Customer(team_id=claim.team_id, provider="stripe"))
    assert await drain(services) == 0


async def test_what_was_listed_in_bulk_waits_until_an_event_or_somebody_who_looks(
    services: Services, driver: FakeDriver
) -> None:
    seen, told = [await new_customer(services, driver, name) for name in ("cus_1", "cus_2")]
    for account in (seen, told):
        await set_row(services, account.customer, partial=True)
    assert await drain(services) == 0
    await catch_up(services, seen.identity)
    await mark(services, told.customer)
    assert await drain(services) == 1
    for account in (seen, told):
        row = await row_of(services, account.customer)
        assert (row.partial, row.wanted) == (False, row.applied)


async def test_the_pages_of_the_team_are_told(services: Services, driver: FakeDriver) -> None:
    account = await new_customer(services, driver)
    told: list[Notice] = []
    services.live.subscribe(told.append)
    await drain(services)
    assert [getattr(notice, "team_id", None) for notice in told] == [account.team_id]


async def test_a_drain_fetches_again_what_changed_during_its_last_sync(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_customer(services, driver)
    hold = driver.hold("fetch_snapshot:answer")
    draining = asyncio.create_task(drain(services))
    await hold.reached.wait()
    goal = await mark(services, account.customer)
    hold.release()
    assert await draining == 2
    assert (await row_of(services, account.customer)).applied == goal


@pytest.mark.parametrize(
    ("mode", "source"),
    [
        (EventsMode.WEBHOOK, ChangeSource.WEBHOOK),
        (EventsMode.POLL, ChangeSource.RECONCILE),
    ],
)
async def test_a_change_is_only_called_a_webhooks_where_webhooks_arrive(
    database: Database, driver: FakeDriver, mode: EventsMode, source: ChangeSource
) -> None:
    settings = make_settings(events_mode=mode)
    services = Services(settings, database, FakeDrivers(settings, driver))
    account = await new_customer(services, driver)
    await drain(services)
    driver.has(snapshot(subscription(), customer="cus_1"))
    await mark(services, account.customer)
    await drain(services)
    async with database.read() as session:
        sources = (await session.exec(select(RecordedChange.source))).all()
    assert set(sources) == {source.value}


async def test_looking_for_work_does_not_grow_with_the_customers(
    sqlite_url: str, driver: FakeDriver
) -> None:
    settings = make_settings()
    services = Services(settings, Database(sqlite_url), FakeDrivers(settings, driver))
    await new_customer(services, driver)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    engine = services.database.engine
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    await drain(services)
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    async with engine.connect() as connection:
        for statement, parameters in asked:
            first = parameters[0] if isinstance(parameters, list) else parameters
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", first)
            steps = [row.detail for row in plan]
            assert not [step for step in steps if step.startswith("SCAN customer")], statement
    await services.close()


# ---------------------------------------------------------------- failures


async def test_a_failure_is_kept_and_tried_again_only_when_it_is_time(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_customer(services, driver)
    driver.fail("fetch_snapshot", ProviderRejected("Stripe refused sk_test_verysecret."))
    assert await drain(services) == 1
    row = await row_of(services, account.customer)
    assert row.sync_error == "Stripe refused ***."
    assert row.sync_traceback
    assert "ProviderRejected" in row.sync_traceback
    assert "verysecret" not in row.sync_traceback
    assert (row.attempts, row.parked_at, row.lease_owner) == (1, None, None)
    assert row.failing_since
    assert row.next_attempt_at
    assert timedelta(seconds=3) < row.next_attempt_at - row.failing_since < timedelta(seconds=6)

    await mark(services, account.customer)
    assert await drain(services) == 0
    await set_row(services, account.customer, next_attempt_at=utc_now())
    assert await drain(services) == 1
    row = await row_of(services, account.customer)
    assert (row.attempts, row.next_attempt_at, row.failing_since) == (0, None, None)
    assert (row.sync_error, row.sync_traceback) == (None, None)


async def test_the_time_that_a_provider_asks_for_is_given(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_customer(services, driver)
    driver.fail("fetch_snapshot", ProviderUnavailable(retry_after=120))
    await drain(services)
    row = await row_of(services, account.customer)
    assert row.next_attempt_at
    assert row.next_attempt_at > utc_now() + timedelta(seconds=110)


async def test_after_a_day_of_failures_a_customer_is_parked_until_something_happens(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_customer(services, driver)
    driver.fail("fetch_snapshot", ProviderUnavailable())
    await drain(services)
    yesterday = utc_now() - PARKED_AFTER
    await set_row(services, account.customer, failing_since=yesterday, next_attempt_at=None)
    driver.fail("fetch_snapshot", ProviderUnavailable())
    assert await drain(services) == 1
    assert (await row_of(services, account.customer)).parked_at is not None
    await set_row(services, account.customer, next_attempt_at=None)
    assert await drain(services) == 0

    await mark(services, account.customer)
    assert await drain(services) == 1
    row = await row_of(services, account.customer)
    assert (row.parked_at, row.wanted) == (None, row.applied)


async def test_a_customer_that_the_provider_does_not_know_is_soon_parked(
    services: Services,
) -> None:
    account = await new_account(services, customer="cus_of_the_other_mode")
    await drain(services)
    row = await row_of(services, account.customer)
    assert (row.attempts, row.parked_at) == (1, None)
    assert row.sync_error
    earlier = utc_now() - UNKNOWN_PARKED_AFTER
    await set_row(services, account.customer, failing_since=earlier, next_attempt_at=None)
    await drain(services)
    assert (await row_of(services, account.customer)).parked_at is not None


@pytest.mark.parametrize("parked", [False, True])
async def test_a_person_who_asks_is_not_kept_waiting_by_earlier_failures(
    services: Services, driver: FakeDriver, parked: bool
) -> None:
    account = await new_customer(services, driver)
    await set_row(
        services,
        account.customer,
        attempts=9,
        failing_since=utc_now() - PARKED_AFTER,
        next_attempt_at=utc_now() + timedelta(minutes=30),
        parked_at=utc_now() if parked else None,
    )
    await refresh_billing(services, account.identity)
    row = await row_of(services, account.customer)
    assert (row.wanted, row.attempts, row.parked_at) == (row.applied, 0, None)


async def test_a_deleted_customer_is_no_failure(services: Services, driver: FakeDriver) -> None:
    account = await new_customer(services, driver)
    driver.delete("cus_1")
    await drain(services)
    row = await row_of(services, account.customer)
    assert row.deleted_at is not None
    assert (row.attempts, row.sync_error) == (0, None)


async def test_what_nobody_expected_is_kept_and_stops_nothing(
    services: Services, driver: FakeDriver
) -> None:
    broken = await new_customer(services, driver, "cus_1")
    driver.fail("fetch_snapshot", ZeroDivisionError("with whsec_verysecret in it"))
    async with working(services):
        await until_failed(services, broken.customer)
        whole = await new_customer(services, driver, "cus_2")
        services.work.ring()
        await until_current(services, whole.customer)
    row = await row_of(services, broken.customer)
    assert row.sync_traceback
    assert "ZeroDivisionError" in row.sync_traceback
    assert "verysecret" not in row.sync_traceback
    assert row.sync_error
    assert "ZeroDivisionError" not in row.sync_error


async def test_a_provider_that_is_down_is_asked_about_one_customer_at_a_time(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[None] = []

    async def pause(_self: object, _retry_after: float | None = None) -> None:
        pauses.append(None)

    monkeypatch.setattr(worker._Patience, "wait", pause)
    accounts = [
        await new_customer(services, driver, f"cus_{number}") for number in range(SYNCS_AT_ONCE + 5)
    ]
    for _ in accounts:
        driver.fail("fetch_snapshot", ProviderUnavailable())
    assert await drain(services) == len(accounts)
    # Sixteen begin at once, and one more may for each of the first two that fail: then a pause before each.
    assert 3 <= len(pauses) <= 5


async def test_a_database_that_is_away_for_a_moment_ends_nothing(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await new_customer(services, driver)
    failures = [OperationalError("SELECT", None, OSError("gone")), OSError("refused")]
    look = any_due

    async def failing(database: Database, provider: Provider) -> bool:
        if failures:
            raise failures.pop()
        return await look(database, provider)

    async def no_pause(_self: object, _retry_after: float | None = None) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("billing_ui.billing.worker.any_due", failing)
    monkeypatch.setattr(worker._Patience, "wait", no_pause)
    async with working(services):
        await until_current(services, account.customer)
    assert not failures


async def test_a_worker_that_ends_gives_its_leases_back(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_customer(services, driver)
    hold = driver.hold("fetch_snapshot")
    async with working(services):
        await hold.reached.wait()
        assert (await row_of(services, account.customer)).lease_owner is not None
    row = await row_of(services, account.customer)
    assert (row.lease_owner, row.attempts, row.sync_error) == (None, 0, None)
    assert await drain(services) == 1


async def test_who_waits_for_a_workers_sync_is_content_with_it(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing_ui.billing.fetches._POLL_SECONDS", 3600)
    account = await new_customer(services, driver)
    hold = driver.hold("fetch_snapshot")
    async with working(services):
        await hold.reached.wait()
        waiting = asyncio.create_task(sync_customer(services, account.customer, after=1))
        await asyncio.sleep(0)
        hold.release()
        await waiting
    assert driver.count("fetch_snapshot") == 1


# ---------------------------------------------------------------- the catalogue


async def test_a_catalogue_that_is_out_of_date_is_fetched_with_the_portal_configuration(
    shop: Services, driver: FakeDriver
) -> None:
    configuration = await portal_configuration_id(shop)
    driver.catalog = catalog(archived=("prod_starter",))
    async with shop.database.write() as session:
        await mark_out_of_date(session, Catalog, "stripe")
    await drain(shop)
    async with shop.database.read() as session:
        active = (await session.exec(select(Product.id).where(Product.active))).all()
        kept = (await session.exec(select(PortalConfiguration))).one()
        row = (await session.exec(select(Catalog))).one()
    assert "prod_starter" not in active
    assert kept.id == configuration
    assert (
        kept.hash == driver.configurations[kept.id] == str(hash(driver.catalog.model_dump_json()))
    )
    assert row.wanted == row.applied
    asked = driver.count("fetch_catalog")
    await drain(shop)
    assert driver.count("fetch_catalog") == asked


async def test_a_catalogue_that_cannot_be_fetched_is_tried_again(
    shop: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_pause(_self: object, _retry_after: float | None = None) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(worker._Patience, "wait", no_pause)
    driver.fail("fetch_catalog", ProviderUnavailable())
    driver.catalog = catalog(archived=("prod_starter",))
    async with shop.database.write() as session:
        goal = await mark_out_of_date(session, Catalog, "stripe")

    async def current() -> bool:
        async with shop.database.read() as session:
            return (await session.exec(select(Catalog.applied))).one() >= goal

    async with working(shop):
        await until(current)
