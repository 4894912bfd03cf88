"""A reconciliation of many: whatever ends it, the next turn goes on there, and the report is whole."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from sqlmodel import col, select
from structlog.testing import capture_logs

from billing_ui.billing import drift_report, patience, reconcile_position
from billing_ui.billing import reconcile as reconciling
from billing_ui.billing.backfill import backfill
from billing_ui.billing.drift_report import Failure
from billing_ui.billing.job_rows import remember, remembered, take_turn
from billing_ui.billing.jobs import RecurringJob, jobs_of, run_job
from billing_ui.billing.reconcile import (
    COMPARED_AT_ONCE,
    ReconcileProgress,
    command_row,
    reconcile,
    reconcile_in_turn,
)
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.worker import drain
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer, Job, ProviderPace, RecordedChange
from billing_ui.payments.driver import Drivers
from billing_ui.payments.types import Capabilities, FlowType, ProviderUnavailable, Snapshot
from tests.conftest import running_sandbox
from tests.seeding import seed_still
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import card, new_account, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver

KEY = "sk_test_51Resumed"
SCHEDULED = "reconcile:stripe"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a sandbox in which 60 customers have bought something."""
    with running_sandbox(tmp_path_factory.mktemp("resumed") / "sandbox.db") as url:
        seed_still(url, 60, invoices=1)
        yield url


@pytest.fixture
async def real(database: Database, provider: str) -> AsyncIterator[Services]:
    """Services whose provider is that sandbox, with an up-to-date copy of all that it has."""
    settings = make_settings(stripe_secret_key=SecretStr(KEY), stripe_api_base=provider)
    services = Services(settings, database, Drivers(settings))
    await backfill(services)
    async with database.write() as session:
        await session.exec(update(Customer).values(partial=False))
    await drain(services)
    yield services
    await services.drivers.close()


@pytest.fixture
def asked(real: Services, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the provider was asked for each customer."""
    seen: Counter[str] = Counter()
    ask = real.drivers.active.fetch_snapshot

    async def fetch_snapshot(name: str, **options: Any) -> Snapshot:
        seen[name] += 1
        return await ask(name, **options)

    monkeypatch.setattr(real.drivers.active, "fetch_snapshot", fetch_snapshot)
    return seen


async def all_of(services: Services) -> list[Customer]:
    """Return our customers in the order in which they are compared."""
    query = select(Customer).order_by(col(Customer.team_id).is_(None), col(Customer.id))
    async with services.database.read() as session:
        return list((await session.exec(query)).all())


async def damage(services: Services, customer: Customer) -> str:
    """Write another name into our copy of a customer; returns the provider's id of it."""
    async with services.database.write() as session:
        await session.exec(
            update(Customer).where(col(Customer.id) == customer.id).values(name="Someone")
        )
    return customer.provider_customer_id or ""


async def kept(services: Services, name: str) -> dict[str, Any]:
    """Return what a job remembers."""
    async with services.database.read() as session:
        return await remembered(session, name)


async def interrupted(services: Services, at: int, **options: Any) -> None:
    """Reconcile until so many customers are compared, or looked up in the provider's list beyond all."""

    def end_it(step: ReconcileProgress) -> None:
        if step.compared + step.listed >= at:
            running.cancel()

    running = asyncio.create_task(
        reconcile(services, progress=end_it, patience=0.0, **{"fix": False} | options)
    )
    with pytest.raises(asyncio.CancelledError):
        await running


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize("at", [1, 30, 60])
async def test_who_was_compared_is_not_asked_for_again(
    real: Services, asked: Counter[str], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(reconciling, "_PAGE", 17)
    customers = await all_of(real)
    drifted = await damage(real, customers[0])
    await interrupted(real, at)
    before = Counter(asked)
    asked.clear()
    told: list[ReconcileProgress] = []
    report = await reconcile(real, fix=False, progress=told.append, patience=0.0)
    # At most those are asked for again that were under way.
    assert len(before.keys() & asked.keys()) <= COMPARED_AT_ONCE
    assert before.keys() | asked.keys() == {one.provider_customer_id for one in customers}
    assert (report.resumed, report.compared) == (True, len(customers))
    assert [one.customer for one in report.drift.listed] == [drifted]
    assert told[0].compared > at - COMPARED_AT_ONCE
    assert told[-1].compared == told[-1].customers == len(customers)
    assert await kept(real, command_row(fix=False)) == {}


async def test_a_list_that_was_walked_half_way_is_not_walked_again(
    real: Services, asked: Counter[str]
) -> None:
    customers = await all_of(real)
    await interrupted(real, len(customers) + 1)
    asked.clear()
    assert (await reconcile(real, fix=False, patience=0.0)).compared == len(customers)
    assert not asked


async def test_the_next_turn_of_the_schedule_goes_on(
    real: Services, asked: Counter[str], database_url: str
) -> None:
    customers = await all_of(real)
    [first, *_] = customers
    drifted, reached = await damage(real, first), asyncio.Event()
    ask = real.drivers.active.fetch_snapshot

    async def fetch_snapshot(name: str, **options: Any) -> Snapshot:
        if len(asked) == 40:
            reached.set()
            await asyncio.Event().wait()
        return await ask(name, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real.drivers.active, "fetch_snapshot", fetch_snapshot)
        running = asyncio.create_task(run_job(real, scheduled(real), at_once=True))
        await reached.wait()
        running.cancel()
        await asyncio.wait([running])
    before = Counter(asked)
    asked.clear()
    # The next process: nothing is shared but the database.
    next_process = Services(real.settings, Database(database_url), real.drivers)
    with capture_logs() as logs:
        assert await run_job(next_process, scheduled(next_process), at_once=True)
    await next_process.database.close()
    [said] = [line for line in logs if line["event"] == "reconciled"]
    assert (said["resumed"], said["compared"], said["drifted"], said["fixed"]) == (
        True,
        len(customers),
        1,
        1,
    )
    again = {name for name in before.keys() & asked.keys() if name != drifted}
    assert len(again) <= COMPARED_AT_ONCE
    [mended] = [one for one in await all_of(real) if one.id == first.id]
    assert mended.name != "Someone"


def scheduled(services: Services) -> RecurringJob:
    """Return the job that compares by itself."""
    [job] = [job for job in jobs_of(services) if job.name == SCHEDULED]
    return job


async def test_a_run_begun_anew_asks_for_everybody(real: Services, asked: Counter[str]) -> None:
    await interrupted(real, 30)
    asked.clear()
    report = await reconcile(real, fix=False, anew=True, patience=0.0)
    assert not report.resumed
    assert len(asked) == report.compared == len(await all_of(real))


async def test_a_run_that_mends_does_not_go_on_with_one_that_looked(
    real: Services, asked: Counter[str]
) -> None:
    drifted = await damage(real, (await all_of(real))[0])
    await interrupted(real, 30, fix=False)
    report = await reconcile(real, fix=True, patience=0.0)
    assert (report.resumed, report.fixed.listed) == (False, [drifted])
    assert (await reconcile(real, fix=False, patience=0.0)).resumed


async def test_what_another_release_kept_is_not_gone_on_with(
    services: Services, driver: FakeDriver
) -> None:
    await known(services, driver, 3)
    async with services.database.write() as session:
        await remember(session, command_row(fix=False), {"page": 7})
    report = await reconcile(services, fix=False, patience=0.0)
    assert (report.resumed, report.compared) == (False, 3)


# ---------------------------------------------------------------- a whole report


async def known(services: Services, driver: FakeDriver, number: int) -> list[str]:
    """Let the provider and us have customers that agree; returns the provider's ids in our order."""
    for each in range(number):
        methods = (card(id=f"pm_{each}"),)
        name = driver.has(snapshot(customer=f"cus_{each}", payment_methods=methods))
        async with services.database.write() as session:
            row = Customer(provider="stripe", provider_customer_id=name)
            session.add(row)
        await sync_customer(services, row.id)
    return [one.provider_customer_id or "" for one in await all_of(services)]


async def test_drift_that_was_found_is_reported_although_the_process_died_while_it_was_mended(
    services: Services, driver: FakeDriver, other_process: Services
) -> None:
    [name] = await known(services, driver, 1)
    async with services.database.read() as session:
        before = len((await session.exec(select(RecordedChange))).all())
    driver.has(snapshot(customer=name, payment_methods=(card("4444"),)))
    turn = await take_turn(services.database, SCHEDULED, first_due=utc_now(), at_once=True)
    assert turn
    # Its third call is the one that mends.
    held = [driver.hold("fetch_snapshot:answer") for _ in range(3)]
    dying = asyncio.create_task(reconcile_in_turn(services, turn, fix=True, patience=0.0))
    for each in held[:2]:
        each.release()
    await held[2].reached.wait()
    left = await kept(services, SCHEDULED)
    held[2].release()
    await dying
    async with services.database.read() as session:
        assert len((await session.exec(select(RecordedChange))).all()) > before
    # What stood in the row when it died, and nothing that came after.
    async with services.database.write() as session:
        await remember(session, SCHEDULED, left)
        await session.exec(update(Job).values(lease_until=utc_now()))
    turn = await take_turn(other_process.database, SCHEDULED, first_due=utc_now(), at_once=True)
    assert turn
    report = await reconcile_in_turn(other_process, turn, fix=True, patience=0.0)
    assert (report.compared, report.differing, report.fixed.listed) == (1, 1, [name])
    found = sorted(one.field for one in report.drift.listed)
    assert found == ["payment method pm_0", "payment method pm_4444"]
    assert report.clean


async def test_everything_is_counted_and_as_much_listed_as_a_row_can_hold(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_report, "LISTED_AT_MOST", 5)
    for name in await known(services, driver, 20):
        driver.has(snapshot(subscription(id=f"sub_{name}", items=()), customer=name))
    for number in range(7):
        driver.has(snapshot(customer=f"cus_new_{number}"))
    await interrupted(services, 12, fix=False)
    report = await reconcile(services, fix=False, patience=0.0)
    # A subscription is missing here and a card there.
    assert (report.differing, report.drift.count, len(report.drift.listed)) == (20, 40, 5)
    assert (report.unknown.count, len(report.unknown.listed)) == (7, 5)
    assert (report.drifted, report.clean) == (27, False)
    mended = await reconcile(services, fix=True, patience=0.0)
    assert (mended.fixed.count, len(mended.fixed.listed), mended.clean) == (27, 5, True)


async def test_teams_customers_are_compared_before_nobodys_in_pages(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "_PAGE", 2)
    monkeypatch.setattr(reconciling, "COMPARED_AT_ONCE", 1)
    names = set(await known(services, driver, 5))
    for number in range(3):
        name = driver.has(snapshot(customer=f"cus_team_{number}"))
        account = await new_account(services, customer=name)
        await sync_customer(services, account.customer)
    order: list[str] = []
    ask = driver.fetch_snapshot

    async def fetch_snapshot(name: str, **options: Any) -> Snapshot:
        order.append(name)
        return await ask(name, **options)

    monkeypatch.setattr(driver, "fetch_snapshot", fetch_snapshot)
    pages: list[list[UUID]] = []
    look = reconcile_position.next_customers

    async def next_customers(*arguments: Any, **options: Any) -> list[UUID]:
        pages.append(await look(*arguments, **options))
        return pages[-1]

    monkeypatch.setattr(reconciling, "next_customers", next_customers)
    await reconcile(services, fix=False, patience=0.0)
    assert {name for name in order[:3] if "team" in name} == set(order[:3])
    assert set(order[3:]) == names
    assert max(len(page) for page in pages) == 2


# ---------------------------------------------------------------- failures


async def test_a_customer_that_fails_unexpectedly_ends_nothing(
    real: Services, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    customers = await all_of(real)
    [bad, *_] = customers
    drifted = await damage(real, customers[-1])
    ask = real.drivers.active.fetch_snapshot

    async def fetch_snapshot(name: str, **options: Any) -> Snapshot:
        if name == bad.provider_customer_id:
            raise ZeroDivisionError("no such share")
        return await ask(name, **options)

    monkeypatch.setattr(real.drivers.active, "fetch_snapshot", fetch_snapshot)
    with capture_logs() as logs:
        report = await reconcile(real, fix=True, patience=0.0)
    name = bad.provider_customer_id or ""
    assert report.failures.listed == [Failure(name, "ZeroDivisionError: no such share")]
    assert (report.compared, report.fixed.listed) == (len(customers) - 1, [drifted])
    assert not report.clean
    [said] = [line for line in logs if line["event"] == "customer_not_compared"]
    assert said["customer"] == name
    assert isinstance(said["exc_info"], ZeroDivisionError)


async def test_when_nobody_can_be_compared_any_more_the_run_ends_and_is_gone_on_with(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_ATTEMPTS", 1)
    monkeypatch.setattr(reconciling, "FAILURES_IN_A_ROW", 5)
    await known(services, driver, 20)
    for _ in range(100):
        driver.fail("fetch_snapshot", ProviderUnavailable("Stripe is away."))
    with pytest.raises(ProviderUnavailable, match="away"):
        await reconcile(services, fix=False, patience=0.0)
    driver._failures.clear()
    report = await reconcile(services, fix=False, patience=0.0)
    # Those that were under way when it was given up may have failed as well.
    assert 5 <= report.failures.count < 5 + COMPARED_AT_ONCE
    assert report.compared + report.failures.count == 20
    assert (report.resumed, report.differing, report.clean) == (True, 0, False)


async def test_what_is_compared_keeps_the_pace_of_all_work_in_the_background(
    services: Services, driver: FakeDriver
) -> None:
    await known(services, driver, 5)
    driver.capabilities = Capabilities(
        flows=frozenset(FlowType),
        checkout=True,
        event_list=True,
        snapshot_calls=4,
        background_calls_per_second=500.0,
    )
    async with services.database.write() as session:
        session.add(ProviderPace(provider="stripe", next_call_at=0))
    began = utc_now().timestamp()
    await reconcile(services, fix=False, patience=0.0)
    async with services.database.read() as session:
        next_call_at = (await session.exec(select(ProviderPace.next_call_at))).one() / 1_000_000
    # Five customers of four calls each, and a page of the provider's list.
    assert next_call_at - began >= 21 / 500
