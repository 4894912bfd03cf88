"""The plans there are, and what the team may do with them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.pricing import CATALOG_MAX_AGE, Pricing, load_pricing
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.models import Catalog
from billing_ui.payments.types import SnapshotCustomer
from tests.unit.billing.factories import (
    PRO,
    PRO_YEARLY,
    STARTER,
    TEAM,
    catalog,
    ended,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


async def with_plan(services: Services, driver: FakeDriver, *subs: Any, **fields: Any) -> Pricing:
    """Return what the owner of a team with these subscriptions sees."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(*subs, customer=SnapshotCustomer(id="cus_1", **fields)))
    await sync_customer(services, account.customer)
    return await load_pricing(services, account.identity)


async def test_anybody_sees_the_plans(shop: Services) -> None:
    pricing = await load_pricing(shop, None)
    assert [product.name for product in pricing.products] == ["Starter", "Pro", "Team"]
    pro = pricing.products[1]
    assert [(price.id, price.interval) for price in pro.prices] == [
        (PRO, "month"),
        (PRO_YEARLY, "year"),
    ]
    assert pro.prices[0].amounts == {"usd": 14900, "eur": 14900}
    assert pricing.products[2].unit_label == "seat"
    assert pricing.currencies == ("usd", "eur")
    assert not pricing.can_checkout
    assert not pricing.out_of_date


async def test_what_is_not_for_sale_is_not_shown(services: Services, driver: FakeDriver) -> None:
    driver.catalog = catalog(archived=("prod_team", STARTER, PRO_YEARLY))
    await refresh_catalog(services)
    pricing = await load_pricing(services, None)
    assert [(p.name, len(p.prices)) for p in pricing.products] == [("Pro", 1)]


async def test_a_team_without_a_plan_may_buy_one(shop: Services) -> None:
    account = await new_account(shop)
    pricing = await load_pricing(shop, account.identity)
    assert (pricing.can_checkout, pricing.can_switch) == (True, False)
    assert (pricing.current_price_id, pricing.members) == (None, 1)


async def test_a_team_with_a_plan_may_switch_and_never_buy_a_second(
    shop: Services, driver: FakeDriver
) -> None:
    pricing = await with_plan(shop, driver, subscription(TEAM, 24), currency="eur")
    assert (pricing.can_checkout, pricing.can_switch) == (False, True)
    assert pricing.has_live_subscription
    assert (pricing.current_price_id, pricing.current_product_id, pricing.current_quantity) == (
        TEAM,
        "prod_team",
        24,
    )
    assert pricing.currencies == ("eur",)


async def test_after_a_plan_ended_another_may_be_bought(shop: Services, driver: FakeDriver) -> None:
    pricing = await with_plan(shop, driver, ended())
    assert (pricing.can_checkout, pricing.current_price_id) == (True, None)


async def test_a_member_may_neither_buy_nor_switch(shop: Services, driver: FakeDriver) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    await sync_customer(shop, account.customer)
    pricing = await load_pricing(shop, await new_member(shop, account))
    assert (pricing.can_checkout, pricing.can_switch) == (False, False)
    assert (pricing.current_price_id, pricing.members) == (PRO, 2)


async def test_another_providers_customer_can_do_nothing_here(shop: Services) -> None:
    account = await new_account(shop, customer="polar_1", provider="polar")
    pricing = await load_pricing(shop, account.identity)
    assert (pricing.can_checkout, pricing.can_switch) == (False, False)


@pytest.mark.parametrize("age", [None, CATALOG_MAX_AGE + timedelta(minutes=1)])
async def test_a_catalogue_never_fetched_or_old_is_out_of_date(
    services: Services, age: timedelta | None
) -> None:
    if age is not None:
        await refresh_catalog(services)
        async with services.database.write() as session:
            row = (await session.exec(select(Catalog))).one()
            assert row.fetched_at
            row.fetched_at -= age
            session.add(row)
    assert (await load_pricing(services, None)).out_of_date
