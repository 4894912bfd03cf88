"""The billing page as one read: everything on it, and nothing that whoever looks may not see."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete
from sqlmodel import col

from billing_ui.accounts.errors import NoTeam
from billing_ui.billing.fetches import mark_out_of_date
from billing_ui.billing.invoices import NO_INVOICES, load_invoices
from billing_ui.billing.page import load_page
from billing_ui.billing.portal import open_portal
from billing_ui.billing.services import Services
from billing_ui.billing.summary import load_billing
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.versions import team_version, team_versions
from billing_ui.billing.visits import return_from_visit
from billing_ui.models import Customer, Invoice
from tests.unit.billing.factories import (
    NOW,
    PRO,
    TEAM,
    Account,
    card,
    invoice,
    latest_outcome,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


@pytest.fixture
async def account(shop: Services, driver: FakeDriver) -> Account:
    """A team that has paid twelve invoices, and has changed its plan on a trip to the portal."""
    invoices = tuple(invoice(n, created_at=NOW - timedelta(days=n)) for n in range(1, 13))
    before = snapshot(subscription(PRO), payment_methods=(card(),), invoices=invoices)
    driver.has(before)
    made = await new_account(shop, customer="cus_1")
    await sync_customer(shop, made.customer)
    opened = await open_portal(shop, made.identity)
    driver.has(snapshot(subscription(TEAM), payment_methods=(card(),), invoices=invoices))
    await return_from_visit(shop, str(opened.visit_id), made.identity)
    return made


async def test_the_page_holds_what_each_of_its_parts_tells(
    shop: Services, account: Account
) -> None:
    asker = account.identity
    older = (await load_invoices(shop, asker)).next_cursor
    page = await load_page(shop, asker, older, NOW)
    assert page.summary == await load_billing(shop, asker)
    assert page.spend is not None
    assert page.spend.total == 12 * 17460
    assert [entry.change.kind for entry in page.entries] == ["plan_changed"]
    assert page.invoices.first > 1
    assert page.invoices == await load_invoices(shop, asker, older)
    assert page.visit is not None
    assert page.visit == await latest_outcome(shop, asker)
    assert page.shows_account


async def test_a_member_is_shown_the_plan_and_nothing_of_the_account(
    shop: Services, account: Account
) -> None:
    member = await new_member(shop, account)
    page = await load_page(shop, member, None, NOW)
    assert page.summary == await load_billing(shop, member)
    assert [entry.change.kind for entry in page.entries] == ["plan_changed"]
    assert not page.shows_account
    assert (page.spend, page.invoices, page.visit) == (None, NO_INVOICES, None)


async def test_a_team_without_a_customer_has_an_empty_page(shop: Services) -> None:
    stranger = await new_account(shop)
    page = await load_page(shop, stranger.identity, None, NOW)
    assert not page.summary.has_customer
    assert (page.spend, page.entries, page.invoices) == (None, (), NO_INVOICES)
    assert not page.shows_account


async def test_the_newest_invoices_stand_where_a_page_of_older_ones_is_empty_by_now(
    shop: Services, account: Account
) -> None:
    newest = await load_invoices(shop, account.identity)
    async with shop.database.write() as session:
        shown = [row.id for row in newest.rows]
        await session.exec(delete(Invoice).where(col(Invoice.id).not_in(shown)))
    page = await load_page(shop, account.identity, newest.next_cursor, NOW)
    assert page.invoices.rows == newest.rows
    assert page.invoices.first == 1


async def test_somebody_without_a_team_is_shown_nothing(shop: Services, account: Account) -> None:
    with pytest.raises(NoTeam):
        await load_page(shop, replace(account.identity, team_id=None, role=None), None, NOW)


async def test_the_version_of_one_team_is_the_one_it_has_among_many(
    shop: Services, account: Account
) -> None:
    other = await new_account(shop, customer="cus_2")
    many = await team_versions(shop, [account.team_id, other.team_id])
    assert await team_version(shop, account.team_id) == many[account.team_id]
    async with shop.database.write() as session:
        await mark_out_of_date(session, Customer, account.customer)
    await sync_customer(shop, account.customer)
    assert await team_version(shop, account.team_id) != many[account.team_id]
