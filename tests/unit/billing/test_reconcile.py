"""Reconciliation: whatever no event told is found, said in words, and mended."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import delete, update
from sqlmodel import col, select

from billing_ui.billing import patience
from billing_ui.billing.customers import mark_customer_out_of_date
from billing_ui.billing.drift import Drift
from billing_ui.billing.drift_report import DriftReport, Failure
from billing_ui.billing.reconcile import ReconcileProgress, reconcile
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.models import (
    Customer,
    Invoice,
    PaymentMethod,
    RecordedChange,
    Subscription,
    SubscriptionItem,
)
from billing_ui.payments.driver import Drivers
from billing_ui.payments.stripe.client import open_client
from billing_ui.payments.types import ListedPage, ProviderUnavailable, Snapshot, SnapshotCustomer
from tests.conftest import running_sandbox
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import (
    NOW,
    card,
    ended,
    invoice,
    new_account,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver

KEY = "sk_test_51Reconcile"
WHO = SnapshotCustomer(id="cus_1", name="Northwind", email="billing@northwind.example")


def state(*subscriptions: Any, **fields: Any) -> Snapshot:
    """Return the state of the customer that the tests look at."""
    usual: dict[str, Any] = {
        "payment_methods": (card(),),
        "invoices": (invoice(),),
        "customer": WHO,
    }
    return snapshot(*(subscriptions or (subscription(),)), **usual | fields)


async def run(services: Services, *, fix: bool = False, **options: Any) -> DriftReport:
    """Reconcile without waiting for events."""
    return await reconcile(services, fix=fix, patience=0.0, **options)


@pytest.fixture
async def customer_id(services: Services, driver: FakeDriver) -> UUID:
    """Our id of a customer that is up to date."""
    account = await new_account(services, customer=driver.has(state()))
    await sync_customer(services, account.customer)
    return account.customer


async def the_customer(services: Services) -> Customer:
    """Return our row of the customer."""
    async with services.database.read() as session:
        return (await session.exec(select(Customer))).one()


async def test_what_agrees_is_no_drift(
    services: Services, driver: FakeDriver, customer_id: UUID
) -> None:
    told: list[ReconcileProgress] = []
    report = await run(services, progress=told.append)
    assert (report.compared, report.drifted, report.clean) == (1, 0, True)
    assert [(one.compared, one.customers, one.listed) for one in told] == [(1, 1, 0), (1, 1, 1)]


LATER = NOW.replace(year=2027)

AT_THE_PROVIDER: dict[str, tuple[Snapshot, list[Drift]]] = {
    "a status": (
        state(ended()),
        [
            Drift("cus_1", "subscription sub_1: ended at", "nothing", NOW.isoformat()),
            Drift("cus_1", "subscription sub_1: state", "active", "ended"),
            Drift("cus_1", "subscription sub_1: status", "active", "canceled"),
        ],
    ),
    "a quantity": (
        state(subscription(quantity=9)),
        [Drift("cus_1", "subscription item si_1: quantity", "1", "9")],
    ),
    "a new subscription": (
        state(subscription(), subscription(id="sub_2", items=())),
        [Drift("cus_1", "subscription sub_2", "missing", "there")],
    ),
    "a card": (
        state(payment_methods=(card("4444"),)),
        [
            Drift("cus_1", "payment method pm_4242", "there", "missing"),
            Drift("cus_1", "payment method pm_4444", "missing", "there"),
        ],
    ),
    "an expiry": (
        state(payment_methods=(card(exp_year=2031),)),
        [Drift("cus_1", "payment method pm_4242: exp year", "2030", "2031")],
    ),
    "an invoice": (
        state(invoices=(invoice(2), invoice())),
        [Drift("cus_1", "invoice in_0002", "missing", "there")],
    ),
    "what was paid": (
        state(invoices=(invoice(amount_paid=5),)),
        [Drift("cus_1", "invoice in_0001: amount paid", "17460", "5")],
    ),
    "a name": (
        state(customer=WHO.model_copy(update={"name": None})),
        [Drift("cus_1", "name", "Northwind", "nothing")],
    ),
    "a deletion": (
        snapshot(customer=SnapshotCustomer(id="cus_1", deleted=True)),
        [Drift("cus_1", "deleted", "no", "yes")],
    ),
}


@pytest.mark.parametrize("what", AT_THE_PROVIDER)
async def test_a_change_that_no_event_told_is_found_and_mended(
    services: Services, driver: FakeDriver, customer_id: UUID, what: str
) -> None:
    theirs, expected = AT_THE_PROVIDER[what]
    driver.has(theirs)
    report = await run(services)
    assert sorted(report.drift.listed, key=lambda drift: drift.field) == expected
    assert not report.clean
    fixed = await run(services, fix=True)
    assert (fixed.fixed.listed, fixed.clean) == (["cus_1"], True)
    assert (await run(services)).drift.listed == []


@pytest.mark.parametrize(
    "damage",
    [
        update(Subscription).values(status="past_due"),
        update(SubscriptionItem).values(unit_amount=1),
        delete(SubscriptionItem),
        delete(PaymentMethod),
        update(Invoice).values(total=0),
        delete(Invoice),
        update(Customer).values(email="else@where.example"),
        update(Customer).values(deleted_at=NOW),
    ],
    ids=str,
)
async def test_damage_in_our_tables_is_found_and_mended(
    services: Services, driver: FakeDriver, customer_id: UUID, damage: Any
) -> None:
    async with services.database.write() as session:
        await session.exec(damage)
    found = await run(services, fix=True)
    assert found.drift.count == 1
    assert found.clean
    assert (await run(services)).drift.listed == []


async def test_mending_records_what_changed(
    services: Services, driver: FakeDriver, customer_id: UUID
) -> None:
    driver.has(state(subscription(quantity=9)))
    await run(services, fix=True)
    async with services.database.read() as session:
        sources = (await session.exec(select(RecordedChange.source))).all()
    assert sources == ["reconcile"]


async def test_old_final_invoices_are_left_alone(
    services: Services, driver: FakeDriver, customer_id: UUID
) -> None:
    driver.has(state(invoices=(invoice(2),)))
    await run(services, fix=True)
    assert (await run(services)).drift.listed == []


async def test_a_customer_that_is_out_of_date_is_behind_and_no_drift(
    services: Services, driver: FakeDriver, customer_id: UUID
) -> None:
    driver.has(state(subscription(quantity=9)))
    await mark_customer_out_of_date(services, customer_id)
    report = await run(services)
    assert (report.compared, report.behind, report.drifted, report.clean) == (0, 1, 0, True)
    await run(services, fix=True)
    assert (await run(services)).compared == 1


async def test_a_customer_whose_event_comes_meanwhile_is_no_drift(
    services: Services, driver: FakeDriver, customer_id: UUID
) -> None:
    driver.has(state(subscription(quantity=9)))
    asked = driver.hold("fetch_snapshot:answer")
    running = asyncio.create_task(run(services))
    await asked.reached.wait()
    await sync_customer(services, customer_id)
    asked.release()
    report = await running
    assert (report.behind, report.drifted) == (1, 0)


async def test_an_event_on_its_way_is_waited_for(
    services: Services, driver: FakeDriver, customer_id: UUID
) -> None:
    driver.has(state(subscription(quantity=9)))
    first = driver.hold("fetch_snapshot:answer")
    running = asyncio.create_task(run(services))
    await first.reached.wait()
    second = driver.hold("fetch_snapshot")
    first.release()
    # The first comparison is over, and has found something.
    await second.reached.wait()
    await mark_customer_out_of_date(services, customer_id)
    second.release()
    report = await running
    assert (report.behind, report.drifted) == (1, 0)


async def test_customers_we_never_heard_of_are_found_and_stored_as_nobodys(
    services: Services, driver: FakeDriver, customer_id: UUID
) -> None:
    driver.has(snapshot(customer=SnapshotCustomer(id="cus_2", email="new@example.com")))
    report = await run(services)
    assert (report.unknown.listed, report.clean, report.drifted) == (["cus_2"], False, 1)
    fixed = await run(services, fix=True)
    assert (fixed.unknown.listed, fixed.clean) == (["cus_2"], True)
    async with services.database.read() as session:
        row = (
            await session.exec(select(Customer).where(Customer.provider_customer_id == "cus_2"))
        ).one()
    assert (row.team_id, row.partial, row.email) == (None, True, "new@example.com")
    assert (await run(services)).unknown.listed == []


async def test_unknown_customers_are_found_although_one_that_a_page_ended_with_was_deleted(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sandbox(tmp_path / "sandbox.db") as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as control:
            seed = {"customers": 230, "invoices_per_customer": 0}
            (await control.post("/_control/seed", json=seed)).raise_for_status()
        settings = make_settings(stripe_secret_key=SecretStr(KEY), stripe_api_base=url)
        real = Services(settings, services.database, Drivers(settings))
        client, transport = open_client(KEY, url)
        driver = real.drivers.active
        gone: list[str] = []
        listed: set[str] = set()
        ask = driver.list_page

        async def list_page(*arguments: Any, **bounds: Any) -> ListedPage:
            page = await ask(*arguments, **bounds)
            listed.update(one.customer.id for one in page.snapshots)
            if page.cursor and not gone:
                gone.append(page.cursor)
                await client.v1.customers.delete_async(page.cursor)
            return page

        monkeypatch.setattr(driver, "list_page", list_page)
        report = await reconcile(real, fix=False, patience=0.0)
        await transport.close_async()
        await real.drivers.close()
    assert len(gone) == 1
    assert report.unknown.count == len(set(report.unknown.listed)) >= 230
    assert set(report.unknown.listed) == listed


async def test_a_customer_that_cannot_be_asked_about_is_a_failure(
    services: Services, driver: FakeDriver, customer_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_ATTEMPTS", 1)
    driver.fail("fetch_snapshot", ProviderUnavailable("Stripe is away."))
    report = await run(services)
    assert report.failures.listed == [Failure("cus_1", "Stripe is away.")]
    assert not report.clean
    del driver.snapshots["cus_1"]
    report = await run(services)
    assert report.failures.listed == [Failure("cus_1", "No billing customer record found")]


async def test_a_listed_customer_is_compared_in_what_lists_tell(
    services: Services, driver: FakeDriver, customer_id: UUID
) -> None:
    async with services.database.write() as session:
        await session.exec(update(Customer).values(partial=True, wanted=col(Customer.wanted) + 1))
        await session.exec(delete(PaymentMethod))
    assert (await run(services)).drift.listed == []
    driver.has(state(subscription(quantity=9)))
    assert (await run(services)).drift.count == 1
    assert (await run(services, partial=False)).compared == 0
    await run(services, fix=True)
    assert not (await the_customer(services)).partial


def test_a_difference_reads_like_a_sentence() -> None:
    drift = Drift("cus_1", "subscription sub_1: status", "active", "canceled")
    assert str(drift) == (
        "cus_1: subscription sub_1: status is active here and canceled at the provider"
    )
