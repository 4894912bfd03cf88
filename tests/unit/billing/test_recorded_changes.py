"""What changed is written down once, with where it most likely came from."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select, update

from billing_ui.billing.portal import open_portal
from billing_ui.billing.refresh import refresh_billing
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.visits import record_visit, return_from_visit
from billing_ui.billing.worker import drain
from billing_ui.clock import utc_now
from billing_ui.models import ChangeSource, PortalVisit, RecordedChange, VisitKind
from billing_ui.payments.types import ProviderUnavailable
from tests.unit.billing.factories import (
    PRO,
    RENEWAL,
    TEAM,
    Account,
    card,
    invoice,
    new_account,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.billing.test_worker import mark


async def on_pro(services: Services, driver: FakeDriver) -> Account:
    """Return an account on Pro, as it was fetched."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    await sync_customer(services, account.customer)
    return account


async def recorded(services: Services) -> list[tuple[str, str, UUID | None]]:
    """Return kind, source and visit of every change, in the order they were found."""
    async with services.database.read() as session:
        rows = (await session.exec(select(RecordedChange).order_by(col(RecordedChange.id)))).all()
    return [(row.document["kind"], row.source, row.visit_id) for row in rows]


async def set_visit(services: Services, visit_id: UUID, **values: Any) -> None:
    """Write columns of a visit."""
    async with services.database.write() as session:
        await session.exec(
            update(PortalVisit).where(col(PortalVisit.id) == visit_id).values(**values)
        )


async def test_the_first_sync_is_no_news(services: Services, driver: FakeDriver) -> None:
    await on_pro(services, driver)
    assert await recorded(services) == []


async def test_a_change_is_written_down_once(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await on_pro(services, driver)
    driver.has(snapshot(subscription(TEAM, 24)))
    await mark(services, account.customer)
    await drain(services)
    for process in (services, other_process):
        await sync_customer(process, account.customer)
        await mark(process, account.customer)
        await drain(process)
    assert await recorded(services) == [
        ("plan_changed", "webhook", None),
        ("quantity_changed", "webhook", None),
    ]


async def test_what_somebody_who_asks_finds_comes_from_reconciling(
    services: Services, driver: FakeDriver
) -> None:
    account = await on_pro(services, driver)
    driver.has(snapshot(subscription(TEAM, 1)))
    await refresh_billing(services, account.identity)
    assert await recorded(services) == [("plan_changed", "reconcile", None)]


async def test_what_changes_while_somebody_is_in_the_portal_is_theirs(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    visit = (await open_portal(shop, account.identity)).visit_id
    driver.has(snapshot(subscription(TEAM)))
    await mark(shop, account.customer)
    await drain(shop)
    driver.has(snapshot(subscription(TEAM), payment_methods=(card(),)))
    await return_from_visit(shop, str(visit), account.identity)
    assert await recorded(shop) == [
        ("plan_changed", "portal", visit),
        ("payment_method_added", "portal", visit),
    ]
    # From here on it is nobody's again.
    driver.has(snapshot(subscription(PRO), payment_methods=(card(),)))
    await mark(shop, account.customer)
    await drain(shop)
    assert (await recorded(shop))[2:] == [("plan_changed", "webhook", None)]


async def test_a_renewal_during_a_visit_happens_by_itself(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    visit = (await open_portal(shop, account.identity)).visit_id
    renewed = subscription(PRO, current_period_end=RENEWAL + timedelta(days=31))
    driver.has(snapshot(renewed, payment_methods=(card(),), invoices=(invoice(1),)))
    await mark(shop, account.customer)
    await drain(shop)
    assert await recorded(shop) == [
        ("renewal_moved", "webhook", None),
        ("payment_method_added", "portal", visit),
        ("invoice_paid", "webhook", None),
    ]


async def test_an_upgrade_in_the_portal_and_its_invoice_are_the_visitors(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    visit = (await open_portal(shop, account.identity)).visit_id
    driver.has(snapshot(subscription(TEAM), invoices=(invoice(1),)))
    await return_from_visit(shop, str(visit), account.identity)
    assert await recorded(shop) == [
        ("plan_changed", "portal", visit),
        ("invoice_paid", "portal", visit),
    ]


async def test_an_hour_after_leaving_nobody_is_taken_to_be_still_there(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    visit = (await open_portal(shop, account.identity)).visit_id
    await set_visit(shop, visit, created_at=utc_now() - timedelta(minutes=61))
    driver.has(snapshot(subscription(TEAM)))
    await mark(shop, account.customer)
    await drain(shop)
    assert await recorded(shop) == [("plan_changed", "webhook", None)]


async def test_who_is_back_and_was_not_told_yet_made_the_change(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    visit = (await open_portal(shop, account.identity)).visit_id
    await set_visit(shop, visit, created_at=utc_now() - timedelta(hours=3))
    driver.has(snapshot(subscription(TEAM)))
    driver.fail("fetch_snapshot", ProviderUnavailable())
    assert (await return_from_visit(shop, str(visit), account.identity)).kind == "failed"
    await mark(shop, account.customer)
    await refresh_billing(shop, account.identity)
    assert await recorded(shop) == [("plan_changed", "portal", visit)]


async def test_what_is_bought_at_checkout_comes_from_there(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot())
    await sync_customer(services, account.customer)
    visit = uuid4()
    await record_visit(
        services.database,
        visit,
        account.identity,
        account.customer,
        VisitKind.CHECKOUT,
        return_url=None,
    )
    driver.has(snapshot(subscription(PRO)))
    await return_from_visit(services, str(visit), account.identity)
    assert await recorded(services) == [("subscription_started", "checkout", visit)]


async def test_what_one_team_does_is_not_another_teams(shop: Services, driver: FakeDriver) -> None:
    away = await on_pro(shop, driver)
    await open_portal(shop, away.identity)
    other = await new_account(shop, customer="cus_2")
    driver.has(snapshot(subscription(id="sub_2", items=()), customer="cus_2"))
    await sync_customer(shop, other.customer)
    driver.has(snapshot(customer="cus_2"))
    await sync_customer(shop, other.customer)
    assert await recorded(shop) == [("subscription_ended", "reconcile", None)]


async def test_an_old_open_invoice_that_is_paid_is_news_and_others_that_come_into_view_are_not(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    old = invoice(1, status="open")
    driver.has(snapshot(invoices=(invoice(9, status="draft"), invoice(8), old)))
    await sync_customer(services, account.customer)
    # The draft is deleted, so that one more of the older ones is among the newest.
    paid = invoice(1)
    driver.has(snapshot(invoices=(invoice(8), invoice(7), paid)))
    await sync_customer(services, account.customer)
    driver.has(snapshot(invoices=(invoice(8), invoice(7))))
    await sync_customer(services, account.customer)
    async with services.database.read() as session:
        documents = (await session.exec(select(RecordedChange.document))).all()
    assert [(one["kind"], one["invoice_id"]) for one in documents] == [("invoice_paid", paid.id)]


@pytest.mark.parametrize("source", list(ChangeSource))
async def test_the_source_is_the_one_that_is_given(
    services: Services, driver: FakeDriver, source: ChangeSource
) -> None:
    account = await on_pro(services, driver)
    driver.has(snapshot())
    await sync_customer(services, account.customer, source=source)
    assert await recorded(services) == [("subscription_ended", source.value, None)]
