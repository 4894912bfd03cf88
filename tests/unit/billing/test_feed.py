"""Recent changes as the page tells them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from billing_ui.accounts.errors import NoTeam
from billing_ui.accounts.sessions import Identity
from billing_ui.billing import feed as feeding
from billing_ui.billing.feed import FeedEntry
from billing_ui.billing.page import load_page
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.models import ChangeSource
from tests.unit.billing.factories import (
    NOW,
    PRO,
    RENEWAL,
    TEAM,
    Account,
    card,
    invoice,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


@pytest.fixture
async def account(shop: Services, driver: FakeDriver) -> Account:
    """A team on Pro that we have seen once."""
    driver.has(snapshot(subscription(PRO), payment_methods=(card(),)))
    made = await new_account(shop, customer="cus_1")
    await sync_customer(shop, made.customer)
    return made


async def told(services: Services, identity: Identity) -> Sequence[FeedEntry]:
    """Return the changes that somebody's page tells of."""
    return (await load_page(services, identity, None, NOW)).entries


async def test_a_customer_seen_once_has_no_changes(shop: Services, account: Account) -> None:
    assert await told(shop, account.identity) == []


async def test_the_latest_find_comes_first_and_of_one_find_the_most_important_change(
    shop: Services, account: Account, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.has(snapshot(subscription(TEAM, 5), payment_methods=(card("0005"),)))
    await sync_customer(shop, account.customer, source=ChangeSource.WEBHOOK)
    driver.has(snapshot(subscription(TEAM, 6), payment_methods=(card("0005"),)))
    await sync_customer(shop, account.customer)

    feed = await told(shop, account.identity)

    assert [(entry.change.kind, entry.source.value) for entry in feed] == [
        ("quantity_changed", "reconcile"),
        ("plan_changed", "webhook"),
        ("quantity_changed", "webhook"),
        ("payment_method_changed", "webhook"),
    ]
    monkeypatch.setattr(feeding, "NEWEST", 2)
    assert await told(shop, account.identity) == feed[:2]


async def test_a_renewal_that_was_paid_is_told_as_a_payment(
    shop: Services, account: Account, driver: FakeDriver
) -> None:
    later = RENEWAL.replace(month=2)
    renewed = subscription(PRO, current_period_start=RENEWAL, current_period_end=later)
    driver.has(
        snapshot(
            renewed,
            payment_methods=(card(),),
            invoices=(invoice(1, created_at=NOW.replace(day=9)),),
        )
    )
    await sync_customer(shop, account.customer, source=ChangeSource.WEBHOOK)

    assert [entry.change.kind for entry in await told(shop, account.identity)] == ["invoice_paid"]


async def test_a_member_is_told_of_the_plan_and_of_nothing_else(
    shop: Services, account: Account, driver: FakeDriver
) -> None:
    driver.has(snapshot(subscription(TEAM, 5), payment_methods=(card(),)))
    await sync_customer(shop, account.customer)
    for number in range(1, 12):
        paid = invoice(number, created_at=NOW.replace(day=9))
        found = snapshot(
            subscription(TEAM, 5), payment_methods=(card(f"{number:04}"),), invoices=(paid,)
        )
        driver.has(found)
        await sync_customer(shop, account.customer)

    feed = await told(shop, await new_member(shop, account))

    assert [entry.change.kind for entry in feed] == ["plan_changed", "quantity_changed"]


async def test_changes_are_not_for_other_teams_nor_for_nobody(
    shop: Services, account: Account, driver: FakeDriver
) -> None:
    driver.has(snapshot(subscription(TEAM, 5), payment_methods=(card(),)))
    await sync_customer(shop, account.customer)
    stranger = await new_account(shop, name="Bluefin Studio")
    assert await told(shop, stranger.identity) == ()
    with pytest.raises(NoTeam):
        await told(shop, replace(account.identity, team_id=None, role=None))
