"""Paddle's portal opens where it can, and its checkout is one however many tabs ask for it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from billing_ui.clock import utc_now
from billing_ui.payments.paddle import PaddleDriver
from billing_ui.payments.types import FlowType, InvalidRequest, PortalFlow, ProviderRejected
from billing_ui.sandbox.paddle import transaction_shapes
from billing_ui.sandbox.shop.model import Checkout, Flow, Invoice, PortalVisit
from tests.unit.payments.paddle import PaddleAccount, paddle_driver, serving_paddle
from tests.unit.payments.requests import checkout_request, payer, portal_request
from tests.unit.payments.scripted import ScriptedServer, json_answer


@pytest.fixture
async def account() -> AsyncIterator[PaddleAccount]:
    """An account without anything."""
    async with serving_paddle() as serving:
        yield serving


@pytest.fixture
async def driver(account: PaddleAccount) -> AsyncIterator[PaddleDriver]:
    """A driver of that account."""
    opened = paddle_driver(account.url)
    yield opened
    await opened.close()


def visit(account: PaddleAccount, url: str) -> PortalVisit:
    """Return what a portal link is for."""
    found = account.shop.portal_visit(url.rpartition("/")[2])
    assert found is not None
    return found


def portal_of(customer: str, **flow: Any) -> Any:
    wanted = PortalFlow(**flow) if flow else None
    return portal_request(customer, configuration=None, flow=wanted)


# ---------------------------------------------------------------- portal


async def test_the_portal_is_the_customers_own_and_leads_nowhere_back(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    bought = account.subscriber()
    session = await driver.start_portal_session(portal_of(bought.customer))
    opened = visit(account, session.portal_url)
    assert (opened.customer, opened.flow, opened.return_url) == (bought.customer, None, None)
    assert session.portal_url not in repr(session)
    assert not driver.capabilities.returns


@pytest.mark.parametrize(
    ("type_", "flow"),
    [
        (FlowType.SUBSCRIPTION_CANCEL, Flow.CANCEL),
        (FlowType.PAYMENT_METHOD_UPDATE, Flow.PAYMENT_METHOD),
    ],
)
async def test_a_flow_opens_at_its_subscriptions_page(
    type_: FlowType, flow: Flow, account: PaddleAccount, driver: PaddleDriver
) -> None:
    bought = account.subscriber()
    request = portal_of(bought.customer, type=type_, subscription_id=bought.id)
    opened = visit(account, (await driver.start_portal_session(request)).portal_url)
    assert (opened.flow, opened.subscription) == (flow, bought.id)


async def test_another_card_is_for_the_live_subscription_unless_one_is_named(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    bought = account.subscriber()
    account.shop.end_now(account.shop.subscribe(bought.customer, bought.price).id)
    request = portal_of(bought.customer, type=FlowType.PAYMENT_METHOD_UPDATE)
    opened = visit(account, (await driver.start_portal_session(request)).portal_url)
    assert opened.subscription == bought.id


async def test_who_pays_for_nothing_sees_the_portals_first_page(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    customer = account.shop.create_customer("ada@example.com").id
    request = portal_of(customer, type=FlowType.PAYMENT_METHOD_UPDATE)
    assert visit(account, (await driver.start_portal_session(request)).portal_url).flow is None


@pytest.mark.parametrize(
    ("flow", "says"),
    [
        ({"type": FlowType.CUSTOMER_UPDATE}, "customer_update"),
        ({"type": FlowType.SUBSCRIPTION_UPDATE, "subscription_id": "sub_1"}, "subscription_update"),
        ({"type": FlowType.SUBSCRIPTION_CANCEL}, "needs a subscription"),
    ],
)
async def test_a_place_the_portal_does_not_have_is_refused_in_words(
    flow: dict[str, Any], says: str, account: PaddleAccount, driver: PaddleDriver
) -> None:
    customer = account.shop.create_customer("ada@example.com").id
    with pytest.raises(InvalidRequest, match=says):
        await driver.start_portal_session(portal_of(customer, **flow))


async def test_a_configuration_that_paddle_does_not_have_is_refused(driver: PaddleDriver) -> None:
    with pytest.raises(InvalidRequest, match="configuration"):
        await driver.start_portal_session(portal_request("ctm_1", configuration="bpc_1"))


# ---------------------------------------------------------------- checkout


async def test_what_is_bought_belongs_to_the_team(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    price, who = account.plan(unit_label="seat"), payer()
    customer = await driver.ensure_customer(who)
    request = checkout_request(customer, price.id, quantity=3)
    checkout = await driver.start_checkout(request)
    bought = account.shop.complete_checkout(checkout.session_id, number="4242424242424242")
    assert (bought.customer, bought.quantity) == (customer, 3)
    assert bought.metadata == {"team_id": str(request.payer.team_id)}
    [invoice] = (await driver.fetch_snapshot(customer)).invoices
    assert (invoice.id, invoice.status) == (checkout.session_id, "paid")


async def test_two_tabs_share_one_checkout_and_the_later_choice(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    cheap, dear = account.plan("Starter", 2900), account.plan("Pro")
    who = payer(await driver.ensure_customer(payer()))
    first, second = [
        await driver.start_checkout(
            checkout_request(str(who.customer_id), price.id).model_copy(update={"payer": who})
        )
        for price in (cheap, dear)
    ]
    assert first == second
    [opened] = account.shop.find(Checkout)
    assert opened.price == dear.id


async def test_checkouts_opened_at_once_are_one_page(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    price, who = account.plan(), payer(await driver.ensure_customer(payer()))
    request = checkout_request(str(who.customer_id), price.id).model_copy(update={"payer": who})
    opened = await asyncio.gather(*(driver.start_checkout(request) for _ in range(6)))
    again = await driver.start_checkout(request)
    assert again.session_id in {one.session_id for one in opened}
    assert (await driver.start_checkout(request)) == again


async def test_yesterdays_checkout_and_a_paid_one_are_not_offered_again(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    price, who = account.plan(), payer(await driver.ensure_customer(payer()))
    request = checkout_request(str(who.customer_id), price.id).model_copy(update={"payer": who})
    with account.shop.at(int((utc_now() - timedelta(hours=25)).timestamp())):
        account.shop.open_checkout(
            price.id, customer_id=who.customer_id, metadata={"team_id": str(who.team_id)}
        )
    first = await driver.start_checkout(request)
    account.shop.complete_checkout(first.session_id, number="4242424242424242")
    assert (await driver.start_checkout(request)).session_id != first.session_id
    assert account.shop.count(Invoice) == 1


@pytest.mark.parametrize("quantity", [2, 101])
async def test_a_quantity_that_is_not_sold_is_refused_in_words(
    quantity: int, account: PaddleAccount, driver: PaddleDriver
) -> None:
    price = account.plan(unit_label=None if quantity == 2 else "seat")
    customer = await driver.ensure_customer(payer())
    with pytest.raises(InvalidRequest, match="not within the range"):
        await driver.start_checkout(checkout_request(customer, price.id, quantity=quantity))


def refused(status: int, code: str) -> Any:
    error = {"type": "request_error", "code": code, "detail": "No.", "documentation_url": "x"}
    return json_answer({"error": error, "meta": {"request_id": "1"}}, status)


NOTHING_OPEN = json_answer(
    {"data": [], "meta": {"pagination": {"per_page": 30, "has_more": False, "next": None}}}
)


async def test_an_account_without_a_page_to_pay_on_says_what_its_owner_must_do(
    scripted: ScriptedServer,
) -> None:
    scripted.answers = [NOTHING_OPEN, refused(400, "transaction_default_checkout_url_not_set")]
    driver = paddle_driver(scripted.url)
    with pytest.raises(ProviderRejected, match="default payment link"):
        await driver.start_checkout(checkout_request("ctm_1", "pri_1"))
    await driver.close()


async def test_nobody_is_sold_a_second_one_while_a_payment_is_being_made(
    account: PaddleAccount, scripted: ScriptedServer
) -> None:
    price, who = account.plan(), payer("ctm_1")
    kept = account.shop.open_checkout(price.id, metadata={"team_id": str(who.team_id)})
    opened = transaction_shapes.transaction(account.shop, kept)
    pagination = {"per_page": 30, "has_more": False, "next": None, "estimated_total": 1}
    scripted.answers = [
        json_answer({"data": [opened], "meta": {"pagination": pagination}}),
        refused(409, "transaction_immutable_while_processing_payment"),
    ]
    driver = paddle_driver(scripted.url)
    request = checkout_request("ctm_1", price.id).model_copy(update={"payer": who})
    with pytest.raises(InvalidRequest, match="another tab"):
        await driver.start_checkout(request)
    assert [seen.method for seen in scripted.seen] == ["GET", "PATCH"]
    await driver.close()
