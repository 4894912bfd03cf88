"""What was paid in each of the last twelve months, by the operator's calendar."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from billing_ui.accounts.sessions import Identity
from billing_ui.billing.customers import customers_of
from billing_ui.billing.page import load_page
from billing_ui.billing.services import Services
from billing_ui.billing.spend import Spend, read_spend
from billing_ui.billing.sync import sync_customer
from billing_ui.payments.types import SnapshotCustomer
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import invoice, new_account, new_member, snapshot
from tests.unit.billing.fake_driver import FakeDriver

NOW = datetime(2026, 12, 10, 14, 32, tzinfo=UTC)


async def payer(services: Services, driver: FakeDriver, *invoices: Any, **who: Any) -> Identity:
    """Return the owner of a team with these invoices."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(customer=SnapshotCustomer(id="cus_1", **who), invoices=invoices))
    await sync_customer(services, account.customer)
    return account.identity


def paid_on(number: int, moment: datetime, total: int = 1000, **fields: Any) -> Any:
    """Return a paid invoice of that moment."""
    return invoice(number, created_at=moment, total=total, **fields)


async def drawn(services: Services, identity: Identity, now: datetime = NOW) -> Spend | None:
    """Return what is drawn, None when nothing is."""
    assert identity.team_id
    async with services.database.read() as session:
        customers = await customers_of(session, identity.team_id, ["stripe"])
        return await read_spend(session, customers, now, services.settings.zone)


async def spent(services: Services, identity: Identity, now: datetime = NOW) -> Spend:
    """Return what is drawn."""
    spend = await drawn(services, identity, now)
    assert spend is not None
    return spend


async def test_twelve_months_end_with_the_present_one(shop: Services, driver: FakeDriver) -> None:
    owner = await payer(
        shop,
        driver,
        paid_on(1, datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC), 999_999),
        paid_on(2, datetime(2026, 1, 1, tzinfo=UTC), 100),
        paid_on(3, datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), 20),
        paid_on(4, datetime(2026, 12, 10, tzinfo=UTC), 3),
    )
    spend = await spent(shop, owner)
    assert [month.paid for month in spend.months] == [120, *[0] * 10, 3]
    assert spend.months[0].begins_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (spend.total, len(spend.since_first)) == (123, 12)


async def test_months_begin_at_midnight_in_the_operators_time_zone(
    shop: Services, driver: FakeDriver
) -> None:
    owner = await payer(
        shop,
        driver,
        paid_on(1, datetime(2026, 11, 30, 22, 59, tzinfo=UTC), 1),
        paid_on(2, datetime(2026, 11, 30, 23, 1, tzinfo=UTC), 20),
    )
    in_berlin = Services(make_settings(time_zone="Europe/Berlin"), shop.database, shop.drivers)
    spend = await spent(in_berlin, owner)
    assert [month.paid for month in spend.months[-2:]] == [1, 20]


@pytest.mark.parametrize("month", range(1, 13))
async def test_every_month_has_eleven_before_it(
    shop: Services, driver: FakeDriver, month: int
) -> None:
    now = datetime(2027, month, 28, tzinfo=UTC)
    owner = await payer(shop, driver, *(paid_on(n, now - timedelta(hours=n)) for n in (1, 2)))
    spend = await spent(shop, owner, now)
    starts = [each.begins_at for each in spend.months]
    assert len(starts) == len(set(starts)) == 12
    assert starts[-1] == datetime(2027, month, 1, tzinfo=UTC)


async def test_only_what_was_paid_counts(shop: Services, driver: FakeDriver) -> None:
    owner = await payer(
        shop,
        driver,
        paid_on(1, NOW, 100),
        paid_on(2, NOW, 30, amount_paid=10, amount_remaining=20, status="open"),
        paid_on(3, NOW, 4000, status="void"),
        paid_on(4, NOW, 0),
    )
    assert (await spent(shop, owner)).months[-1].paid == 110


async def test_other_currencies_are_told_apart(shop: Services, driver: FakeDriver) -> None:
    both = [paid_on(n, NOW, 100) for n in (1, 2)] + [
        paid_on(n, NOW, 7, currency="eur") for n in (3, 4, 5)
    ]
    spend = await spent(shop, await payer(shop, driver, *both, currency="usd"))
    assert (spend.currency, spend.total, spend.others) == ("usd", 200, {"eur": 21})


async def test_without_a_currency_of_its_own_a_customer_has_that_of_most_invoices(
    shop: Services, driver: FakeDriver
) -> None:
    invoices = [
        paid_on(1, NOW, 100),
        *(paid_on(n, NOW, 7, currency="jpy") for n in (2, 3)),
    ]
    spend = await spent(shop, await payer(shop, driver, *invoices))
    assert (spend.currency, spend.total, spend.others) == ("jpy", 14, {"usd": 100})


@pytest.mark.parametrize("count", [0, 1])
async def test_there_is_nothing_to_draw_of_fewer_than_two_invoices(
    shop: Services, driver: FakeDriver, count: int
) -> None:
    owner = await payer(shop, driver, *(paid_on(n, NOW) for n in range(count)))
    assert await drawn(shop, owner) is None


async def test_a_sum_beyond_what_one_invoice_can_be_is_exact(
    shop: Services, driver: FakeDriver
) -> None:
    most = 99_999_999_99
    owner = await payer(shop, driver, *(paid_on(n, NOW, most) for n in (1, 2, 3)))
    assert (await spent(shop, owner)).total == 3 * most


async def test_spend_is_not_for_members(shop: Services, driver: FakeDriver) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.has(snapshot(invoices=tuple(paid_on(n, NOW) for n in range(2))))
    await sync_customer(shop, account.customer)
    assert (await load_page(shop, account.identity, None, NOW)).spend
    assert (await load_page(shop, await new_member(shop, account), None, NOW)).spend is None


async def test_the_database_adds_up(shop: Services, driver: FakeDriver) -> None:
    owner = await payer(shop, driver, *(paid_on(n, NOW - timedelta(days=n)) for n in range(40)))
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if " invoice" in statement and statement.startswith("SELECT"):
            statements.append(statement)

    event.listen(shop.database.engine.sync_engine, "before_cursor_execute", note)
    await spent(shop, owner)
    [statement] = statements
    assert "GROUP BY" in statement
    assert "raw" not in statement
