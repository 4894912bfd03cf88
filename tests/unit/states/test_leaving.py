"""Going to the provider: once, without a secret passing through the page, and with a way back."""

import asyncio
import re
from urllib.parse import unquote

import pytest
from reflex.event import EventHandler

from billing_ui.accounts.limits import PORTAL
from billing_ui.accounts.sessions import identify, sign_in_as
from billing_ui.billing.handoff import open_departure
from billing_ui.billing.services import Services
from billing_ui.models import Role
from billing_ui.payments.types import FlowType, InvalidRequest, ProviderUnavailable
from billing_ui.states.billing import BillingState
from billing_ui.states.pricing import PricingState
from tests.unit.billing.factories import Account, new_account, new_member
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.states.tab import Tab


async def test_manage_billing_hands_the_browser_a_ticket_for_its_own_session(
    services: Services, account: Account, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)

    await tab.send(BillingState.manage_billing)

    state = await tab.state(BillingState)
    route, _, ticket = state.departure.address.rpartition("/")
    assert route.endswith("/api/billing/departures")
    opener = await identify(services.database, owner)
    assert opener is not None
    url = open_departure(services, opener, unquote(ticket))
    assert url.startswith("https://portal.example.com/p/session/")
    other = await new_member(services, account, Role.OWNER)
    with pytest.raises(InvalidRequest):
        open_departure(services, other, unquote(ticket))
    assert state.opening == "manage"


async def test_nothing_secret_is_ever_sent_to_the_browser(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    seen = []
    for handler, *arguments in (
        (BillingState.load,),
        (BillingState.manage_billing,),
        (PricingState.load,),
        (PricingState.choose, "prod_pro"),
    ):
        await tab.send(handler, *arguments)
        seen.append(tab.sent())

    assert len(driver.portals) == 2
    sent = "\n".join(seen)
    secrets = (
        owner,
        "portal.example.com",
        services.settings.stripe_secret_key.get_secret_value(),
        services.settings.secret_key.get_secret_value(),
    )
    assert not any(secret in sent for secret in secrets)


async def test_two_presses_open_one_portal(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    hold = driver.hold("start_portal_session")
    first = asyncio.create_task(tab.send(BillingState.manage_billing))
    await hold.reached.wait()
    state = await tab.state(BillingState)
    assert state.opening == "manage"

    await tab.send(BillingState.manage_billing)
    await tab.send(BillingState.change_plan)
    hold.release()
    await first

    assert len(driver.portals) == 1


async def test_two_presses_open_one_checkout(services: Services, driver: FakeDriver) -> None:
    account = await new_account(services, name="Freshfield")
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))
    await tab.send(PricingState.load)
    hold = driver.hold("start_checkout")
    first = asyncio.create_task(tab.send(PricingState.choose, "prod_pro"))
    await hold.reached.wait()

    await tab.send(PricingState.choose, "prod_pro")
    await tab.send(PricingState.choose, "prod_starter")
    hold.release()
    await first

    assert [checkout.price_id for checkout in driver.checkouts] == ["price_pro_month"]


@pytest.mark.parametrize(
    ("handler", "flow"),
    [
        (BillingState.manage_billing, None),
        (BillingState.change_plan, FlowType.SUBSCRIPTION_UPDATE),
        (BillingState.update_payment_method, FlowType.PAYMENT_METHOD_UPDATE),
        (BillingState.update_details, FlowType.CUSTOMER_UPDATE),
    ],
)
async def test_each_button_opens_its_place_in_the_portal_in_the_readers_language(
    handler: EventHandler, flow: FlowType | None, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner, language="de-DE,de;q=0.9")
    await tab.send(BillingState.load)

    await tab.send(handler)

    [portal] = driver.portals
    assert (portal.flow.type if portal.flow else None) == flow
    assert portal.locale == "de-DE"


async def test_a_portal_that_does_not_open_says_why_and_can_be_tried_again(
    owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    sentences = "Stripe didn't answer in time. Nothing was changed."
    driver.fail("start_portal_session", ProviderUnavailable(f"{sentences} Try again in a moment."))

    await tab.send(BillingState.change_plan)

    state = await tab.state(BillingState)
    # The button says the rest.
    assert (state.problem, state.opening) == (sentences, "")
    assert state.departure.address == ""
    assert state.plans[0].name == "Team"

    await tab.send(BillingState.try_again)

    assert state.problem == ""
    assert driver.portals[0].flow is not None
    assert driver.portals[0].flow.type is FlowType.SUBSCRIPTION_UPDATE


async def test_whoever_opens_the_portal_too_often_is_told_when_to_come_again(
    owner: str, account: Account, services: Services, driver: FakeDriver
) -> None:
    for _ in range(PORTAL.times):
        await services.limits.count_portal(account.identity)
    tab = Tab(owner)
    await tab.send(BillingState.load)

    await tab.send(BillingState.manage_billing)

    state = await tab.state(BillingState)
    assert re.fullmatch(r"Too many tries\. Try again in (59|60) seconds\.", state.problem)
    assert (state.opening, state.departure.address) == ("", "")
    assert driver.portals == []


async def test_a_fault_of_ours_leaves_no_button_busy_and_shows_no_trace(
    owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    driver.fail("start_portal_session", RuntimeError("secret detail"))

    with pytest.raises(RuntimeError):
        await tab.send(BillingState.manage_billing)

    state = await tab.state(BillingState)
    assert state.opening == ""
    assert state.problem.startswith("Something went wrong here.")
    assert "secret detail" not in tab.sent()


async def test_coming_back_to_the_page_makes_its_buttons_ready_again(
    owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    await tab.send(BillingState.manage_billing)

    await tab.send(BillingState.load)

    state = await tab.state(BillingState)
    assert (state.opening, state.departure.address) == ("", "")
