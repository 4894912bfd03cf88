"""Our copy follows the provider, whatever happens at once, in between or in the wrong order."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import SQLModel, select

from billing_ui.billing.changes import PlanChanged
from billing_ui.billing.customers import mark_customer_out_of_date
from billing_ui.billing.fetches import (
    FETCH_TIMEOUT_SECONDS,
    LEASE,
    OutdatedFetch,
    begin_fetch,
)
from billing_ui.billing.services import Services
from billing_ui.billing.sync import apply_snapshot, sync_customer, sync_once
from billing_ui.clock import utc_now
from billing_ui.models import (
    Customer,
    CustomerSnapshot,
    Invoice,
    PaymentMethod,
    RecordedChange,
    Subscription,
    SubscriptionItem,
)
from billing_ui.payments.types import (
    Address,
    NoCustomer,
    ProviderUnavailable,
    Snapshot,
    SnapshotCustomer,
    TaxId,
)
from tests.unit.billing.factories import (
    PRO,
    TEAM,
    card,
    invoice,
    item,
    new_account,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


async def customer_row(services: Services, customer_id: UUID) -> Customer:
    """Return a customer as it now is."""
    async with services.database.read() as session:
        return (await session.exec(select(Customer).where(Customer.id == customer_id))).one()


async def rows(services: Services, model: type[Any]) -> list[Any]:
    """Return every row of a table, by id."""
    async with services.database.read() as session:
        return sorted((await session.exec(select(model))).all(), key=lambda row: str(row.id))


async def plan_names(services: Services) -> list[str]:
    """Return the plans our tables name."""
    return [row.plan_name for row in await rows(services, SubscriptionItem)]


async def test_the_first_sync_writes_everything(services: Services, driver: FakeDriver) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(
        snapshot(
            subscription(
                items=(item(PRO), item(TEAM, 24, id="si_2")), raw={"object": "subscription"}
            ),
            customer=SnapshotCustomer(
                id="cus_1",
                email="billing@example.com",
                name="Northwind Labs",
                phone="+353 1 234",
                address=Address(line1="12 Harbour Street", country="IE"),
                tax_ids=(TaxId(type="eu_vat", value="IE1234567FA"),),
                currency="usd",
            ),
            payment_methods=(card(), card("0005", default=False)),
            invoices=(invoice(2), invoice(1)),
        )
    )
    result = await sync_customer(services, account.customer)
    assert result.changes == ()

    row = await customer_row(services, account.customer)
    assert (row.email, row.name, row.phone, row.currency) == (
        "billing@example.com",
        "Northwind Labs",
        "+353 1 234",
        "usd",
    )
    assert row.address is not None
    assert row.address["line1"] == "12 Harbour Street"
    assert row.tax_ids == [{"type": "eu_vat", "value": "IE1234567FA"}]
    assert row.synced_at is not None
    assert row.sync_error is None
    assert (row.wanted, row.applied, row.fetch_no, row.applied_fetch_no) == (2, 2, 1, 1)
    assert row.lease_owner is None
    assert [s.raw for s in await rows(services, Subscription)] == [{"object": "subscription"}]
    assert [
        (i.plan_name, i.quantity, i.position) for i in await rows(services, SubscriptionItem)
    ] == [
        ("Pro", 1, 0),
        ("Team", 24, 1),
    ]
    assert [m.last4 for m in await rows(services, PaymentMethod)] == ["0005", "4242"]
    assert [i.number for i in await rows(services, Invoice)] == ["ACME-0001", "ACME-0002"]


async def test_a_sync_says_what_changed_since_the_last_one(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    await sync_customer(services, account.customer)
    driver.has(snapshot(subscription(TEAM, 24)))
    result = await sync_customer(services, account.customer)
    assert [type(change) for change in result.changes][:1] == [PlanChanged]
    assert await plan_names(services) == ["Team"]


async def test_what_vanished_is_deleted_and_old_invoices_stay(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(
        snapshot(
            subscription(items=(item(), item(TEAM, id="si_2"))),
            subscription(id="sub_2", items=(item(id="si_3"),)),
            payment_methods=(card(), card("0005", default=False)),
            invoices=(invoice(1), invoice(2)),
        )
    )
    await sync_customer(services, account.customer)
    driver.has(
        snapshot(
            subscription(items=(item(TEAM, id="si_2"),)),
            payment_methods=(card(),),
            invoices=(invoice(3), invoice(2, status="void")),
        )
    )
    await sync_customer(services, account.customer)
    assert [s.id for s in await rows(services, Subscription)] == ["sub_1"]
    assert [i.id for i in await rows(services, SubscriptionItem)] == ["si_2"]
    assert [m.last4 for m in await rows(services, PaymentMethod)] == ["4242"]
    assert [(i.id, i.status) for i in await rows(services, Invoice)] == [
        ("in_0001", "paid"),
        ("in_0002", "void"),
        ("in_0003", "paid"),
    ]


async def test_another_customers_rows_are_left_alone(
    services: Services, driver: FakeDriver
) -> None:
    ours = await new_account(services, customer="cus_1")
    theirs = await new_account(services, customer="cus_2")
    driver.has(snapshot(subscription(), payment_methods=(card(),)))
    driver.has(
        snapshot(
            subscription(id="sub_2", items=(item(id="si_2"),)),
            customer="cus_2",
            payment_methods=(card("0005"),),
        )
    )
    await sync_customer(services, ours.customer)
    await sync_customer(services, theirs.customer)
    driver.has(snapshot())
    await sync_customer(services, ours.customer)
    assert [s.id for s in await rows(services, Subscription)] == ["sub_2"]
    assert [i.id for i in await rows(services, SubscriptionItem)] == ["si_2"]
    assert [m.last4 for m in await rows(services, PaymentMethod)] == ["0005"]


async def test_applying_the_same_snapshot_twice_changes_nothing(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(), payment_methods=(card(),), invoices=(invoice(),)))
    await sync_customer(services, account.customer)
    tables: list[type[SQLModel]] = [Subscription, SubscriptionItem, PaymentMethod, Invoice]
    before = [[row.model_dump() for row in await rows(services, table)] for table in tables]
    assert (await sync_customer(services, account.customer)).changes == ()
    after = [[row.model_dump() for row in await rows(services, table)] for table in tables]
    assert after == before


async def test_a_stored_snapshot_is_the_fetched_one_without_the_providers_documents(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    fetched = snapshot(
        subscription(raw={"big": "document"}),
        payment_methods=(card(),),
        invoices=(invoice(raw={"big": "document"}),),
    )
    driver.has(fetched)
    await sync_customer(services, account.customer)
    async with services.database.read() as session:
        stored = (await session.exec(select(CustomerSnapshot))).one()
    assert "raw" not in str(stored.data)
    assert Snapshot.model_validate(stored.data) == snapshot(
        subscription(), payment_methods=(card(),), invoices=(invoice(),)
    )


# ---------------------------------------------------------------- failures


async def test_a_failed_sync_keeps_the_data_and_says_why(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription()))
    await sync_customer(services, account.customer)
    driver.fail("fetch_snapshot", ProviderUnavailable("Stripe didn't answer in time."))
    with pytest.raises(ProviderUnavailable):
        await sync_customer(services, account.customer)
    row = await customer_row(services, account.customer)
    assert row.sync_error == "Stripe didn't answer in time."
    assert row.wanted > row.applied
    assert row.lease_owner is None
    assert await plan_names(services) == ["Pro"]

    await sync_customer(services, account.customer)
    assert (await customer_row(services, account.customer)).sync_error is None


async def test_a_customer_the_provider_does_not_know_is_a_named_error(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_of_another_account")
    with pytest.raises(NoCustomer):
        await sync_customer(services, account.customer)
    assert (await customer_row(services, account.customer)).sync_error


async def test_a_claim_without_a_customer_is_a_named_error(services: Services) -> None:
    account = await new_account(services)
    async with services.database.write() as session:
        claim = Customer(team_id=account.team_id, provider="stripe")
        session.add(claim)
    with pytest.raises(NoCustomer):
        await sync_customer(services, claim.id)


async def test_a_deleted_customer_keeps_who_it_was(services: Services, driver: FakeDriver) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(
        snapshot(
            subscription(), customer=SnapshotCustomer(id="cus_1", name="N"), invoices=(invoice(),)
        )
    )
    await sync_customer(services, account.customer)
    driver.delete("cus_1")
    result = await sync_customer(services, account.customer)
    row = await customer_row(services, account.customer)
    assert row.deleted_at is not None
    assert row.name == "N"
    assert [change.kind for change in result.changes] == ["customer_removed", "subscription_ended"]
    assert await rows(services, Subscription) == []
    assert len(await rows(services, Invoice)) == 1


async def test_a_failure_in_the_middle_of_writing_leaves_nothing_half_done(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO), payment_methods=(card(),)))
    await sync_customer(services, account.customer)
    broken = snapshot(subscription(TEAM), payment_methods=(card("0005"),)).model_copy(
        update={"invoices": (invoice().model_copy(update={"status": None}),)}
    )
    driver.has(broken)
    with pytest.raises(Exception, match=r"(?i)null"):
        await sync_customer(services, account.customer)
    assert await plan_names(services) == ["Pro"]
    assert [m.last4 for m in await rows(services, PaymentMethod)] == ["4242"]
    row = await customer_row(services, account.customer)
    assert row.applied_fetch_no == 1
    assert row.lease_owner is None


async def test_a_canceled_sync_gives_the_lease_back(services: Services, driver: FakeDriver) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription()))
    hold = driver.hold("fetch_snapshot")
    task = asyncio.create_task(sync_customer(services, account.customer))
    await hold.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await customer_row(services, account.customer)).lease_owner is None
    await sync_customer(services, account.customer)
    assert await plan_names(services) == ["Pro"]


# ---------------------------------------------------------------- order


async def test_an_older_fetch_is_refused_after_a_newer_one(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    older = driver.hold("fetch_snapshot:answer")
    slow = asyncio.create_task(sync_once(services, account.customer, goal=1))
    await older.reached.wait()
    # The slow one has read Pro. Its lease runs out, as if it hung for longer than it may.
    await _expire_lease(services, account.customer)
    driver.has(snapshot(subscription(TEAM)))
    await sync_customer(services, account.customer)
    assert await plan_names(services) == ["Team"]
    # Now it would write what it read.
    held = await customer_row(services, account.customer)
    older.release()
    assert await slow is None
    assert await plan_names(services) == ["Team"]
    now = await customer_row(services, account.customer)
    assert (now.applied, now.applied_fetch_no) == (held.applied, held.applied_fetch_no)


async def test_the_fence_holds_for_a_snapshot_applied_by_hand(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    first = await begin_fetch(services.database, Customer, account.customer, goal=1)
    await _expire_lease(services, account.customer)
    second = await begin_fetch(services.database, Customer, account.customer, goal=1)
    assert first
    assert second
    async with services.database.write() as session:
        await apply_snapshot(session, account.customer, snapshot(subscription(TEAM)), second)
    with pytest.raises(OutdatedFetch):
        async with services.database.write() as session:
            await apply_snapshot(session, account.customer, snapshot(subscription(PRO)), first)
    assert await plan_names(services) == ["Team"]


async def test_who_lost_the_lease_is_refused_even_when_nothing_later_is_applied_yet(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    await sync_customer(services, account.customer)
    goal = await mark_customer_out_of_date(services, account.customer)
    first = await begin_fetch(services.database, Customer, account.customer, goal)
    await _expire_lease(services, account.customer)
    second = await begin_fetch(services.database, Customer, account.customer, goal)
    assert first
    assert second
    # The second has looked at the provider, then the plan changed, and the first looks: applied one after
    # the other they would tell of a change to Team, back to Pro, and to Team again.
    with pytest.raises(OutdatedFetch):
        async with services.database.write() as session:
            await apply_snapshot(session, account.customer, snapshot(subscription(TEAM)), first)
    async with services.database.write() as session:
        await apply_snapshot(session, account.customer, snapshot(subscription(PRO)), second)
    assert await rows(services, RecordedChange) == []


async def test_an_invoice_that_was_deleted_at_the_provider_is_deleted_here(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    draft = invoice(1, status="draft")
    driver.has(snapshot(invoices=(invoice(2), draft)))
    await sync_customer(services, account.customer)
    gone = snapshot(invoices=(invoice(2),)).model_copy(update={"deleted_invoices": (draft.id,)})
    driver.has(gone)
    await sync_customer(services, account.customer)
    assert [row.id for row in await rows(services, Invoice)] == [invoice(2).id]


async def test_invoices_that_can_still_change_are_asked_for_and_all_since_the_newest(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    fetch = driver.fetch_snapshot

    async def noted(customer_id: str, **wishes: Any) -> Snapshot:
        asked.append(wishes)
        return await fetch(customer_id)

    monkeypatch.setattr(driver, "fetch_snapshot", noted)
    account = await new_account(services, customer="cus_1")
    states = ("paid", "open", "void", "draft", "uncollectible")
    invoices = tuple(invoice(number, status=status) for number, status in enumerate(states))
    driver.has(snapshot(invoices=invoices))
    await sync_customer(services, account.customer)
    await sync_customer(services, account.customer)
    first, second = asked
    assert (list(first["invoices"]), first["invoices_since"]) == ([], None)
    assert sorted(second["invoices"]) == [invoices[place].id for place in (1, 3, 4)]
    assert second["invoices_since"] == invoices[-1].created_at


async def test_a_change_during_a_fetch_leaves_the_customer_out_of_date(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    hold = driver.hold("fetch_snapshot:answer")
    running = asyncio.create_task(sync_customer(services, account.customer))
    await hold.reached.wait()
    driver.has(snapshot(subscription(TEAM)))
    goal = await mark_customer_out_of_date(services, account.customer)
    hold.release()
    await running
    row = await customer_row(services, account.customer)
    assert row.wanted == goal > row.applied
    await sync_customer(services, account.customer, after=goal)
    assert await plan_names(services) == ["Team"]
    row = await customer_row(services, account.customer)
    assert row.wanted == row.applied


async def test_one_sync_of_a_customer_runs_at_a_time_across_processes(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    hold = driver.hold("fetch_snapshot")
    first = asyncio.create_task(sync_customer(services, account.customer))
    await hold.reached.wait()
    assert await sync_once(other_process, account.customer, goal=10) is None
    assert driver.count("fetch_snapshot") == 1
    hold.release()
    await first


async def test_a_call_is_content_with_a_running_sync_that_began_late_enough(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    goal = await mark_customer_out_of_date(services, account.customer)
    hold = driver.hold("fetch_snapshot")
    first = asyncio.create_task(sync_customer(services, account.customer, after=goal))
    await hold.reached.wait()
    second = asyncio.create_task(sync_customer(other_process, account.customer, after=goal))
    await asyncio.sleep(0)
    hold.release()
    assert (await second).snapshot == (await first).snapshot
    assert driver.count("fetch_snapshot") == 1


async def test_a_call_after_which_something_changed_is_not_content_with_an_earlier_fetch(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    hold = driver.hold("fetch_snapshot:answer")
    first = asyncio.create_task(sync_customer(services, account.customer))
    await hold.reached.wait()
    driver.has(snapshot(subscription(TEAM)))
    second = asyncio.create_task(sync_customer(other_process, account.customer))
    await asyncio.sleep(0)
    hold.release()
    await first
    assert (await second).snapshot.subscriptions[0].items[0].plan_name == "Team"
    assert driver.count("fetch_snapshot") == 2


async def test_a_lease_whose_holder_died_is_taken_over_when_it_has_run_out(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    # Killed right after it took the lease: nobody gives it back.
    assert await begin_fetch(services.database, Customer, account.customer, goal=1)
    assert await sync_once(services, account.customer, goal=1) is None
    await _expire_lease(services, account.customer)
    assert await sync_once(services, account.customer, goal=1)
    assert await plan_names(services) == ["Pro"]


async def test_many_syncs_at_once_end_with_the_newest_state_and_no_duplicates(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    for seats in range(1, 9):
        driver.has(snapshot(subscription(TEAM, seats), payment_methods=(card(),)))
        await asyncio.gather(
            *(
                sync_customer(process, account.customer)
                for process in (services, other_process, services)
            )
        )
    assert [row.quantity for row in await rows(services, SubscriptionItem)] == [8]
    row = await customer_row(services, account.customer)
    assert row.wanted == row.applied


async def test_writers_in_parallel_wait_for_each_other(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    accounts = [await new_account(services, customer=f"cus_{n}") for n in range(12)]
    for n in range(12):
        driver.has(
            snapshot(subscription(id=f"sub_{n}", items=(item(id=f"si_{n}"),)), customer=f"cus_{n}")
        )
    await asyncio.gather(
        *(
            sync_customer(process, account.customer)
            for account in accounts
            for process in (services, other_process)
        )
    )
    assert len(await rows(services, Subscription)) == 12


# ---------------------------------------------------------------- partial snapshots


async def test_a_partial_snapshot_only_adds_and_leaves_the_customer_out_of_date(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(
        snapshot(
            subscription(),
            customer=SnapshotCustomer(id="cus_1", name="Northwind Labs"),
            payment_methods=(card(),),
        )
    )
    await sync_customer(services, account.customer)
    goal = await mark_customer_out_of_date(services, account.customer)
    fetch = await begin_fetch(services.database, Customer, account.customer, goal)
    assert fetch
    partial = snapshot(
        subscription(id="sub_2", items=(item(TEAM, id="si_2"),)),
        invoices=(invoice(),),
        partial=True,
    )
    async with services.database.write() as session:
        assert await apply_snapshot(session, account.customer, partial, fetch) == ()
    row = await customer_row(services, account.customer)
    assert (row.wanted, row.applied) == (goal, goal - 1)
    assert row.name == "Northwind Labs"
    assert row.lease_owner is None
    assert await plan_names(services) == ["Pro", "Team"]
    assert len(await rows(services, PaymentMethod)) == 1
    assert len(await rows(services, Invoice)) == 1


async def _expire_lease(services: Services, customer_id: UUID) -> None:
    async with services.database.write() as session:
        row = (await session.exec(select(Customer).where(Customer.id == customer_id))).one()
        row.lease_until = utc_now() - timedelta(seconds=1)
        session.add(row)


def test_a_fetch_ends_before_its_lease() -> None:
    assert LEASE.total_seconds() > FETCH_TIMEOUT_SECONDS


async def test_a_bank_with_a_long_name_fits(services: Services, driver: FakeDriver) -> None:
    account = await new_account(services, customer="cus_1")
    bank = "Raiffeisenlandesbank Niederösterreich-Wien Aktiengesellschaft"
    driver.has(snapshot(payment_methods=(card(type="us_bank_account", brand=bank),)))
    await sync_customer(services, account.customer)
    assert [method.brand for method in await rows(services, PaymentMethod)] == [bank]
