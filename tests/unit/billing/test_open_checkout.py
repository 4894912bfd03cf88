"""Buying a plan: one customer, one subscription, and only what is for sale."""

import asyncio

import pytest
from sqlmodel import select

from billing_ui.accounts.limits import LOOKUPS
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.checkout import open_checkout
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.models import Customer, PortalVisit
from billing_ui.payments.types import (
    Capabilities,
    InvalidRequest,
    InvalidReturnUrl,
    NotAllowed,
    ProviderMismatch,
    ProviderUnavailable,
    SubscriptionState,
)
from tests.unit.billing.factories import (
    PRO,
    TEAM,
    catalog,
    ended,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


async def customers(services: Services) -> list[Customer]:
    """Return every customer row, oldest generation first."""
    async with services.database.read() as session:
        return list((await session.exec(select(Customer).order_by("generation"))).all())


async def test_checkout_creates_the_customer_and_returns_through_us(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop)
    opened = await open_checkout(shop, account.identity, TEAM, 5, "/welcome", currency="eur")
    [request] = driver.checkouts
    [customer] = await customers(shop)
    assert request.payer.customer_id == customer.provider_customer_id
    assert (request.price_id, request.quantity, request.currency) == (TEAM, 5, "eur")
    assert request.adjustable_quantity
    assert (
        request.success_url
        == f"http://localhost:3000/settings/billing/return?visit={opened.visit_id}"
    )
    assert request.cancel_url == "http://localhost:3000/welcome"
    async with shop.database.read() as session:
        [visit] = (await session.exec(select(PortalVisit))).all()
    assert (visit.kind, visit.return_url, visit.customer_id) == (
        "checkout",
        "/welcome",
        customer.id,
    )
    assert opened.url not in repr(opened)


async def test_without_a_return_url_going_back_leads_to_the_plans(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop)
    await open_checkout(shop, account.identity, PRO)
    assert driver.checkouts[0].cancel_url == "http://localhost:3000/pricing"


async def test_two_clicks_in_two_browsers_make_one_customer(
    shop: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop)
    await asyncio.gather(
        *(
            open_checkout(process, account.identity, PRO)
            for process in (shop, other_process)
            for _ in range(3)
        )
    )
    assert len(driver.snapshots) == 1
    assert len(await customers(shop)) == 1
    assert {request.payer.customer_id for request in driver.checkouts} == set(driver.snapshots)


@pytest.mark.parametrize("state", sorted(set(SubscriptionState) - {SubscriptionState.ENDED}))
async def test_a_second_subscription_is_refused_whatever_state_the_first_is_in(
    shop: Services, driver: FakeDriver, state: SubscriptionState
) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.has(snapshot(subscription(PRO, state=state)))
    with pytest.raises(InvalidRequest, match="billing portal"):
        await open_checkout(shop, account.identity, TEAM)
    assert driver.checkouts == []


async def test_a_subscription_bought_in_another_tab_counts_though_we_have_not_heard_of_it(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.has(snapshot())
    await sync_customer(shop, account.customer)
    driver.has(snapshot(subscription(PRO)))
    with pytest.raises(InvalidRequest, match="already has a plan"):
        await open_checkout(shop, account.identity, TEAM)


async def test_a_plan_of_another_customer_that_the_team_has_at_the_provider_counts_too(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop, customer="cus_old")
    async with shop.database.write() as session:
        newer = Customer(team_id=account.team_id, provider="stripe", generation=2)
        newer.provider_customer_id = driver.has(snapshot(customer="cus_new"))
        session.add(newer)
    driver.has(snapshot(customer="cus_old"))
    await open_checkout(shop, account.identity, PRO)
    assert [one.payer.customer_id for one in driver.checkouts] == ["cus_new"]
    # Bought in a tab that had been open for long.
    driver.has(snapshot(subscription(PRO), customer="cus_old"))
    with pytest.raises(InvalidRequest, match="already has a plan"):
        await open_checkout(shop, account.identity, TEAM)
    assert len(driver.checkouts) == 1


async def test_after_a_subscription_ended_another_one_can_be_bought(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.has(snapshot(ended()))
    await open_checkout(shop, account.identity, PRO)
    assert driver.checkouts[0].payer.customer_id == "cus_1"


async def test_a_customer_deleted_at_the_provider_is_followed_by_a_new_one(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.delete("cus_1")
    await open_checkout(shop, account.identity, PRO)
    first, second = await customers(shop)
    assert first.deleted_at is not None
    assert second.generation == 2
    assert driver.checkouts[0].payer.customer_id == second.provider_customer_id != "cus_1"


async def test_two_clicks_after_a_deletion_make_one_new_customer(
    shop: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.delete("cus_1")
    await asyncio.gather(
        *(open_checkout(process, account.identity, PRO) for process in (shop, other_process))
    )
    assert len(await customers(shop)) == 2
    assert len(driver.created) == 1


async def test_a_customer_of_another_account_is_followed_by_a_new_one(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop, customer="cus_test_mode")
    await open_checkout(shop, account.identity, PRO)
    assert [row.generation for row in await customers(shop)] == [1, 2]


async def test_a_provider_that_is_down_is_not_taken_for_a_deleted_customer(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.has(snapshot())
    driver.fail("fetch_snapshot", ProviderUnavailable())
    with pytest.raises(ProviderUnavailable):
        await open_checkout(shop, account.identity, PRO)
    assert len(await customers(shop)) == 1


# ---------------------------------------------------------------- wishes


@pytest.mark.parametrize("archived", [PRO, "prod_pro"])
async def test_a_price_or_product_that_is_not_active_cannot_be_bought(
    services: Services, driver: FakeDriver, archived: str
) -> None:
    driver.catalog = catalog(archived=(archived,))
    await refresh_catalog(services)
    account = await new_account(services)
    with pytest.raises(InvalidRequest, match=r"^priceId: Pro is not for sale"):
        await open_checkout(services, account.identity, PRO)
    assert await customers(services) == []


async def test_a_price_nobody_has_heard_of_cannot_be_bought(shop: Services) -> None:
    account = await new_account(shop)
    with pytest.raises(InvalidRequest, match=r"^priceId: there is no such price"):
        await open_checkout(shop, account.identity, "price_invented")
    assert await customers(shop) == []


async def test_whoever_asks_for_prices_that_there_are_not_keeps_nobody_from_the_provider(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop)
    driver.calls.clear()
    for number in range(LOOKUPS.times + 5):
        with pytest.raises(InvalidRequest, match="no such price"):
            await open_checkout(shop, account.identity, f"price_none_{number}")
    assert driver.count("fetch_catalog") == LOOKUPS.times
    await open_checkout(shop, account.identity, PRO)


async def test_a_price_newer_than_our_copy_of_the_catalogue_can_be_bought(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    await open_checkout(services, account.identity, PRO)
    assert len(driver.checkouts) == 1


@pytest.mark.parametrize("quantity", [0, -1, 1_000_000])
async def test_a_quantity_out_of_range_is_refused(shop: Services, quantity: int) -> None:
    account = await new_account(shop)
    with pytest.raises(InvalidRequest, match=r"^quantity: "):
        await open_checkout(shop, account.identity, TEAM, quantity)


async def test_only_what_is_counted_has_a_quantity(shop: Services) -> None:
    account = await new_account(shop)
    with pytest.raises(InvalidRequest, match=r"^quantity: Pro is sold once per team"):
        await open_checkout(shop, account.identity, PRO, 2)


async def test_a_currency_the_price_lacks_is_refused(shop: Services) -> None:
    account = await new_account(shop)
    with pytest.raises(InvalidRequest, match=r"^currency: Pro has no price in JPY"):
        await open_checkout(shop, account.identity, PRO, currency="jpy")


async def test_who_may_not_buy_gets_no_customer(shop: Services) -> None:
    account = await new_account(shop)
    with pytest.raises(NotAllowed):
        await open_checkout(shop, await new_member(shop, account), PRO)
    with pytest.raises(InvalidReturnUrl):
        await open_checkout(shop, account.identity, PRO, 1, "//evil.example")
    assert await customers(shop) == []


async def test_another_providers_customer_is_a_mismatch(shop: Services) -> None:
    account = await new_account(shop, customer="polar_1", provider="polar")
    with pytest.raises(ProviderMismatch):
        await open_checkout(shop, account.identity, PRO)
    assert len(await customers(shop)) == 1


async def test_a_provider_without_checkout_says_so(shop: Services, driver: FakeDriver) -> None:
    account = await new_account(shop)
    driver.capabilities = Capabilities(flows=frozenset(), checkout=False, event_list=True)
    with pytest.raises(InvalidRequest, match="no checkout"):
        await open_checkout(shop, account.identity, PRO)
