"""The catalogue, and the portal configuration made of it once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import stripe

from billing_ui.payments.stripe import StripeDriver
from billing_ui.payments.types import (
    CatalogSnapshot,
    NoActivePrices,
    PortalConfigurationRef,
    ProductNotActive,
)
from tests.conftest import running_sandbox
from tests.unit.payments.conftest import KEY
from tests.unit.payments.scripted import STORED_FAILURE, ScriptedServer, json_answer
from tests.unit.payments.shop import Shop


@pytest.fixture(scope="module")
def own_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox that sells nothing but what these tests put in."""
    with running_sandbox(tmp_path_factory.mktemp("catalog") / "sandbox.db") as url:
        yield url


@pytest.fixture
def sandbox_url(own_sandbox: str) -> str:
    """The URL of an empty sandbox."""
    httpx.post(f"{own_sandbox}/_control/reset", json={}, trust_env=False).raise_for_status()
    return own_sandbox


@pytest.fixture
async def second_driver(sandbox_url: str) -> AsyncIterator[StripeDriver]:
    """The driver of another process on the same account."""
    opened = StripeDriver(KEY, api_base=sandbox_url)
    yield opened
    await opened.close()


async def configurations(sdk: stripe.StripeClient) -> list[stripe.billing_portal.Configuration]:
    """Return every portal configuration there is."""
    return list((await sdk.v1.billing_portal.configurations.list_async({"limit": 100})).data)


async def offered(driver: StripeDriver, sdk: stripe.StripeClient) -> dict[str, Any]:
    """Return product -> what the portal offers of it, after making the configuration."""
    ref = await driver.ensure_portal_configuration(await driver.fetch_catalog(), None)
    made = await sdk.v1.billing_portal.configurations.retrieve_async(
        ref.id, {"expand": ["features.subscription_update.products"]}
    )
    return {one.product: one for one in made.features.subscription_update.products or ()}


# ---------------------------------------------------------------- the catalogue


async def test_the_catalogue_holds_every_product_and_price_with_all_currencies(
    driver: StripeDriver, shop: Shop
) -> None:
    product = await shop.product(
        "Team",
        description="For whole teams",
        unit_label="seat",
        marketing_features=[{"name": "Audit log"}, {"name": "SSO"}],
    )
    yearly = await shop.price(product, 20000, "year")
    monthly = await shop.price(product, 2000, currency_options={"eur": {"unit_amount": 1900}})
    once = await shop.price(product, 500, None)
    gone = await shop.product("Gone", active=False)
    catalog = await driver.fetch_catalog()

    assert catalog.provider == "stripe"
    team, archived = catalog.products
    assert (team.id, team.name, team.description) == (product, "Team", "For whole teams")
    assert (team.unit_label, team.features) == ("seat", ("Audit log", "SSO"))
    assert [price.id for price in team.prices] == [monthly, yearly, once]
    assert team.prices[0].amounts == {"eur": 1900, "usd": 2000}
    assert [(price.interval, price.interval_count) for price in team.prices] == [
        *[("month", 1), ("year", 1)],
        (None, 1),
    ]
    assert (archived.id, archived.active, archived.prices) == (gone, False, ())


async def test_prices_of_different_default_currencies_are_all_there(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    product = await shop.product()
    await shop.price(product)
    await sdk.v1.prices.create_async({"product": product, "currency": "jpy", "unit_amount": 2000})
    (found,) = (await driver.fetch_catalog()).products
    assert [price.amounts for price in found.prices] == [{"usd": 14900}, {"jpy": 2000}]


async def test_products_stand_by_their_position_and_else_by_what_they_cost(
    driver: StripeDriver, shop: Shop
) -> None:
    for name, amount, interval, fields in (
        *[("Yearly", 12000, "year", {}), ("Cheap", 900, "month", {})],
        *[("Dear", 9900, "month", {}), ("Last", 100, "month", {"metadata": {"position": "2"}})],
        *[("First", 500, "month", {"metadata": {"position": "1"}})],
        *[("Odd", 90000, "month", {"metadata": {"position": "first"}})],
    ):
        await shop.price(await shop.product(name, **fields), amount, interval)
    names = [product.name for product in (await driver.fetch_catalog()).products]
    assert names == ["First", "Last", "Cheap", "Yearly", "Dear", "Odd"]


async def test_a_catalogue_of_more_than_a_page_is_fetched_whole(
    driver: StripeDriver, shop: Shop
) -> None:
    product = await shop.product()
    prices = {await shop.price(product, 100 + number) for number in range(101)}
    (found,) = (await driver.fetch_catalog()).products
    assert {price.id for price in found.prices} == prices


async def test_nothing_for_sale_is_an_empty_catalogue(driver: StripeDriver) -> None:
    assert (await driver.fetch_catalog()).products == ()


# ---------------------------------------------------------------- the portal configuration


async def test_the_configuration_enables_what_the_design_names(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    await shop.price(await shop.product())
    ref = await driver.ensure_portal_configuration(await driver.fetch_catalog(), None)
    (made,) = await configurations(sdk)
    features = made.features
    assert (made.id, made.active) == (ref.id, True)
    assert made.business_profile.headline == "Manage your subscription"
    assert features.customer_update.enabled
    assert features.invoice_history.enabled
    assert features.payment_method_update.enabled
    assert features.subscription_cancel.mode == "at_period_end"
    assert features.subscription_cancel.cancellation_reason.options == [
        *["too_expensive", "missing_features", "switched_service", "unused", "other"]
    ]
    assert features.subscription_update.proration_behavior == "create_prorations"
    assert set(features.subscription_update.default_allowed_updates) == {
        *("price", "quantity", "promotion_code")
    }
    assert made.metadata is not None
    assert made.metadata["content_hash"] == ref.hash


async def test_twenty_calls_of_two_processes_make_one_configuration(
    driver: StripeDriver, second_driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    await shop.price(await shop.product())
    catalog = await driver.fetch_catalog()
    refs = await asyncio.gather(
        *(
            one.ensure_portal_configuration(catalog, None)
            for one in (driver, second_driver)
            for _ in range(10)
        )
    )
    assert len(set(refs)) == 1
    assert len(await configurations(sdk)) == 1


async def test_a_known_configuration_that_fits_costs_no_call(
    driver: StripeDriver, shop: Shop
) -> None:
    await shop.price(await shop.product())
    catalog = await driver.fetch_catalog()
    known = await driver.ensure_portal_configuration(catalog, None)
    nowhere = StripeDriver(KEY, api_base="http://127.0.0.1:1")
    assert await nowhere.ensure_portal_configuration(catalog, known) == known
    stored = CatalogSnapshot.model_validate_json(catalog.model_dump_json())
    assert await nowhere.ensure_portal_configuration(stored, known) == known


async def test_a_lost_id_is_found_again(
    driver: StripeDriver, second_driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    await shop.price(await shop.product())
    catalog = await driver.fetch_catalog()
    known = await driver.ensure_portal_configuration(catalog, None)
    assert await second_driver.ensure_portal_configuration(catalog, None) == known
    assert len(await configurations(sdk)) == 1


async def test_what_is_found_and_fits_is_not_written_again(
    driver: StripeDriver, scripted: ScriptedServer, scripted_driver: StripeDriver, shop: Shop
) -> None:
    await shop.price(await shop.product())
    catalog = await driver.fetch_catalog()
    known = await driver.ensure_portal_configuration(catalog, None)
    metadata = {"managed_by": "billing-ui", "content_hash": known.hash}
    found = {"id": known.id, "active": True, "created": 1, "metadata": metadata}
    scripted.answers = [
        json_answer({"object": "list", "data": [found], "has_more": False, "url": "/v1/x"})
    ]
    assert await scripted_driver.ensure_portal_configuration(catalog, None) == known
    assert [seen.method for seen in scripted.seen] == ["GET"]


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_changed_catalogue_updates_the_configuration_in_place(
    remembered: bool, driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    product = await shop.product()
    await shop.price(product)
    old = await driver.ensure_portal_configuration(await driver.fetch_catalog(), None)
    yearly = await shop.price(product, 149000, "year")
    new = await driver.ensure_portal_configuration(
        await driver.fetch_catalog(), old if remembered else None
    )
    assert new.id == old.id
    assert new.hash != old.hash
    assert len(await configurations(sdk)) == 1
    assert yearly in (await offered(driver, sdk))[product].prices


async def test_what_only_pages_show_does_not_touch_the_configuration(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    product = await shop.product()
    await shop.price(product)
    known = await driver.ensure_portal_configuration(await driver.fetch_catalog(), None)
    await sdk.v1.products.update_async(product, {"name": "Professional"})
    assert await driver.ensure_portal_configuration(await driver.fetch_catalog(), known) == known


async def test_a_deactivated_configuration_is_made_active_again(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    await shop.price(await shop.product())
    catalog = await driver.fetch_catalog()
    known = await driver.ensure_portal_configuration(catalog, None)
    await sdk.v1.billing_portal.configurations.update_async(known.id, {"active": False})
    assert await driver.ensure_portal_configuration(catalog, None) == known
    assert [one.active for one in await configurations(sdk)] == [True]


async def test_a_configuration_of_another_account_is_replaced_by_one_here(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    await shop.price(await shop.product())
    elsewhere = PortalConfigurationRef(id="bpc_elsewhere", hash="old")
    made = await driver.ensure_portal_configuration(await driver.fetch_catalog(), elsewhere)
    assert [one.id for one in await configurations(sdk)] == [made.id]


async def test_a_configuration_of_someone_elses_is_left_alone(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    theirs = await sdk.v1.billing_portal.configurations.create_async(
        {"features": {"invoice_history": {"enabled": True}}}
    )
    await shop.price(await shop.product())
    made = await driver.ensure_portal_configuration(await driver.fetch_catalog(), None)
    assert made.id != theirs.id
    assert theirs in await configurations(sdk)


async def test_of_each_interval_the_default_price_is_offered_else_the_newest(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    product = await shop.product()
    default = await shop.price(product, 1000)
    await shop.price(product, 1100)
    await sdk.v1.products.update_async(product, {"default_price": default})
    older, newer = 1_700_000_000, 1_710_000_000
    yearly = {}
    for created in (newer, older):
        call = {
            "method": "post",
            "path": "/v1/prices",
            "at": created,
            "params": {
                "product": product,
                "currency": "usd",
                "unit_amount": 9000,
                "recurring": {"interval": "year"},
            },
        }
        yearly[created] = await _back_dated(driver, call)
    quarterly = await shop.price(
        product, 2900, None, recurring={"interval": "month", "interval_count": 3}
    )
    await sdk.v1.prices.update_async(await shop.price(product, 1, "week"), {"active": False})
    await shop.price(product, 1, None)
    prices = (await offered(driver, sdk))[product].prices
    assert prices == [default, quarterly, yearly[newer]]


async def _back_dated(driver: StripeDriver, call: dict[str, Any]) -> str:
    options = driver._client._requestor._options
    assert options.base_addresses is not None
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{options.base_addresses['api']}/_control/batch", json={"calls": [call]}
        )
    answer.raise_for_status()
    found: str = answer.json()["results"][0]["id"]
    return found


async def test_the_quantity_can_be_changed_of_what_is_sold_by_the_unit(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    flat, seats = await shop.product("Pro"), await shop.product("Team", unit_label="seat")
    await shop.price(flat)
    await shop.price(seats)
    found = await offered(driver, sdk)
    assert not found[flat].adjustable_quantity.enabled
    assert found[seats].adjustable_quantity.enabled
    assert found[seats].adjustable_quantity.minimum == 1


async def test_ten_products_are_offered_at_most(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    products = [await shop.product(str(number)) for number in range(11)]
    for number, product in enumerate(products):
        await shop.price(product, 100 + number)
    assert list(await offered(driver, sdk)) == products[:10]


async def test_archived_products_and_prices_are_not_offered(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    kept, archived, bare = [await shop.product(name) for name in ("Kept", "Archived", "Bare")]
    await shop.price(archived)
    price = await shop.price(kept)
    await sdk.v1.products.update_async(archived, {"active": False})
    await sdk.v1.prices.update_async(await shop.price(bare), {"active": False})
    found = await offered(driver, sdk)
    assert {product: one.prices for product, one in found.items()} == {kept: [price]}


async def archive_everything(sdk: stripe.StripeClient, product: str) -> None:
    """Take the only product off the market."""
    await sdk.v1.products.update_async(product, {"active": False})


async def test_none_is_made_when_no_product_is_active(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    product = await shop.product()
    await shop.price(product)
    await archive_everything(sdk, product)
    with pytest.raises(ProductNotActive, match="not active"):
        await driver.ensure_portal_configuration(await driver.fetch_catalog(), None)
    assert await configurations(sdk) == []


@pytest.mark.parametrize("interval", [None, "month"])
async def test_none_is_made_when_no_recurring_price_is_active(
    interval: str | None, driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    price = await shop.price(await shop.product(), interval=interval)
    if interval:
        await sdk.v1.prices.update_async(price, {"active": False})
    with pytest.raises(NoActivePrices, match="No active prices"):
        await driver.ensure_portal_configuration(await driver.fetch_catalog(), None)
    assert await configurations(sdk) == []


@pytest.mark.parametrize("remembered", [True, False])
async def test_someone_on_an_archived_plan_keeps_the_configuration_there_is(
    remembered: bool, driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    product = await shop.product()
    await shop.price(product)
    made = await driver.ensure_portal_configuration(await driver.fetch_catalog(), None)
    await archive_everything(sdk, product)
    catalog = await driver.fetch_catalog()
    known = made if remembered else None
    assert await driver.ensure_portal_configuration(catalog, known) == made


async def test_a_failure_that_the_provider_repeats_does_not_block_the_portal_for_a_day(
    scripted: ScriptedServer, scripted_driver: StripeDriver, driver: StripeDriver, shop: Shop
) -> None:
    await shop.price(await shop.product())
    catalog = await driver.fetch_catalog()
    nothing = {"object": "list", "data": [], "has_more": False, "url": "/v1/x"}
    scripted.answers = [
        json_answer(nothing),
        STORED_FAILURE,
        json_answer({"id": "bpc_1", "object": "billing_portal.configuration"}),
    ]
    made = await scripted_driver.ensure_portal_configuration(catalog, None)
    assert made.id == "bpc_1"
    _, first, second = scripted.seen
    assert second.form == first.form
    assert second.headers["Idempotency-Key"] == first.headers["Idempotency-Key"] + ":req_failed"
