"""A status that this version has no word for: never guessed, and reported where an operator looks."""

import pytest
from structlog.testing import capture_logs

from billing_ui.billing import unknown_statuses as module
from billing_ui.billing.backfill import backfill
from billing_ui.billing.doctor import Level, examine
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.unknown_statuses import UnknownStatus, unknown_statuses
from billing_ui.database import Database
from billing_ui.payments.types import SubscriptionState
from tests.unit.billing.factories import new_account, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.statements import noted_statements, plan_of

STRANGE = subscription(status="awaiting_moonrise", state=SubscriptionState.UNKNOWN)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests in this process have made it say."""
    monkeypatch.setattr(module, "_reported", set())


async def test_it_is_said_once_in_the_log_however_often_it_comes(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(STRANGE))
    with capture_logs() as log:
        await sync_customer(services, account.customer)
        await sync_customer(services, account.customer)
        await backfill(services)
    said = [line for line in log if line["event"] == "status_unknown"]
    assert [(line["provider"], line["status"]) for line in said] == [
        ("stripe", "awaiting_moonrise")
    ]


async def test_a_status_that_is_known_is_not_reported(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription()))
    with capture_logs() as log:
        await sync_customer(services, account.customer)
    assert not [line for line in log if line["event"] == "status_unknown"]
    assert await unknown_statuses(services.database) == ()


async def test_doctor_names_it_until_nobody_has_it_any_more(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(STRANGE))
    await sync_customer(services, account.customer)
    assert await unknown_statuses(services.database) == (
        UnknownStatus("stripe", "awaiting_moonrise", 1),
    )
    [finding] = [one for one in await examine(services) if one.check == "status"]
    assert finding.level is Level.WARNING
    assert "'awaiting_moonrise'" in finding.what
    driver.has(snapshot(subscription()))
    await sync_customer(services, account.customer)
    assert not [one for one in await examine(services) if one.check == "status"]


async def test_it_is_found_without_looking_at_the_others(database: Database) -> None:
    with noted_statements(database) as asked:
        await unknown_statuses(database)
    ((query, arguments),) = asked
    plan = await plan_of(database, query, arguments)
    assert any("ix_subscription_unknown" in step for step in plan), plan
