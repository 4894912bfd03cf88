"""From an event to the page: what others got wrong with order, repetition and loss does not go wrong here."""

import asyncio
from datetime import timedelta

from sqlmodel import select

from billing_ui.billing.inbox import accept
from billing_ui.billing.portal import open_portal
from billing_ui.billing.services import Services
from billing_ui.billing.summary import load_billing
from billing_ui.billing.sync import sync_once
from billing_ui.billing.visits import return_from_visit
from billing_ui.billing.worker import drain
from billing_ui.models import (
    Customer,
    InboxEvent,
    Invoice,
    PaymentMethod,
    Subscription,
    SubscriptionItem,
)
from billing_ui.payments.types import ProviderEvent, SubscriptionState
from billing_ui.settings import Provider
from tests.unit.billing.factories import (
    NOW,
    PRO,
    RENEWAL,
    TEAM,
    Account,
    canceling,
    card,
    invoice,
    item,
    new_account,
    recover_all,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


def updated(number: int, *, seconds: int = 0) -> ProviderEvent:
    """Return an event that says a subscription changed."""
    return ProviderEvent(
        id=f"evt_{number}",
        type="customer.subscription.updated",
        created_at=NOW + timedelta(seconds=seconds),
        customer_id="cus_1",
    )


async def deliver(services: Services, event: ProviderEvent) -> None:
    """Take an event in and do what the worker does then."""
    await accept(services, Provider.STRIPE, event)
    await drain(services)


async def on_pro(services: Services, driver: FakeDriver) -> Account:
    """Return an account on Pro, as it was fetched."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    await drain(services)
    return account


async def plan_of(services: Services, account: Account) -> list[str]:
    """Return the names of the plans that the account's page shows."""
    shown = await load_billing(services, account.identity)
    return [plan.name for plan in shown.plans]


async def test_a_renewal_moves_the_date_though_only_the_items_carry_it(
    services: Services, driver: FakeDriver
) -> None:
    account = await on_pro(services, driver)
    later = RENEWAL + timedelta(days=31)
    renewed = (item(PRO, current_period_end=later),)
    driver.has(snapshot(subscription(PRO, items=renewed, current_period_end=later)))
    await deliver(services, updated(1))
    [shown] = (await load_billing(services, account.identity)).plans
    assert shown.current_period_end == later


async def test_a_cancellation_that_only_has_a_date_shows_as_canceling(
    services: Services, driver: FakeDriver
) -> None:
    account = await on_pro(services, driver)
    driver.has(snapshot(canceling(PRO)))
    await deliver(services, updated(1))
    [shown] = (await load_billing(services, account.identity)).plans
    assert (shown.state, shown.cancel_at) == (SubscriptionState.CANCELING, RENEWAL)


async def test_an_event_that_comes_late_rolls_nothing_back(
    services: Services, driver: FakeDriver
) -> None:
    account = await on_pro(services, driver)
    driver.has(snapshot(subscription(TEAM)))
    await deliver(services, updated(2, seconds=5))
    assert await plan_of(services, account) == ["Team"]
    await deliver(services, updated(1, seconds=0))
    assert await plan_of(services, account) == ["Team"]


async def test_the_second_of_two_events_of_one_second_counts(
    services: Services, driver: FakeDriver
) -> None:
    account = await on_pro(services, driver)
    driver.has(snapshot(subscription(TEAM)))
    await deliver(services, updated(1))
    driver.has(snapshot(subscription(PRO)))
    await deliver(services, updated(2))
    assert await plan_of(services, account) == ["Pro"]


async def test_a_change_told_while_the_one_before_it_is_fetched_is_fetched_too(
    services: Services, driver: FakeDriver
) -> None:
    account = await on_pro(services, driver)
    await accept(services, Provider.STRIPE, updated(1))
    hold = driver.hold("fetch_snapshot:answer")
    early = asyncio.create_task(sync_once(services, account.customer, goal=2))
    await hold.reached.wait()
    driver.has(snapshot(subscription(TEAM)))
    await accept(services, Provider.STRIPE, updated(2))
    hold.release()
    await early
    await drain(services)
    assert await plan_of(services, account) == ["Team"]


async def test_eight_copies_of_an_event_in_two_processes_make_one_row_of_everything(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO), payment_methods=(card(),), invoices=(invoice(1),)))

    async def take_in(process: Services) -> None:
        await accept(process, Provider.STRIPE, updated(1))
        await drain(process)

    await asyncio.gather(*(take_in(process) for process in (services, other_process) * 4))
    for table in (InboxEvent, Subscription, SubscriptionItem, PaymentMethod, Invoice):
        async with services.database.read() as session:
            assert len((await session.exec(select(table))).all()) == 1


async def test_the_new_plan_is_there_when_the_person_is_back_before_any_event(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    visit = (await open_portal(shop, account.identity)).visit_id
    driver.has(snapshot(subscription(TEAM)))
    await return_from_visit(shop, str(visit), account.identity)
    assert await plan_of(shop, account) == ["Team"]


async def test_what_was_missed_while_we_were_away_is_found(
    services: Services, driver: FakeDriver
) -> None:
    account = await on_pro(services, driver)
    await recover_all(services)
    await drain(services)
    driver.has(snapshot(subscription(TEAM)))
    driver.events.append(updated(1))
    driver.events[0] = driver.events[0].model_copy(update={"created_at": NOW.replace(year=2099)})
    assert await recover_all(services) == 1
    await drain(services)
    assert await plan_of(services, account) == ["Team"]


async def test_an_event_about_nobody_we_know_makes_a_customer_of_no_team(
    services: Services, driver: FakeDriver
) -> None:
    driver.has(snapshot(subscription(PRO)))
    await deliver(services, updated(1))
    async with services.database.read() as session:
        row = (await session.exec(select(Customer))).one()
    assert (row.team_id, row.provider_customer_id, row.wanted) == (None, "cus_1", row.applied)
