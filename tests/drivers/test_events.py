"""Webhooks as the provider sends them, and as nobody but a forger does; and the list of what was sent."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from billing_ui.clock import utc_now
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import (
    InvalidSignature,
    NoWebhookSecret,
    ProviderEvent,
    ProviderRejected,
)
from tests.drivers.receiver import Delivery, Receiver
from tests.drivers.world import World, open_driver, payer


async def subscribed(driver: Driver, world: World) -> str:
    """Let somebody buy a plan, tell of it, and return the customer."""
    customer = await driver.ensure_customer(payer())
    world.add_card(customer)
    world.subscribe(customer, world.offer("Pro"))
    world.control.do("webhooks/flush", {})
    return customer


async def one_delivery(driver: Driver, world: World, receiver: Receiver) -> Delivery:
    """Return a genuine webhook about a customer."""
    await subscribed(driver, world)
    return receiver.deliveries[-1]


def told(driver: Driver, receiver: Receiver) -> list[ProviderEvent]:
    """Return every event that came, verified."""
    return [driver.verify_webhook(one.headers, one.body) for one in receiver.deliveries]


def lowered(*several: Mapping[str, str]) -> dict[str, str]:
    """Return headers together, the last of each name."""
    return {name.lower(): value for headers in several for name, value in headers.items()}


# ---------------------------------------------------------------- genuine ones


async def test_what_happens_to_a_customer_is_told_with_its_name(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    customer = await subscribed(driver, world)
    events = told(driver, receiver)
    assert [event for event in events if event.customer_id == customer]
    for event in events:
        assert event.type
        assert abs(event.created_at - utc_now()) < timedelta(minutes=5)
    assert len({event.id for event in events}) == len(events)


@pytest.mark.parametrize("change", ["change_plan", "cancel", "end", "rename"])
async def test_every_change_that_is_told_of_makes_its_customer_out_of_date(
    change: str, driver: Driver, world: World, receiver: Receiver
) -> None:
    customer = await driver.ensure_customer(payer())
    world.add_card(customer)
    subscription = world.subscribe(customer, world.offer("Starter"))
    other = world.offer("Pro")
    world.control.do("webhooks/flush", {})
    receiver.deliveries.clear()
    match change:
        case "change_plan":
            world.change_plan(subscription, other)
        case "cancel":
            world.cancel(subscription)
        case "end":
            world.end(subscription)
        case "rename":
            world.rename(customer, "Another Name")
    world.control.do("webhooks/flush", {})
    tells = change != "rename" or world.tells_of_details
    assert (customer in {event.customer_id for event in told(driver, receiver)}) is tells


async def test_what_is_needed_is_among_what_an_endpoint_is_told_to_send(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    await subscribed(driver, world)
    types = {event.type for event in told(driver, receiver) if event.customer_id}
    assert types & set(driver.webhook_events)


async def test_the_providers_own_library_takes_what_its_sandbox_sends(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    delivery = await one_delivery(driver, world, receiver)
    assert world.verified_by_its_library(delivery.headers, delivery.body) in (True, None)


async def test_what_the_providers_own_library_signs_is_taken(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    delivery = await one_delivery(driver, world, receiver)
    headers = lowered(delivery.headers, world.sign(delivery.body, world.secret, utc_now()))
    assert driver.verify_webhook(headers, delivery.body).type


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
async def test_headers_are_found_however_they_are_spelled(
    spelling: Callable[[str], str], driver: Driver, world: World, receiver: Receiver
) -> None:
    delivery = await one_delivery(driver, world, receiver)
    headers = {spelling(name): value for name, value in delivery.headers.items()}
    assert driver.verify_webhook(headers, delivery.body).type


async def test_a_replayed_webhook_is_known_by_its_id(
    driver: Driver, other_driver: Driver, world: World, receiver: Receiver
) -> None:
    delivery = await one_delivery(driver, world, receiver)
    first = driver.verify_webhook(delivery.headers, delivery.body)
    again = other_driver.verify_webhook(delivery.headers, delivery.body)
    assert first.id == again.id


async def test_either_secret_verifies_while_one_is_being_replaced(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    delivery = await one_delivery(driver, world, receiver)
    other = f"{world.secret}other"
    for secrets in (f"{other},{world.secret}", f"{world.secret},{other}"):
        rotating = open_driver(world, secret=secrets)
        assert rotating.verify_webhook(delivery.headers, delivery.body).type
        await rotating.close()


# ---------------------------------------------------------------- forged ones


async def test_a_tampered_body_is_refused(driver: Driver, world: World, receiver: Receiver) -> None:
    delivery = await one_delivery(driver, world, receiver)
    for body in (delivery.body + b" ", delivery.body.replace(b"a", b"b", 1), b"", b"\xff\xfe"):
        with pytest.raises(InvalidSignature):
            driver.verify_webhook(delivery.headers, body)


async def test_each_signature_header_is_needed_and_means_what_it_says(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    delivery = await one_delivery(driver, world, receiver)
    ours = world.sign(delivery.body, world.secret, utc_now())
    genuine = lowered(delivery.headers, ours)
    for name in map(str.lower, ours):
        without = {header: value for header, value in genuine.items() if header != name}
        for forged in (without, *({**without, name: value} for value in ("", "nonsense", "é"))):
            with pytest.raises(InvalidSignature):
                driver.verify_webhook(forged, delivery.body)
    with pytest.raises(InvalidSignature):
        driver.verify_webhook({}, delivery.body)


async def test_a_wrong_secret_is_refused(driver: Driver, world: World, receiver: Receiver) -> None:
    delivery = await one_delivery(driver, world, receiver)
    other = open_driver(world, secret=f"{world.secret}other")
    with pytest.raises(InvalidSignature):
        other.verify_webhook(delivery.headers, delivery.body)
    await other.close()


async def test_without_a_secret_nothing_verifies(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    delivery = await one_delivery(driver, world, receiver)
    bare = open_driver(world, secret="")
    with pytest.raises(NoWebhookSecret):
        bare.verify_webhook(delivery.headers, delivery.body)
    await bare.close()


async def test_an_old_recording_is_refused_where_the_signature_says_how_old_it_is(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    delivery = await one_delivery(driver, world, receiver)
    old = world.sign(delivery.body, world.secret, utc_now() - timedelta(minutes=10))
    headers = lowered(delivery.headers, old)
    if world.stamped:
        with pytest.raises(InvalidSignature):
            driver.verify_webhook(headers, delivery.body)
    else:
        # Nothing tells its age: that its id is known already is what keeps it from counting twice.
        first = driver.verify_webhook(delivery.headers, delivery.body)
        assert driver.verify_webhook(headers, delivery.body).id == first.id


# ---------------------------------------------------------------- the list of what was sent


async def test_the_list_of_events_tells_what_was_sent_newest_first_or_is_not_there(
    driver: Driver, world: World, receiver: Receiver
) -> None:
    since = utc_now() - timedelta(minutes=1)
    customer = await subscribed(driver, world)
    if not driver.capabilities.event_list:
        with pytest.raises(ProviderRejected, match=driver.display_name):
            await anext(aiter(driver.list_events(since)))
        return
    listed = [event async for event in driver.list_events(since)]
    assert listed == sorted(listed, key=lambda event: event.created_at, reverse=True)
    assert customer in {event.customer_id for event in listed}
    assert len({event.id for event in listed}) == len(listed)
    if driver.capabilities.events_as_delivered:
        # One that came already is known by its id when the list is read.
        sent = {event.id for event in told(driver, receiver)}
        assert sent
        assert sent <= {event.id for event in listed}
    assert [event async for event in driver.list_events(utc_now() + timedelta(hours=1))] == []
