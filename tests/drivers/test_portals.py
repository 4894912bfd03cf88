"""Portals: the provider's own page, the way back where there is one, and its places as far as it has them."""

import pytest

from billing_ui.payments.driver import Driver
from billing_ui.payments.types import (
    FlowType,
    InvalidRequest,
    NothingBought,
    PaymentError,
    PortalFlow,
)
from tests.drivers.world import RETURN_URL, World, page_at, payer, portal_request, unknown_like


async def subscriber(driver: Driver, world: World, name: str = "Pro") -> tuple[str, str]:
    """Return a customer who pays for a plan, and the id of the subscription."""
    customer = await driver.ensure_customer(payer())
    world.add_card(customer)
    return customer, world.subscribe(customer, world.offer(name))


async def test_a_portal_is_a_page_of_the_providers_that_shows_what_is_paid_for(
    driver: Driver, world: World
) -> None:
    customer, _ = await subscriber(driver, world, "Observatory")
    session = await driver.start_portal_session(portal_request(payer(customer)))
    assert (session.provider, session.customer) == (world.provider, customer)
    assert session.portal_url.startswith(world.url)
    assert session.session_id
    assert "Observatory" in page_at(session.portal_url)


async def test_a_portal_leads_back_exactly_where_it_was_told_or_nowhere(
    driver: Driver, world: World
) -> None:
    customer, _ = await subscriber(driver, world)
    session = await driver.start_portal_session(portal_request(payer(customer)))
    page = page_at(session.portal_url)
    assert (f'href="{RETURN_URL}"' in page) is driver.capabilities.returns
    assert ("app.example.com" in page) is driver.capabilities.returns


async def test_each_portal_is_of_one_customer(driver: Driver, world: World) -> None:
    first, _ = await subscriber(driver, world, "Quarry")
    second, _ = await subscriber(driver, world, "Harbour")
    urls = [
        (await driver.start_portal_session(portal_request(payer(customer)))).portal_url
        for customer in (first, second)
    ]
    assert "Harbour" not in page_at(urls[0]).partition("Update plan")[0]
    assert urls[0] != urls[1]


async def test_the_address_of_a_portal_is_not_shown(driver: Driver, world: World) -> None:
    customer, _ = await subscriber(driver, world)
    session = await driver.start_portal_session(portal_request(payer(customer)))
    assert session.portal_url not in repr(session)
    assert session.portal_url not in str(session)


async def test_who_never_bought_anything_gets_a_portal_or_is_told_so(
    driver: Driver, world: World
) -> None:
    world.offer("Pro")
    request = portal_request(payer())
    if world.portal_before_buying:
        session = await driver.start_portal_session(request)
        assert page_at(session.portal_url)
        assert session.customer == await driver.ensure_customer(request.payer)
    else:
        with pytest.raises(NothingBought):
            await driver.start_portal_session(request)


@pytest.mark.parametrize("type_", FlowType)
async def test_a_portal_opens_at_the_places_it_has_and_refuses_the_others_in_words(
    type_: FlowType, driver: Driver, world: World
) -> None:
    customer, subscription = await subscriber(driver, world)
    other = world.offer("Larger", 29900)
    flow = PortalFlow(type=type_, subscription_id=subscription)
    if type_ is FlowType.SUBSCRIPTION_UPDATE_CONFIRM:
        snapshot = await driver.fetch_snapshot(customer)
        change = {"item_id": snapshot.subscriptions[0].items[0].id, "price_id": other.price}
        flow = flow.model_copy(update=change)
    request = portal_request(payer(customer), flow=flow)
    if type_ in driver.capabilities.flows:
        assert page_at((await driver.start_portal_session(request)).portal_url)
    else:
        with pytest.raises(InvalidRequest, match=driver.display_name):
            await driver.start_portal_session(request)


async def test_nobody_gets_a_portal_of_a_customer_the_provider_does_not_know(
    driver: Driver, world: World
) -> None:
    customer, _ = await subscriber(driver, world)
    with pytest.raises(PaymentError):
        await driver.start_portal_session(portal_request(payer(unknown_like(customer))))


async def test_the_configuration_of_the_portal_is_found_again_or_there_is_none(
    driver: Driver, other_driver: Driver, world: World
) -> None:
    world.offer("Pro")
    catalog = await driver.fetch_catalog()
    made = await driver.ensure_portal_configuration(catalog, None)
    assert await other_driver.ensure_portal_configuration(catalog, None) == made
    assert await other_driver.ensure_portal_configuration(catalog, made) == made
