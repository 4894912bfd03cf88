"""A company that moves from Stripe to Polar over time: who has which provider, and what each is served with."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlmodel import col, select

from billing_ui.billing.backfill import backfill
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.checkout import open_checkout
from billing_ui.billing.customers import (
    choose_customer,
    current_customer,
    ensure_customer,
    link_customer,
    mark_customer_out_of_date,
)
from billing_ui.billing.inbox import accept
from billing_ui.billing.invoices import load_invoices
from billing_ui.billing.jobs import jobs_of, run_job
from billing_ui.billing.page import load_page
from billing_ui.billing.portal import open_portal
from billing_ui.billing.pricing import load_pricing
from billing_ui.billing.ranges import first_ranges
from billing_ui.billing.reconcile import reconcile
from billing_ui.billing.refresh import refresh_billing
from billing_ui.billing.services import Services
from billing_ui.billing.summary import load_billing
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.visits import come_back, return_from_visit
from billing_ui.billing.worker import drain
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import (
    Customer,
    InboxEvent,
    Job,
    PortalVisit,
    Price,
    Subscription,
    SubscriptionItem,
)
from billing_ui.payments.driver import Drivers
from billing_ui.payments.types import (
    Capabilities,
    FlowType,
    InvalidRequest,
    Listing,
    NoCustomer,
    ProviderEvent,
    ProviderMismatch,
    ProviderRejected,
    ProviderUnavailable,
)
from billing_ui.settings import Provider
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import (
    PRO,
    TEAM,
    Account,
    catalog,
    ended,
    invoice,
    latest_outcome,
    new_account,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def polar() -> FakeDriver:
    """The provider that new customers get; it has no portal configurations."""
    fake = FakeDriver(Provider.POLAR)
    fake.capabilities = Capabilities(flows=frozenset(), checkout=True, event_list=True)
    fake.catalog = catalog(provider="polar")
    return fake


@pytest.fixture
async def moving(database: Database, driver: FakeDriver, polar: FakeDriver) -> Services:
    """Services of a company whose active provider is Polar, and whose older customers are Stripe's."""
    settings = make_settings(
        payment_provider="polar",
        polar_access_token=SecretStr("polar_oat_tests"),
        legacy_providers=("stripe",),
    )
    services = Services(settings, database, FakeDrivers(settings, driver, polar))
    await refresh_catalog(services)
    await refresh_catalog(services, Provider.STRIPE)
    return services


async def at_stripe(
    services: Services, driver: FakeDriver, *subscriptions: object, **fields: Any
) -> Account:
    """Return a team that has been a customer of Stripe's for long."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(*subscriptions, **fields))  # type: ignore[arg-type]
    await sync_customer(services, account.customer)
    return account


async def also_at_polar(
    services: Services, polar: FakeDriver, account: Account, *subscriptions: object, **fields: Any
) -> None:
    """Give a team a customer of Polar's besides."""
    customer = await ensure_customer(services, account.identity, account.team_id)
    assert customer.provider_customer_id is not None
    polar.has(
        snapshot(
            *subscriptions,  # type: ignore[arg-type]
            customer=customer.provider_customer_id,
            provider="polar",
            **fields,
        )
    )
    await sync_customer(services, customer.id)


async def provider_of(services: Services, account: Account) -> str | None:
    """Return whose customer a team is."""
    async with services.database.read() as session:
        customer = await current_customer(
            session, account.team_id, services.settings.served_providers
        )
    return customer.provider if customer else None


# ---------------------------------------------------------------- which customer counts


def row(provider: str, **fields: Any) -> Customer:
    """Return a customer of a team, not stored."""
    return Customer(**{"provider": provider, "provider_customer_id": provider, **fields})


def test_the_customer_with_a_plan_counts_then_the_living_then_the_active_providers() -> None:
    providers = ("polar", "stripe")
    stripe, polar, paddle = row("stripe"), row("polar"), row("paddle", generation=9)
    assert choose_customer([stripe, polar, paddle], providers) is polar
    assert choose_customer([stripe, polar, paddle], providers, {stripe.id, paddle.id}) is stripe
    assert choose_customer([stripe, polar], providers, {stripe.id, polar.id}) is polar
    assert choose_customer([stripe, row("polar", deleted_at=utc_now())], providers) is stripe
    assert choose_customer([paddle], providers) is paddle
    assert choose_customer([paddle, row("stripe")], providers, {paddle.id}) is not paddle


async def test_a_legacy_customer_keeps_its_provider_for_everything(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    account = await at_stripe(moving, driver, subscription(TEAM, 24), invoices=(invoice(1),))

    opened = await open_portal(moving, account.identity)
    await refresh_billing(moving, account.identity)
    summary = await load_billing(moving, account.identity)

    assert opened.provider == "stripe"
    # The configuration is Stripe's own, though the active provider has none.
    assert driver.portals[0].configuration in driver.configurations
    assert (summary.provider_name, summary.mismatch) == ("Stripe", None)
    assert summary.capabilities == driver.capabilities
    assert [plan.name for plan in summary.plans] == ["Team"]
    assert (await load_invoices(moving, account.identity)).total == 1
    assert polar.count("start_portal_session") == polar.count("fetch_snapshot") == 0


async def test_a_team_without_a_customer_takes_the_active_provider(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    account = await new_account(moving)
    await open_checkout(moving, account.identity, PRO)
    assert await provider_of(moving, account) == "polar"
    assert (polar.count("start_checkout"), driver.count("start_checkout")) == (1, 0)


async def test_a_provider_without_configurations_is_asked_for_a_portal_and_nothing_else(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    old = await at_stripe(moving, driver)
    await open_portal(moving, old.identity)
    assert driver.configurations
    account = await new_account(moving, customer="polar_1", provider="polar")
    polar.has(snapshot(customer="polar_1", provider="polar"))
    polar.calls.clear()
    await open_portal(moving, account.identity)
    assert polar.calls == ["start_portal_session"]
    # Nor is it told of one that is another provider's.
    assert polar.portals[0].configuration is None


async def test_the_operators_portal_configuration_is_for_stripe_alone(
    moving: Services, database: Database, driver: FakeDriver, polar: FakeDriver
) -> None:
    settings = moving.settings.model_copy(update={"stripe_portal_configuration": "bpc_mine"})
    services = Services(settings, database, FakeDrivers(settings, driver, polar))
    old = await at_stripe(services, driver)
    new = await new_account(services, customer="polar_1", provider="polar")
    polar.has(snapshot(customer="polar_1", provider="polar"))

    await open_portal(services, old.identity)
    await open_portal(services, new.identity)

    assert driver.portals[0].configuration == "bpc_mine"
    assert polar.portals[0].configuration is None
    for name in ("bpc_mine", "bpc_listed"):
        with pytest.raises(InvalidRequest, match="configuration"):
            await open_portal(services, new.identity, configuration=name)
        await open_portal(services, old.identity, configuration=name)


# ---------------------------------------------------------------- moving over time


async def test_a_team_whose_legacy_plan_has_ended_moves_with_its_next_plan(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    account = await at_stripe(moving, driver, ended(TEAM), invoices=(invoice(1), invoice(2)))
    pricing = await load_pricing(moving, account.identity)
    assert (pricing.provider, pricing.can_checkout) == (Provider.POLAR, True)
    assert (await load_billing(moving, account.identity)).can_buy

    await open_checkout(moving, account.identity, PRO)
    await also_at_polar(
        moving, polar, account, subscription(PRO, id="sub_polar"), invoices=(invoice(3),)
    )

    assert await provider_of(moving, account) == "polar"
    assert (await open_portal(moving, account.identity)).provider == "polar"
    # The past stays on the page.
    page = await load_page(moving, account.identity, None, NOW)
    assert [row.id for row in page.invoices.rows] == ["in_0003", "in_0002", "in_0001"]
    newest = await load_invoices(moving, account.identity, limit=2)
    rest = await load_invoices(moving, account.identity, newest.next_cursor, limit=2)
    assert (newest.total, [row.id for row in rest.rows]) == (3, ["in_0001"])
    spend = (
        await load_page(moving, account.identity, None, page.invoices.rows[0].created_at)
    ).spend
    assert spend
    assert spend.total == 3 * 17460


async def test_a_checkout_that_was_left_hides_no_plan_at_the_legacy_provider(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    account = await at_stripe(moving, driver, ended())
    await also_at_polar(moving, polar, account)
    assert await provider_of(moving, account) == "polar"
    driver.has(snapshot(subscription()))
    await sync_customer(moving, account.customer)
    assert await provider_of(moving, account) == "stripe"
    assert (await open_portal(moving, account.identity)).provider == "stripe"


async def test_a_plan_at_a_legacy_provider_is_switched_there_and_no_second_one_is_sold(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    account = await at_stripe(moving, driver, subscription(PRO))
    pricing = await load_pricing(moving, account.identity)
    assert pricing.provider is Provider.STRIPE
    assert (pricing.can_switch, pricing.can_checkout) == (True, False)
    assert pricing.current_price_id == PRO
    with pytest.raises(InvalidRequest, match="already has a plan at Stripe"):
        await open_checkout(moving, account.identity, PRO)
    assert polar.created == {}


async def test_a_plan_we_do_not_know_of_yet_is_looked_up_at_the_legacy_provider(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    account = await at_stripe(moving, driver, ended())
    driver.has(snapshot(subscription()))
    with pytest.raises(InvalidRequest, match="already has a plan at Stripe"):
        await open_checkout(moving, account.identity, PRO)
    driver.has(snapshot(ended()))
    driver.fail("fetch_snapshot", ProviderUnavailable("Stripe didn't answer in time."))
    with pytest.raises(ProviderUnavailable):
        await open_checkout(moving, account.identity, PRO)
    assert polar.created == {}
    await open_checkout(moving, account.identity, PRO)
    assert len(polar.created) == 1


async def test_a_customer_that_the_legacy_provider_has_forgotten_keeps_nobody_from_a_plan(
    moving: Services, driver: FakeDriver
) -> None:
    account = await at_stripe(moving, driver, ended())
    driver.snapshots.clear()
    await open_checkout(moving, account.identity, PRO)


async def test_a_customer_deleted_at_the_legacy_provider_is_followed_by_one_of_the_active(
    moving: Services, driver: FakeDriver
) -> None:
    account = await at_stripe(moving, driver, subscription())
    driver.delete("cus_1")
    await sync_customer(moving, account.customer)
    await open_checkout(moving, account.identity, PRO)
    assert await provider_of(moving, account) == "polar"


# ---------------------------------------------------------------- nobody's provider


async def test_a_customer_of_a_provider_that_is_not_served_is_a_mismatch_everywhere(
    moving: Services,
) -> None:
    account = await new_account(moving, customer="ctm_1", provider="paddle")
    expected = r"Customer provider \(paddle\) does not match active provider \(polar\)"
    for ask in (
        lambda: open_portal(moving, account.identity),
        lambda: open_checkout(moving, account.identity, PRO),
        lambda: refresh_billing(moving, account.identity),
    ):
        with pytest.raises(ProviderMismatch, match=expected):
            await ask()
    summary = await load_billing(moving, account.identity)
    assert summary.mismatch == (
        "Your billing is still with Paddle; this site now uses Polar. Contact support to move it."
    )
    pricing = await load_pricing(moving, account.identity)
    assert (pricing.can_checkout, pricing.can_switch) == (False, False)
    assert pricing.obstacle == summary.mismatch


async def test_a_customer_that_is_served_comes_before_one_that_is_not(
    moving: Services, driver: FakeDriver
) -> None:
    account = await at_stripe(moving, driver, ended())
    async with moving.database.write() as session:
        session.add(
            Customer(team_id=account.team_id, provider="paddle", provider_customer_id="ctm_1")
        )
    assert await provider_of(moving, account) == "stripe"


def test_a_driver_is_there_for_the_active_and_the_legacy_providers_alone(
    moving: Services,
) -> None:
    drivers = Drivers(moving.settings)
    assert [provider for provider in Provider if drivers.serves(provider)] == ["stripe", "polar"]
    with pytest.raises(ProviderRejected, match="paddle is neither"):
        drivers.get(Provider.PADDLE)


# ---------------------------------------------------------------- what comes round


async def test_the_worker_fetches_customers_and_catalogues_of_both(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    old = await at_stripe(moving, driver)
    new = await new_account(moving, customer="polar_1", provider="polar")
    polar.has(snapshot(subscription(), customer="polar_1", provider="polar"))
    driver.has(snapshot(subscription(TEAM, 3)))
    await mark_customer_out_of_date(moving, old.customer)
    for provider in Provider.STRIPE, Provider.POLAR:
        event = ProviderEvent(id="evt", type="product.updated", created_at=NOW, catalog=True)
        await accept(moving, provider, event)
    driver.catalog = catalog(archived=(PRO,))

    assert await drain(moving) == 2

    for account, plan in ((old, "Team"), (new, "Pro")):
        [shown] = (await load_billing(moving, account.identity)).plans
        assert shown.name == plan
    async with moving.database.read() as session:
        query = select(Price.provider, Price.active).where(col(Price.id) == PRO)
        assert dict((await session.exec(query)).all()) == {"stripe": False, "polar": True}


def event(name: str, customer: str = "c") -> ProviderEvent:
    """Return an event that happened a minute ago."""
    at = datetime.now(UTC) - timedelta(minutes=1)
    return ProviderEvent(id=name, type="customer.updated", created_at=at, customer_id=customer)


async def do_all(services: Services) -> None:
    """Do everything that comes round once, due or not."""
    for job in jobs_of(services):
        await run_job(services, job, at_once=True)


async def failing_jobs(services: Services) -> dict[str, str | None]:
    """Return what each job that fails last failed with."""
    async with services.database.read() as session:
        return {job.name: job.error for job in await session.exec(select(Job)) if job.failures}


async def test_events_of_both_are_recovered_and_ones_failure_is_not_the_others(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    await do_all(moving)
    driver.events, polar.events = [event("evt_stripe")], [event("evt_polar")]
    driver.fail("list_events", ProviderRejected("The key was revoked."))
    await do_all(moving)
    assert await failing_jobs(moving) == {"recovery:stripe": "The key was revoked."}
    async with moving.database.read() as session:
        assert (await session.exec(select(InboxEvent.id))).all() == ["evt_polar"]
    await do_all(moving)
    assert await failing_jobs(moving) == {}
    async with moving.database.read() as session:
        assert set(await session.exec(select(InboxEvent.id))) == {"evt_polar", "evt_stripe"}


async def test_a_legacy_provider_that_fails_for_good_keeps_nobody_from_being_compared_again(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    new = await new_account(moving, customer="polar_1", provider="polar")
    polar.has(snapshot(customer="polar_1", provider="polar"))
    await sync_customer(moving, new.customer)
    for plan in PRO, TEAM:
        driver.fail("list_page", ProviderRejected("The key was revoked."))
        changed = snapshot(subscription(plan), customer="polar_1", provider="polar")
        polar.has(changed)
        await do_all(moving)
        assert set(await failing_jobs(moving)) == {"reconcile:stripe"}
        async with moving.database.read() as session:
            found = (await session.exec(select(SubscriptionItem.price_id))).all()
        assert found == [plan]


async def test_only_who_has_no_list_of_events_is_compared_often(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    polar.capabilities = Capabilities(flows=frozenset(), checkout=True, event_list=False)
    assert {job.name for job in jobs_of(moving)} == {
        *("recovery:stripe", "reconcile:stripe"),
        *("compare:polar", "prune"),
    }
    [often] = [job for job in jobs_of(moving) if job.name == "compare:polar"]
    old = await at_stripe(moving, driver)
    new = await new_account(moving, customer="polar_1", provider="polar")
    polar.has(snapshot(customer="polar_1", provider="polar"))
    await sync_customer(moving, new.customer)
    driver.calls.clear()
    polar.calls.clear()

    assert await run_job(moving, often, at_once=True)

    assert "fetch_snapshot" in polar.calls
    assert driver.calls == []
    assert old.customer != new.customer


async def test_everything_of_both_is_compared_when_an_operator_asks(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    await at_stripe(moving, driver, subscription())
    new = await new_account(moving, customer="polar_1", provider="polar")
    polar.has(snapshot(customer="polar_1", provider="polar"))
    await sync_customer(moving, new.customer)
    driver.has(snapshot(subscription(TEAM, 3)))
    polar.has(snapshot(subscription(id="sub_2"), customer="polar_1", provider="polar"))
    report = await reconcile(moving, fix=True, patience=0.0)
    assert (report.compared, report.drifted, report.fixed.count) == (2, 2, 2)


async def test_the_accounts_of_both_can_be_copied(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    driver.has(snapshot(subscription(), customer="cus_1"))
    polar.has(snapshot(subscription(id="sub_2"), customer="polar_1", provider="polar"))
    for provider in Provider.STRIPE, None:
        result = await backfill(moving, provider=provider)
        assert result.objects[Listing.CUSTOMERS] >= 1
    async with moving.database.read() as session:
        found = (await session.exec(select(Subscription.provider, Subscription.id))).all()
    assert set(found) == {("stripe", "sub_1"), ("polar", "sub_2")}


def test_a_list_that_knows_no_time_is_one_range() -> None:
    ranges = first_ranges(NOW, by_time=False)
    assert [each.listing for each in ranges] == list(Listing)
    assert {(each.created_from, each.created_to) for each in ranges} == {(None, None)}


async def test_a_legacy_customer_is_linked_by_naming_its_provider(
    moving: Services, driver: FakeDriver
) -> None:
    account = await new_account(moving)
    driver.has(snapshot(subscription(), customer="cus_old"))
    with pytest.raises(NoCustomer):
        await link_customer(moving, account.team_id, "cus_old")
    await link_customer(moving, account.team_id, "cus_old", Provider.STRIPE)
    assert await provider_of(moving, account) == "stripe"


# ---------------------------------------------------------------- a portal without a way back


@pytest.fixture
def without_way_back(driver: FakeDriver) -> FakeDriver:
    """A provider whose portal leads nowhere."""
    driver.capabilities = Capabilities(
        flows=frozenset(FlowType), checkout=True, event_list=True, returns=False
    )
    return driver


async def visits(services: Services) -> list[PortalVisit]:
    """Return every visit, the first one first."""
    async with services.database.read() as session:
        query = select(PortalVisit).order_by(col(PortalVisit.created_at))
        return list((await session.exec(query)).all())


async def test_whoever_says_that_they_are_back_is_told_what_came_of_it(
    services: Services, without_way_back: FakeDriver
) -> None:
    account = await at_stripe(services, without_way_back, subscription(TEAM, 24))
    await open_portal(services, account.identity)
    without_way_back.has(snapshot(subscription(TEAM, 30)))

    await come_back(services, account.identity)

    banner = await latest_outcome(services, account.identity)
    assert banner
    assert banner.changes
    assert [change.kind for change in banner.changes] == ["quantity_changed"]


async def test_of_several_trips_the_last_is_told_of_and_the_others_never_again(
    services: Services, without_way_back: FakeDriver
) -> None:
    account = await at_stripe(services, without_way_back, subscription(TEAM, 24))
    await open_portal(services, account.identity)
    last = await open_portal(services, account.identity)

    await come_back(services, account.identity)

    first, second = await visits(services)
    assert (first.returned_at, first.dismissed_at is None) == (None, False)
    assert (second.id, second.returned_at is None) == (last.visit_id, False)
    calls = without_way_back.count("fetch_snapshot")
    # Saying it again fetches, and tells of no trip.
    await come_back(services, account.identity)
    assert without_way_back.count("fetch_snapshot") == calls + 1
    assert [visit.returned_at is None for visit in await visits(services)] == [True, False]


async def test_what_a_provider_could_not_tell_at_once_is_told_when_it_can(
    services: Services, without_way_back: FakeDriver
) -> None:
    account = await at_stripe(services, without_way_back, subscription(TEAM, 24))
    await open_portal(services, account.identity)
    without_way_back.fail("fetch_snapshot", ProviderUnavailable())
    with pytest.raises(ProviderUnavailable):
        await come_back(services, account.identity)
    without_way_back.has(snapshot(subscription(TEAM, 30)))
    await refresh_billing(services, account.identity)
    banner = await latest_outcome(services, account.identity)
    assert banner
    assert banner.changes


async def test_a_way_back_that_an_operator_made_serves_as_well(
    services: Services, without_way_back: FakeDriver
) -> None:
    account = await at_stripe(services, without_way_back, subscription())
    opened = await open_portal(services, account.identity)
    outcome = await return_from_visit(services, str(opened.visit_id), account.identity)
    assert outcome.kind == "synced"


async def test_nobody_comes_back_from_anothers_trip(
    services: Services, without_way_back: FakeDriver
) -> None:
    account = await at_stripe(services, without_way_back, subscription())
    await open_portal(services, account.identity)
    stranger = await new_account(services, customer="cus_2")
    without_way_back.has(snapshot(customer="cus_2"))
    await come_back(services, stranger.identity)
    [visit] = await visits(services)
    assert visit.returned_at is None


async def test_what_a_provider_does_not_tell_is_not_said_to_be_missing(
    services: Services, driver: FakeDriver
) -> None:
    account = await at_stripe(services, driver, subscription())
    assert (await load_billing(services, account.identity)).lacks_payment_method
    driver.capabilities = driver.capabilities.model_copy(update={"payment_method_list": False})
    assert not (await load_billing(services, account.identity)).lacks_payment_method


async def test_a_portal_that_switches_no_plans_is_not_offered_for_it(
    services: Services, driver: FakeDriver
) -> None:
    account = await at_stripe(services, driver, subscription())
    driver.capabilities = driver.capabilities.model_copy(update={"plan_changes": False})
    pricing = await load_pricing(services, account.identity)
    assert not pricing.can_switch
    assert pricing.obstacle == (
        "Stripe's portal can't switch plans. Contact support to change yours."
    )
