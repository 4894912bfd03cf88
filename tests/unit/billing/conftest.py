"""What the tests of the use cases share: services on both databases, before a provider in memory."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.services import Services
from billing_ui.database import Database
from billing_ui.settings import Settings
from tests.unit.billing.factories import catalog
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers


def make_settings(**fields: Any) -> Settings:
    """Return settings that depend on nothing around the test."""
    defaults: dict[str, Any] = {
        "base_url": "http://localhost:3000",
        "secret_key": SecretStr("a key that only tests know"),
        "stripe_secret_key": SecretStr("sk_test_unit"),
        "allowed_return_origins": ("https://app.example.com",),
        "stripe_portal_configurations": ("bpc_listed",),
    }
    return Settings(_env_file=None, **defaults | fields)


@pytest.fixture
def driver() -> FakeDriver:
    """A provider without customers, that sells three plans."""
    fake = FakeDriver()
    fake.catalog = catalog()
    return fake


@pytest.fixture
async def services(database: Database, driver: FakeDriver) -> Services:
    """Services on an empty database; the test runs once on each kind of database."""
    settings = make_settings()
    return Services(settings, database, FakeDrivers(settings, driver))


@pytest.fixture
async def shop(services: Services) -> Services:
    """The same services, with the catalogue fetched."""
    await refresh_catalog(services)
    return services


@pytest.fixture
async def other_process(
    services: Services, driver: FakeDriver, database_url: str
) -> AsyncIterator[Services]:
    """Services as a second process has them: the same database and provider, nothing else shared."""
    database = Database(database_url)
    yield Services(services.settings, database, FakeDrivers(services.settings, driver))
    await database.close()
