"""What a driver tells of a customer is what is so at the provider, in every state."""

from dataclasses import replace
from datetime import timedelta

import pytest

from billing_ui.clock import utc_now
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import Snapshot, SubscriptionState
from tests.drivers.world import Offer, World, payer, truth_told


async def customer_with_card(driver: Driver, world: World) -> str:
    """Return a customer who can pay."""
    customer = await driver.ensure_customer(payer())
    world.add_card(customer)
    return customer


async def true_snapshot(driver: Driver, world: World, customer: str) -> Snapshot:
    """Return what the driver tells of a customer, after looking whether it is so."""
    snapshot = await driver.fetch_snapshot(customer)
    assert (snapshot.provider, snapshot.partial) == (world.provider, False)
    told, truth = truth_told(snapshot), world.truth(customer)
    if not driver.capabilities.payment_method_list:
        # It tells of those alone that something is paid by.
        assert set(told.cards) <= set(truth.cards)
        truth = replace(truth, cards=told.cards)
    assert told == truth
    # It is stored, and compared with the next one.
    assert Snapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
    return snapshot


async def test_a_customer_without_anything_is_an_empty_snapshot(
    driver: Driver, world: World
) -> None:
    snapshot = await true_snapshot(driver, world, await driver.ensure_customer(payer()))
    assert (snapshot.subscriptions, snapshot.payment_methods, snapshot.invoices) == ((), (), ())
    assert snapshot.next_invoice is None


async def test_a_subscription_is_told_with_everything_a_page_shows(
    driver: Driver, world: World
) -> None:
    customer = await customer_with_card(driver, world)
    offer = world.offer("Team", 2000, unit_label="seat")
    bought = world.subscribe(customer, offer, 5)
    snapshot = await true_snapshot(driver, world, customer)

    [subscription] = snapshot.subscriptions
    assert (subscription.id, subscription.state) == (bought, SubscriptionState.ACTIVE)
    assert subscription.status
    assert subscription.raw
    [item] = subscription.items
    assert (item.price_id, item.product_id) == (offer.price, offer.product)
    assert (item.plan_name, item.quantity, item.unit_amount) == ("Team", 5, 2000)
    assert (item.currency, item.interval, item.interval_count) == ("usd", "month", 1)
    assert subscription.current_period_end == item.current_period_end
    assert subscription.current_period_end is not None
    assert timedelta(days=27) < subscription.current_period_end - utc_now() < timedelta(days=32)

    [card] = snapshot.payment_methods
    assert (card.brand, card.last4, card.is_default) == ("visa", "4242", True)

    [invoice] = snapshot.invoices
    assert (invoice.status, invoice.total, invoice.currency) == ("paid", 10000, "usd")
    assert (invoice.amount_paid, invoice.amount_remaining) == (10000, 0)
    assert invoice.subscription_id == bought
    assert abs(invoice.created_at - utc_now()) < timedelta(minutes=5)


def happen(world: World, change: str, subscription: str, other: Offer) -> SubscriptionState:
    """Let something happen to a subscription; return what it is then."""
    match change:
        case "another plan":
            world.change_plan(subscription, other)
        case "more seats of another plan":
            world.change_plan(subscription, other, 7)
        case "cancel":
            world.cancel(subscription)
            return SubscriptionState.CANCELING
        case "cancel and keep":
            world.cancel(subscription)
            world.keep(subscription)
        case "end":
            world.end(subscription)
            return SubscriptionState.ENDED
        case "pause":
            world.pause(subscription)
            return SubscriptionState.PAUSED
        case "pause and resume":
            world.pause(subscription)
            world.resume(subscription)
    return SubscriptionState.ACTIVE


@pytest.mark.parametrize(
    "change",
    [
        *("another plan", "more seats of another plan", "cancel", "cancel and keep"),
        *("end", "pause", "pause and resume"),
    ],
)
async def test_every_change_at_the_provider_is_told(
    change: str, driver: Driver, world: World
) -> None:
    customer = await customer_with_card(driver, world)
    bought = world.subscribe(customer, world.offer("Starter", 2900, unit_label="seat"))
    other = world.offer("Pro", 14900, unit_label="seat")
    state = happen(world, change, bought, other)
    [subscription] = (await true_snapshot(driver, world, customer)).subscriptions
    assert subscription.state is state
    assert (subscription.cancel_at is not None) is (state is SubscriptionState.CANCELING)
    assert (subscription.ended_at is not None) is (state is SubscriptionState.ENDED)
    if state is SubscriptionState.CANCELING:
        assert subscription.cancel_at == subscription.current_period_end


async def test_a_trial_is_told_with_its_end(driver: Driver, world: World) -> None:
    customer = await customer_with_card(driver, world)
    world.subscribe(customer, world.offer("Pro"), trial_days=14)
    [subscription] = (await true_snapshot(driver, world, customer)).subscriptions
    assert subscription.state is SubscriptionState.TRIALING
    assert subscription.trial_end is not None
    assert timedelta(days=13) < subscription.trial_end - utc_now() < timedelta(days=15)


async def test_a_renewal_moves_the_period_and_adds_an_invoice(driver: Driver, world: World) -> None:
    customer = await customer_with_card(driver, world)
    world.subscribe(customer, world.offer("Pro"))
    [before] = (await driver.fetch_snapshot(customer)).subscriptions
    assert before.current_period_end is not None
    world.advance(customer, before.current_period_end + timedelta(days=1))
    snapshot = await true_snapshot(driver, world, customer)
    [after] = snapshot.subscriptions
    assert after.current_period_end is not None
    assert after.current_period_end > before.current_period_end
    # Not every provider tells when a period began.
    assert after.current_period_start in (before.current_period_end, None)
    assert len(snapshot.invoices) == 2
    newest_first = sorted(snapshot.invoices, key=lambda one: one.created_at, reverse=True)
    assert list(snapshot.invoices) == newest_first


async def test_a_canceled_subscription_ends_with_its_period(driver: Driver, world: World) -> None:
    customer = await customer_with_card(driver, world)
    bought = world.subscribe(customer, world.offer("Pro"))
    world.cancel(bought)
    [canceling] = (await driver.fetch_snapshot(customer)).subscriptions
    assert canceling.cancel_at is not None
    world.advance(customer, canceling.cancel_at + timedelta(days=1))
    [ended] = (await true_snapshot(driver, world, customer)).subscriptions
    assert (ended.state, ended.ended_at) == (SubscriptionState.ENDED, canceling.cancel_at)


async def test_several_subscriptions_are_all_there(driver: Driver, world: World) -> None:
    customer = await customer_with_card(driver, world)
    first = world.subscribe(customer, world.offer("Pro"))
    second = world.subscribe(customer, world.offer("Yearly", 149000, "year"))
    world.end(first)
    snapshot = await true_snapshot(driver, world, customer)
    states = {one.id: one.state for one in snapshot.subscriptions}
    assert states == {first: SubscriptionState.ENDED, second: SubscriptionState.ACTIVE}
    assert len(snapshot.invoices) == 2


async def test_another_customers_things_are_not_told(driver: Driver, world: World) -> None:
    offer = world.offer("Pro")
    for _ in range(2):
        customer = await customer_with_card(driver, world)
        bought = world.subscribe(customer, offer)
        snapshot = await true_snapshot(driver, world, customer)
        assert [one.id for one in snapshot.subscriptions] == [bought]


async def test_an_archived_plan_keeps_its_name_for_who_has_it(driver: Driver, world: World) -> None:
    customer = await customer_with_card(driver, world)
    offer = world.offer("Legacy", 900)
    world.subscribe(customer, offer)
    world.archive(offer)
    [subscription] = (await true_snapshot(driver, world, customer)).subscriptions
    assert (subscription.items[0].plan_name, subscription.items[0].unit_amount) == ("Legacy", 900)


async def test_a_new_name_is_told(driver: Driver, world: World) -> None:
    customer = await driver.ensure_customer(payer())
    world.rename(customer, "Zoë & Söhne, 株式会社")
    assert (await true_snapshot(driver, world, customer)).customer.name == "Zoë & Söhne, 株式会社"


async def test_invoices_that_are_asked_for_are_told_and_gone_ones_named(
    driver: Driver, world: World
) -> None:
    customer = await customer_with_card(driver, world)
    world.subscribe(customer, world.offer("Pro"))
    [invoice] = (await driver.fetch_snapshot(customer)).invoices
    asked = await driver.fetch_snapshot(
        customer, invoices=(invoice.id,), invoices_since=invoice.created_at
    )
    assert asked.invoices == (invoice,)
    assert asked.deleted_invoices == ()
