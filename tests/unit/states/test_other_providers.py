"""What the pages say and offer where a provider can do less than Stripe: nothing that cannot be had."""

import pytest

from billing_ui.accounts.sessions import sign_in_as
from billing_ui.billing.portal import open_portal
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.models import Customer, Role
from billing_ui.payments.types import (
    Capabilities,
    FlowType,
    NothingBought,
    ProviderUnavailable,
    SubscriptionState,
)
from billing_ui.states.badges import Badge
from billing_ui.states.billing import HEADING, BillingState
from billing_ui.states.pricing import PricingState
from billing_ui.states.returning import ReturnState
from tests.unit.billing.factories import (
    TEAM,
    Account,
    card,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.states.tab import Tab, redirect_of


@pytest.fixture
def without_way_back(driver: FakeDriver) -> FakeDriver:
    """A provider whose portal leads nowhere, and opens at its first page alone."""
    driver.capabilities = Capabilities(
        flows=frozenset(), checkout=True, event_list=False, returns=False
    )
    return driver


async def billing_page(token: str) -> tuple[Tab, BillingState]:
    """Open the billing page."""
    tab = Tab(token)
    await tab.send(BillingState.load)
    return tab, await tab.state(BillingState)


# ---------------------------------------------------------------- a portal without a way back


async def test_nobody_is_promised_a_way_back_that_there_is_not(
    services: Services, owner: str, without_way_back: FakeDriver
) -> None:
    _, state = await billing_page(owner)
    assert (state.returns, state.away) == (False, "")


async def test_only_the_flows_there_are_have_buttons(
    services: Services, owner: str, without_way_back: FakeDriver
) -> None:
    _, state = await billing_page(owner)
    assert state.offers.portal
    offers = state.offers
    assert (offers.change, offers.payment, offers.details) == (False, False, False)


async def test_whoever_opened_the_portal_can_say_that_they_are_back(
    services: Services, owner: str, without_way_back: FakeDriver
) -> None:
    tab, state = await billing_page(owner)
    await tab.send(BillingState.manage_billing)

    # By the browser's Back, which loads the page anew, or in another tab.
    await tab.send(BillingState.load)
    elsewhere, other = await billing_page(owner)
    assert state.away == other.away == "portal"
    without_way_back.has(snapshot(subscription(TEAM, 30), payment_methods=(card(),)))

    answer = await tab.send(BillingState.back_again)

    assert not state.away
    assert state.result.title == "Seats set to 30."
    assert HEADING.replace("-", "_") in str(answer)
    await elsewhere.send(BillingState.tell_time)
    assert not other.away


async def test_coming_back_counts_also_while_the_page_is_fetching_by_itself(
    services: Services, owner: str, without_way_back: FakeDriver
) -> None:
    tab, state = await billing_page(owner)
    await tab.send(BillingState.manage_billing)
    await tab.send(BillingState.load)
    without_way_back.has(snapshot(subscription(TEAM, 30), payment_methods=(card(),)))
    state.refreshing = True

    await tab.send(BillingState.back_again)

    assert (state.away, state.coming_back) == ("", False)
    assert state.result.title == "Seats set to 30."


async def test_a_page_in_another_tab_offers_it_as_soon_as_somebody_looks_at_it(
    services: Services, owner: str, without_way_back: FakeDriver
) -> None:
    tab, _ = await billing_page(owner)
    elsewhere, other = await billing_page(owner)
    await tab.send(BillingState.manage_billing)
    assert not other.away
    await elsewhere.send(BillingState.tell_time)
    assert other.away


async def test_a_failure_on_coming_back_is_said_and_can_be_tried_again(
    services: Services, owner: str, without_way_back: FakeDriver
) -> None:
    tab, state = await billing_page(owner)
    await tab.send(BillingState.manage_billing)
    await tab.send(BillingState.load)
    without_way_back.fail("fetch_snapshot", ProviderUnavailable("Stripe didn't answer in time."))

    await tab.send(BillingState.back_again)

    assert state.refresh_problem.title == "Stripe didn't answer in time."
    await tab.send(BillingState.refresh_again)
    assert state.result.title == "Nothing changed"


async def test_where_a_link_leads_back_nobody_is_asked(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    tab, state = await billing_page(owner)
    await tab.send(BillingState.manage_billing)
    await tab.send(BillingState.load)
    assert (state.returns, state.away) == (True, "")


@pytest.mark.parametrize("role", [Role.OWNER, Role.MEMBER])
async def test_the_trip_of_one_person_is_not_anothers(
    services: Services,
    account: Account,
    owner: str,
    without_way_back: FakeDriver,
    role: Role,
) -> None:
    tab, _ = await billing_page(owner)
    await tab.send(BillingState.manage_billing)
    person = await new_member(services, account, role)
    _, state = await billing_page(await sign_in_as(services.database, person.user_id))
    assert not state.away


async def test_a_member_who_says_that_they_are_back_fetches_nothing(
    services: Services, member: str, without_way_back: FakeDriver
) -> None:
    tab, _ = await billing_page(member)
    without_way_back.calls.clear()
    await tab.send(BillingState.back_again)
    assert without_way_back.calls == []


async def test_whoever_bought_where_no_link_leads_back_can_say_so(
    services: Services, driver: FakeDriver
) -> None:
    driver.capabilities = driver.capabilities.model_copy(update={"checkout_returns": False})
    account = await new_account(services)
    token = await sign_in_as(services.database, account.identity.user_id)
    plans = Tab(token, path="/pricing")
    await plans.send(PricingState.load)
    await plans.send(PricingState.choose, "prod_pro")
    tab, state = await billing_page(token)
    assert state.away == "checkout"
    [customer] = driver.snapshots
    driver.has(snapshot(subscription(), customer=customer))

    await tab.send(BillingState.back_again)

    assert (state.away, state.result.changed) == ("", True)
    assert [plan.name for plan in state.plans] == ["Pro"]


# ---------------------------------------------------------------- nothing bought yet


async def test_whoever_has_bought_nothing_is_led_to_the_plans_and_told_why(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot())
    await sync_customer(services, account.customer)
    token = await sign_in_as(services.database, account.identity.user_id)
    tab, state = await billing_page(token)
    driver.fail("start_portal_session", NothingBought())

    answer = await tab.send(BillingState.manage_billing)

    address = redirect_of(answer)
    assert address == "/pricing?why=nothing-bought"
    assert (state.opening, state.departure.address) == ("", "")
    plans = Tab(token, path=address)
    await plans.send(PricingState.load)
    assert (await plans.state(PricingState)).first_plan


@pytest.mark.parametrize("path", ["/pricing", "/pricing?why=else", "/pricing?why="])
async def test_nobody_else_is_told_so(
    services: Services, stranger: str, driver: FakeDriver, path: str
) -> None:
    plans = Tab(stranger, path=path)
    await plans.send(PricingState.load)
    assert not (await plans.state(PricingState)).first_plan


async def test_an_address_tells_nobody_with_a_plan_that_they_have_none(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    plans = Tab(owner, path="/pricing?why=nothing-bought")
    await plans.send(PricingState.load)
    assert not (await plans.state(PricingState)).first_plan


# ---------------------------------------------------------------- words


async def test_a_status_that_nobody_knows_is_shown_in_the_providers_own_word(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    strange = subscription(status="awaiting_moonrise", state=SubscriptionState.UNKNOWN)
    driver.has(snapshot(strange))
    await sync_customer(services, account.customer)
    _, state = await billing_page(await sign_in_as(services.database, account.identity.user_id))
    [plan] = state.plans
    assert plan.badge == Badge("Awaiting moonrise", "gray", "ended")
    assert not plan.when
    # For all we know it is being paid for: no second one is sold.
    assert not state.offers.plans


async def test_a_way_of_paying_that_a_provider_does_not_tell_is_not_said_to_be_missing(
    services: Services, driver: FakeDriver
) -> None:
    driver.capabilities = driver.capabilities.model_copy(update={"payment_method_list": False})
    account = await new_account(services, customer="cus_1")
    trialing = subscription(status="trialing", state=SubscriptionState.TRIALING)
    driver.has(snapshot(trialing.model_copy(update={"trial_end": trialing.current_period_end})))
    await sync_customer(services, account.customer)
    _, state = await billing_page(await sign_in_as(services.database, account.identity.user_id))
    assert not state.lacks_payment
    [banner] = state.banners
    assert "payment method" not in banner.detail


async def test_coming_back_names_the_provider_of_the_visit_to_whose_it_is_alone(
    services: Services, account: Account, owner: str, stranger: str, driver: FakeDriver
) -> None:
    opened = await open_portal(services, account.identity)
    path = f"/settings/billing/return?visit={opened.visit_id}"
    for token, name in ((owner, "Stripe"), (stranger, ""), (None, "")):
        tab = Tab(token, path=path)
        await tab.send(ReturnState.load)
        assert (await tab.state(ReturnState)).provider == name


async def test_the_plans_say_why_an_owner_can_choose_none_of_them(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, name="Moved")
    async with services.database.write() as session:
        session.add(
            Customer(team_id=account.team_id, provider="polar", provider_customer_id="polar_1")
        )
    tab = Tab(await sign_in_as(services.database, account.identity.user_id), path="/pricing")
    await tab.send(PricingState.load)
    state = await tab.state(PricingState)
    assert state.advice.startswith("Your billing is still with Polar")
    assert state.contact == ""


async def test_a_portal_that_switches_no_plans_is_not_offered_on_the_plans(
    services: Services, owner: str, member: str, driver: FakeDriver
) -> None:
    flows = frozenset({FlowType.PAYMENT_METHOD_UPDATE})
    driver.capabilities = Capabilities(
        flows=flows, checkout=True, event_list=True, plan_changes=False
    )
    tab = Tab(owner, path="/pricing")
    await tab.send(PricingState.load)
    state = await tab.state(PricingState)
    assert state.advice == "Stripe's portal can't switch plans. Contact support to change yours."
    assert not any(offer.action for offer in state.offers)
    other = Tab(member, path="/pricing")
    await other.send(PricingState.load)
    assert (await other.state(PricingState)).advice == (
        "Only an owner or billing manager can change billing."
    )
