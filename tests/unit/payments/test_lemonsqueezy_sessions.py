"""Lemon Squeezy's portal and checkout: its own addresses, and what it cannot do said in words."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from billing_ui.clock import from_unix, utc_now
from billing_ui.payments.lemonsqueezy import LemonSqueezyDriver, mapping
from billing_ui.payments.types import (
    FlowType,
    InvalidRequest,
    NoCustomer,
    NothingBought,
    PortalFlow,
    ProviderRejected,
)
from billing_ui.sandbox.shop.model import Checkout, Customer, Subscription
from tests.unit.payments.lemon import Lemon, lemon_driver, serving_lemon
from tests.unit.payments.requests import RETURN_URL, checkout_request, payer, portal_request


@pytest.fixture
async def lemon() -> AsyncIterator[Lemon]:
    """A running Lemon Squeezy."""
    async with serving_lemon() as served:
        yield served


@pytest.fixture
async def driver(lemon: Lemon) -> AsyncIterator[LemonSqueezyDriver]:
    """A driver on it."""
    opened = lemon_driver(lemon.url)
    yield opened
    await opened.close()


# ---------------------------------------------------------------- portal


async def test_a_portal_is_good_for_a_day(lemon: Lemon, driver: LemonSqueezyDriver) -> None:
    customer = lemon.subscriber(lemon.plan())
    session = await driver.start_portal_session(portal_request(customer))
    assert (session.provider, session.customer) == ("lemonsqueezy", customer)
    assert session.portal_url.startswith(f"{lemon.url}/p/session/")
    assert session.expires_at is not None
    assert timedelta(hours=23) < session.expires_at - utc_now() <= timedelta(hours=24)


async def test_who_never_had_a_subscription_has_no_portal(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    customer = await driver.ensure_customer(payer())
    with pytest.raises(NothingBought) as caught:
        await driver.start_portal_session(portal_request(customer))
    # Whoever knows only of customers is told the same as without one.
    assert isinstance(caught.value, NoCustomer)


async def test_who_had_one_keeps_the_portal(lemon: Lemon, driver: LemonSqueezyDriver) -> None:
    customer = lemon.subscriber(lemon.plan())
    [subscription] = lemon.shop.find(Subscription)
    lemon.shop.end_now(subscription.id)
    assert (await driver.start_portal_session(portal_request(customer))).portal_url


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        (FlowType.PAYMENT_METHOD_UPDATE, "payment_method"),
        (FlowType.SUBSCRIPTION_UPDATE, "update"),
    ],
)
async def test_a_flow_opens_at_its_place(
    type_: FlowType, said: str, lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    customer = lemon.subscriber(lemon.plan())
    request = portal_request(customer, flow=PortalFlow(type=type_))
    url = (await driver.start_portal_session(request)).portal_url
    token = url.partition("/p/session/")[2].partition("?")[0]
    visit = lemon.shop.portal_visit(token)
    assert visit is not None
    assert (visit.flow, visit.customer) == (said, customer)


@pytest.mark.parametrize(
    "type_",
    [
        FlowType.SUBSCRIPTION_CANCEL,
        FlowType.SUBSCRIPTION_UPDATE_CONFIRM,
        FlowType.CUSTOMER_UPDATE,
    ],
)
async def test_a_flow_it_does_not_have_is_refused_in_words(
    type_: FlowType, lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    request = portal_request(lemon.subscriber(lemon.plan()), flow=PortalFlow(type=type_))
    with pytest.raises(InvalidRequest, match="Lemon Squeezy's portal cannot open at"):
        await driver.start_portal_session(request)


async def test_a_flow_never_opens_at_somebody_elses_subscription(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    plan = lemon.plan()
    mine, _ = lemon.subscriber(plan), lemon.subscriber(plan, "eve@example.com")
    theirs = lemon.shop.find(Subscription)[0].id
    flow = PortalFlow(type=FlowType.SUBSCRIPTION_UPDATE, subscription_id=theirs)
    with pytest.raises(InvalidRequest, match="no such live subscription"):
        await driver.start_portal_session(portal_request(mine, flow=flow))


async def test_what_has_ended_is_not_changed(lemon: Lemon, driver: LemonSqueezyDriver) -> None:
    customer = lemon.subscriber(lemon.plan())
    [subscription] = lemon.shop.find(Subscription)
    lemon.shop.end_now(subscription.id)
    flow = PortalFlow(type=FlowType.PAYMENT_METHOD_UPDATE)
    with pytest.raises(InvalidRequest):
        await driver.start_portal_session(portal_request(customer, flow=flow))


async def test_there_is_no_configuration(lemon: Lemon, driver: LemonSqueezyDriver) -> None:
    assert await driver.ensure_portal_configuration(await driver.fetch_catalog(), None) is None


def test_there_is_no_list_of_events() -> None:
    with pytest.raises(ProviderRejected, match="no list of its events"):
        lemon_driver("http://127.0.0.1:1").list_events(utc_now())


# ---------------------------------------------------------------- checkout


async def test_a_checkout_is_filled_in_and_says_whose_it_is(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    plan, who = lemon.plan(unit_label="seat"), payer()
    customer = await driver.ensure_customer(who)
    lemon.shop.update_customer(customer, email="new@northwind.example")
    request = checkout_request(customer, plan.id, quantity=3)
    checkout = await driver.start_checkout(request)
    [made] = lemon.shop.find(Checkout)
    assert (checkout.session_id, checkout.customer) == (made.id, customer)
    # As it is now: by this e-mail Lemon Squeezy finds the customer of the purchase.
    assert (made.email, made.name) == ("new@northwind.example", "Northwind Labs")
    assert (made.price, made.quantity, made.success_url) == (plan.id, 3, RETURN_URL)
    opened_at = from_unix(int(made.metadata["opened_at"]))
    assert opened_at <= utc_now() < opened_at + timedelta(minutes=1)
    assert made.metadata == mapping.purchase_data(request.payer, opened_at, driver._mark_key)
    assert made.metadata["team_id"] == str(request.payer.team_id)
    event = {"meta": {"custom_data": made.metadata}}
    assert mapping.purchaser_of(event, driver._mark_key) == (request.payer.team_id, opened_at)
    assert mapping.purchaser_of(event, b"another key") is None
    assert made.extra["product_options"]["enabled_variants"] == [int(plan.id)]
    assert checkout.expires_at is not None
    assert timedelta(minutes=50) < checkout.expires_at - utc_now() <= timedelta(hours=1)


async def test_what_is_bought_is_the_customers_and_its_event_names_the_team(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    customer = await driver.ensure_customer(payer())
    request = checkout_request(customer, lemon.plan().id)
    checkout = await driver.start_checkout(request)
    bought = lemon.shop.complete_checkout(checkout.session_id, number="4242424242424242")
    assert bought.customer == customer
    assert len(lemon.shop.find(Customer)) == 1
    assert bought.metadata["team_id"] == str(request.payer.team_id)


@pytest.mark.parametrize("price_id", ["1", "nonsense", "-1", "²"])
async def test_what_is_not_sold_is_refused_in_words(
    price_id: str, lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    customer = await driver.ensure_customer(payer())
    with pytest.raises(InvalidRequest, match="Lemon Squeezy"):
        await driver.start_checkout(checkout_request(customer, price_id))


async def test_it_sells_in_the_currency_of_the_store_only(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    customer, plan = await driver.ensure_customer(payer()), lemon.plan()
    assert await driver.start_checkout(checkout_request(customer, plan.id, currency="usd"))
    with pytest.raises(InvalidRequest, match="currency of the store"):
        await driver.start_checkout(checkout_request(customer, plan.id, currency="eur"))
