"""One customer or a million: whatever a page or a click asks of the database finds its rows by an index."""

from collections.abc import Awaitable, Callable

import pytest

from billing_ui.billing.invoices import load_invoices
from billing_ui.billing.page import load_page
from billing_ui.billing.portal import open_portal
from billing_ui.billing.refresh import refresh_billing
from billing_ui.billing.services import Services
from billing_ui.billing.versions import team_version
from billing_ui.billing.visits import return_from_visit
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.payments.types import FlowType, PortalFlow, SubscriptionState
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import (
    Account,
    card,
    invoice,
    latest_outcome,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers
from tests.unit.statements import noted_statements

# The catalogue and the portal configuration do not grow with customers.
GROWING = {
    *("customer", "customer_snapshot", "subscription", "subscription_item", "invoice"),
    *("payment_method", "portal_visit", "team", "membership", "user"),
}


async def click(services: Services, account: Account) -> None:
    """Go to the portal and come back."""
    flow = PortalFlow(type=FlowType.SUBSCRIPTION_UPDATE)
    opened = await open_portal(services, account.identity, flow=flow)
    await return_from_visit(services, str(opened.visit_id), account.identity)
    await latest_outcome(services, account.identity)


async def look(services: Services, account: Account) -> None:
    """Open the page, as an owner and as a member, and turn a page of invoices."""
    await load_page(services, account.identity, None, utc_now())
    await load_page(services, await new_member(services, account), None, utc_now())
    await team_version(services, account.team_id)
    page = await load_invoices(services, account.identity, limit=2)
    await load_invoices(services, account.identity, page.next_cursor, 2)


async def refresh(services: Services, account: Account) -> None:
    """Fetch everything anew."""
    await refresh_billing(services, account.identity)


@pytest.mark.parametrize("journey", [look, click, refresh])
async def test_no_journey_reads_a_growing_table_from_end_to_end(
    sqlite_url: str, driver: FakeDriver, journey: Callable[[Services, Account], Awaitable[None]]
) -> None:
    settings = make_settings(stripe_portal_configuration="bpc_1")
    services = Services(settings, Database(sqlite_url), FakeDrivers(settings, driver))
    account = await new_account(services, customer="cus_1")
    driver.has(
        snapshot(
            subscription(status="past_due", state=SubscriptionState.PAST_DUE),
            payment_methods=(card(),),
            invoices=tuple(invoice(number, status="open") for number in range(5)),
        )
    )
    await refresh(services, account)
    with noted_statements(services.database) as asked:
        await journey(services, account)
    assert asked
    async with services.database.engine.connect() as connection:
        for statement, parameters in asked:
            first = parameters[0] if isinstance(parameters, list) else parameters
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", first)
            steps = [row._mapping["detail"] for row in plan]
            scanned = [step for step in steps if step.startswith("SCAN")]
            assert not [s for s in scanned if s.split()[1].strip('"') in GROWING], statement
    await services.database.close()
