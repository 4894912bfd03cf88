"""Checkouts: the provider's own page for the price that was chosen, and for nothing that cannot be bought."""

import pytest

from billing_ui.payments.driver import Driver
from billing_ui.payments.types import InvalidRequest, SubscriptionState
from tests.drivers.receiver import Receiver
from tests.drivers.world import World, checkout_request, page_at, payer, unknown_like


async def test_a_checkout_is_a_page_of_the_providers_that_sells_the_price(
    driver: Driver, world: World
) -> None:
    assert driver.capabilities.checkout
    who = payer()
    offer = world.offer("Lighthouse", 4200)
    checkout = await driver.start_checkout(checkout_request(who, offer))
    assert checkout.provider == world.provider
    assert checkout.customer == await driver.ensure_customer(who)
    assert checkout.checkout_url.startswith(world.url)
    assert checkout.checkout_url not in repr(checkout)
    page = page_at(checkout.checkout_url)
    assert "Lighthouse" in page
    assert "42.00" in page


async def test_a_checkout_sells_as_many_as_were_chosen(driver: Driver, world: World) -> None:
    seats = world.offer("Seats", 2000, unit_label="seat")
    checkout = await driver.start_checkout(checkout_request(payer(), seats, quantity=3))
    assert "60.00" in page_at(checkout.checkout_url)


async def test_what_is_bought_at_a_checkout_is_the_customers_and_told_of(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    who = payer()
    seats = world.offer("Seats", 2000, unit_label="seat")
    checkout = await driver.start_checkout(checkout_request(who, seats, quantity=3))
    bought = world.buy(checkout.session_id)
    world.control.do("webhooks/flush", {})
    [subscription] = (await driver.fetch_snapshot(checkout.customer)).subscriptions
    assert (subscription.id, subscription.state) == (bought, SubscriptionState.ACTIVE)
    [item] = subscription.items
    assert (item.price_id, item.quantity, item.unit_amount) == (seats.price, 3, 2000)
    events = [driver.verify_webhook(one.headers, one.body) for one in receiver.deliveries]
    assert checkout.customer in {event.customer_id for event in events}


@pytest.mark.parametrize("wrong", ["missing", "archived"])
async def test_a_price_that_cannot_be_bought_is_refused_in_words(
    wrong: str, driver: Driver, world: World
) -> None:
    offer = world.offer("Gone")
    if wrong == "archived":
        world.archive(offer)
    price = offer.price if wrong == "archived" else unknown_like(offer.price)
    with pytest.raises(InvalidRequest):
        await driver.start_checkout(checkout_request(payer(), offer, price_id=price))
