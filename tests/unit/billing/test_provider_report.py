"""Who is where: counted by provider and state, with what an operator must do something about."""

import pytest
from pydantic import SecretStr

from billing_ui.billing.doctor import Level, examine
from billing_ui.billing.provider_report import ProviderRole, report_providers
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer
from billing_ui.payments.types import Capabilities, SubscriptionState
from billing_ui.settings import EventsMode, Provider
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import (
    Account,
    canceling,
    ended,
    new_account,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers


@pytest.fixture
def polar() -> FakeDriver:
    """The active provider."""
    return FakeDriver(Provider.POLAR)


@pytest.fixture
async def moving(database: Database, driver: FakeDriver, polar: FakeDriver) -> Services:
    """Services of a company that moves from Stripe to Polar."""
    settings = make_settings(
        payment_provider="polar",
        polar_access_token=SecretStr("polar_oat_tests"),
        legacy_providers=("stripe",),
    )
    return Services(settings, database, FakeDrivers(settings, driver, polar))


async def customer_of(
    services: Services, driver: FakeDriver, name: str, *subscriptions: object, team: str = "Acme"
) -> Account:
    """Return a team that has `subscriptions` at a provider."""
    provider = driver.provider.value
    account = await new_account(services, customer=name, provider=provider, name=team)
    driver.has(snapshot(*subscriptions, customer=name, provider=provider))  # type: ignore[arg-type]
    await sync_customer(services, account.customer)
    return account


async def test_teams_and_subscriptions_are_counted_by_provider_and_state(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    await customer_of(moving, driver, "cus_1", subscription(id="sub_1"), ended(id="sub_2"))
    await customer_of(moving, driver, "cus_2", canceling(id="sub_3"))
    await customer_of(moving, polar, "polar_1", subscription(id="sub_4"))
    async with moving.database.write() as session:
        session.add(Customer(provider="stripe", provider_customer_id="cus_nobodys"))
        session.add(Customer(provider="stripe", provider_customer_id="x", deleted_at=utc_now()))
    report = await report_providers(moving)
    first, second = report.providers
    assert (first.provider, first.role, first.teams) == ("polar", ProviderRole.ACTIVE, 1)
    assert (second.provider, second.role, second.teams) == ("stripe", ProviderRole.LEGACY, 2)
    assert second.unclaimed == 1
    assert second.states == {
        SubscriptionState.ACTIVE: 1,
        SubscriptionState.CANCELING: 1,
        SubscriptionState.ENDED: 1,
    }
    assert (report.stranded, report.paying_twice) == (0, 0)


async def test_a_team_that_pays_twice_is_named(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    account = await customer_of(moving, driver, "cus_1", subscription(), team="Twice & Co")
    await customer_of(moving, driver, "cus_2", ended(id="sub_2"), team="Once")
    async with moving.database.write() as session:
        second = Customer(team_id=account.team_id, provider="polar", provider_customer_id="polar_1")
        session.add(second)
    polar.has(snapshot(subscription(id="sub_9"), customer="polar_1", provider="polar"))
    assert (await report_providers(moving)).paying_twice == 0
    await sync_customer(moving, second.id)
    report = await report_providers(moving)
    assert (report.paying_twice, list(report.paying_twice_named)) == (1, ["Twice & Co"])


async def test_teams_of_a_provider_that_is_not_served_are_counted_and_doctor_tells_of_them(
    moving: Services, driver: FakeDriver
) -> None:
    await new_account(moving, customer="ctm_1", provider="paddle")
    served = await customer_of(moving, driver, "cus_1")
    async with moving.database.write() as session:
        session.add(
            Customer(team_id=served.team_id, provider="paddle", provider_customer_id="ctm_2")
        )
    report = await report_providers(moving)
    assert report.stranded == 1
    assert report.providers[-1].role is ProviderRole.NOT_SERVED
    [finding] = [one for one in await examine(moving) if one.check == "mismatch"]
    assert (finding.level, finding.what.split()[0]) == (Level.WARNING, "1")


async def test_doctor_looks_at_each_provider_and_says_at_which_one(
    moving: Services, driver: FakeDriver, polar: FakeDriver
) -> None:
    polar.capabilities = Capabilities(flows=frozenset(), checkout=True, event_list=False)
    checks = {finding.check: finding for finding in await examine(moving)}
    assert driver.count("inspect") == polar.count("inspect") == 1
    assert checks["stripe recovery"].level is Level.WARNING
    assert checks["stripe recovery"].what.startswith("Stripe: ")
    assert checks["polar recovery"].level is Level.OK
    assert checks["polar recovery"].what.startswith("Polar has no list of events")


async def test_doctor_warns_of_polling_where_there_is_nothing_to_poll(
    moving: Services, database: Database, driver: FakeDriver, polar: FakeDriver
) -> None:
    polar.capabilities = Capabilities(flows=frozenset(), checkout=True, event_list=False)
    settings = moving.settings.model_copy(update={"events_mode": EventsMode.POLL})
    services = Services(settings, database, FakeDrivers(settings, driver, polar))
    checks = {finding.check: finding for finding in await examine(services)}
    assert checks["polar events"].level is Level.WARNING
    assert checks["stripe events"].level is Level.OK


async def test_doctor_says_which_key_is_missing(
    moving: Services, database: Database, polar: FakeDriver
) -> None:
    services = Services(moving.settings, database, FakeDrivers(moving.settings, polar))
    [finding] = [one for one in await examine(services) if one.check == "stripe key"]
    assert finding.level is Level.PROBLEM
    assert "STRIPE_SECRET_KEY" in finding.mend
