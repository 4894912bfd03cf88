"""Many changes in no order anybody chose: what a driver tells afterwards is so, and somebody was told of it."""

from dataclasses import replace

import pytest

from billing_ui.payments.driver import Driver
from tests.drivers.receiver import Receiver
from tests.drivers.world import Truth, World, payer, truth_told

CUSTOMERS, EVENTS = 4, 60


def told_of(truth: Truth, world: World) -> Truth:
    """Return that part of what is so of which the provider sends events when it changes."""
    return truth if world.tells_of_details else replace(truth, name=None, cards=())


@pytest.mark.parametrize("seed", range(4))
async def test_after_a_storm_everything_told_is_so_and_every_change_was_told(
    seed: int, driver: Driver, world: World, receiver: Receiver
) -> None:
    offers = [world.offer(name, unit_label="seat") for name in ("Starter", "Team", "Pro")]
    customers = []
    for number in range(CUSTOMERS):
        customer = await driver.ensure_customer(payer())
        world.add_card(customer)
        world.subscribe(customer, offers[number % 2], 2)
        customers.append(customer)
    world.control.do("webhooks/flush", {})
    receiver.deliveries.clear()
    before = {customer: world.truth(customer) for customer in customers}

    world.control.do("storm", {"customers": customers, "events": EVENTS, "seed": seed})
    world.control.do("webhooks/flush", {})

    events = [driver.verify_webhook(one.headers, one.body) for one in receiver.deliveries]
    named = {event.customer_id for event in events}
    assert len(events) >= EVENTS
    for customer in customers:
        truth = world.truth(customer)
        told = truth_told(await driver.fetch_snapshot(customer))
        if not driver.capabilities.payment_method_list:
            assert set(told.cards) <= set(truth.cards)
            told = replace(told, cards=truth.cards)
        assert told == truth
        changed = told_of(truth, world) != told_of(before[customer], world)
        assert customer in named or not changed
