"""What the tests of the screens share: services on a real SQLite file, before a provider in memory."""

from collections.abc import AsyncIterator

import pytest

from billing_ui.accounts.sessions import sign_in_as
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.services import Services, install_services
from billing_ui.billing.sync import sync_customer
from billing_ui.database import Database
from billing_ui.models import Role
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import (
    TEAM,
    Account,
    card,
    catalog,
    invoice,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers


@pytest.fixture
def driver() -> FakeDriver:
    """A provider without customers."""
    return FakeDriver()


@pytest.fixture
async def services(sqlite_url: str, driver: FakeDriver) -> AsyncIterator[Services]:
    """The services that the states find, with three plans in the catalogue."""
    driver.catalog = catalog()
    settings = make_settings()
    database = Database(sqlite_url)
    opened = Services(settings, database, FakeDrivers(settings, driver))
    install_services(opened)
    await refresh_catalog(opened)
    driver.calls.clear()
    yield opened
    install_services(None)
    await database.close()


@pytest.fixture
async def account(services: Services, driver: FakeDriver) -> Account:
    """A team on Team with 24 seats, a card and twenty invoices, all of it in our tables."""
    driver.has(
        snapshot(
            subscription(TEAM, 24),
            payment_methods=(card(),),
            invoices=tuple(
                invoice(number, pdf_url=f"https://files.example.com/{number}.pdf")
                for number in range(1, 21)
            ),
        )
    )
    made = await new_account(services, customer="cus_1")
    await sync_customer(services, made.customer)
    driver.calls.clear()
    return made


@pytest.fixture
async def owner(services: Services, account: Account) -> str:
    """The session token of the team's owner."""
    return await sign_in_as(services.database, account.identity.user_id)


@pytest.fixture
async def member(services: Services, account: Account) -> str:
    """The session token of a member without billing rights."""
    person = await new_member(services, account, Role.MEMBER)
    return await sign_in_as(services.database, person.user_id)


@pytest.fixture
async def stranger(services: Services) -> str:
    """The session token of the owner of another team, which has nothing."""
    other = await new_account(services, name="Bluefin Studio")
    return await sign_in_as(services.database, other.identity.user_id)
