"""What the plans cost for what is chosen, what their buttons say, and where they lead."""

import pytest

from billing_ui.accounts.sessions import sign_in_as
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.pricing import Pricing, PricingPrice, PricingProduct
from billing_ui.billing.services import Services
from billing_ui.models import Catalog
from billing_ui.payments.types import CatalogSnapshot, FlowType, ProviderUnavailable
from billing_ui.settings import Provider
from billing_ui.states.pricing import PricingState
from billing_ui.states.pricing_view import OfferView, free_months
from tests.unit.billing.factories import Account, new_account
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.states.tab import Tab


async def shown(tab: Tab) -> dict[str, OfferView]:
    """Return the plans on a tab's page by their names."""
    return {offer.name: offer for offer in (await tab.state(PricingState)).offers}


async def test_the_page_opens_on_what_the_team_has(owner: str) -> None:
    tab = Tab(owner)

    await tab.send(PricingState.load)

    state = await tab.state(PricingState)
    offers = await shown(tab)
    assert state.introduction == "Northwind Labs is on Team. Prices in US dollars, before tax."
    assert (state.interval, state.seats) == ("month-1", "24")
    assert (offers["Team"].price, offers["Team"].per) == ("$20.00", "per seat per month")
    assert (offers["Team"].total, offers["Team"].total_note) == (
        "$480.00 per month",
        "for 24 seats",
    )
    assert (offers["Team"].current, offers["Team"].action) == (True, "")
    assert offers["Pro"].action == "Switch to Pro"


async def test_more_seats_are_a_switch_and_the_total_follows(owner: str) -> None:
    tab = Tab(owner)
    await tab.send(PricingState.load)

    await tab.send(PricingState.one_seat_more)

    team = (await shown(tab))["Team"]
    assert (team.total, team.action) == ("$500.00 per month", "Switch to 25 seats")


@pytest.mark.parametrize(
    ("unit", "heading", "two"),
    [
        ("seat", "Team seats", "for 2 seats"),
        ("GB", "Team GB", "for 2 GB"),
        ("credits", "Team credits", "for 2 credits"),
        ("API call", "Team API calls", "for 2 API calls"),
    ],
)
async def test_what_is_counted_is_called_as_several_of_it_are(
    services: Services, driver: FakeDriver, unit: str, heading: str, two: str
) -> None:
    products = [
        one.model_copy(update={"unit_label": unit}) if one.unit_label else one
        for one in driver.catalog.products
    ]
    driver.catalog = driver.catalog.model_copy(update={"products": tuple(products)})
    await refresh_catalog(services)
    tab = Tab(None, path="/pricing")
    await tab.send(PricingState.load)
    await tab.send(PricingState.one_seat_more)
    assert (await tab.state(PricingState)).unit_heading == heading
    assert (await shown(tab))["Team"].total_note == two


@pytest.mark.parametrize("typed", ["", "0", "-3", "1.5", "²", "٣", "1e3", "abc", "9999999"])
async def test_what_is_no_number_of_seats_is_not_counted(owner: str, typed: str) -> None:
    tab = Tab(owner)
    await tab.send(PricingState.load)
    state = await tab.state(PricingState)
    before = state.seats_shown

    await tab.send(PricingState.type_seats, typed)
    await tab.send(PricingState.settle_seats, typed)

    assert state.seats == "24"
    assert state.seats_shown == before + 1


async def test_there_is_always_one_seat(owner: str) -> None:
    tab = Tab(owner)
    await tab.send(PricingState.load)
    await tab.send(PricingState.type_seats, "1")

    await tab.send(PricingState.one_seat_less)

    assert (await tab.state(PricingState)).seats == "1"


async def test_another_interval_shows_only_the_plans_that_have_it(owner: str) -> None:
    tab = Tab(owner)
    await tab.send(PricingState.load)

    await tab.send(PricingState.choose_interval, "year-1")

    offers = await shown(tab)
    assert set(offers) == {"Pro"}
    assert (offers["Pro"].price, offers["Pro"].per) == ("$1,490.00", "per year")


@pytest.mark.parametrize("wish", ["decade-1", "", "month", "year-7"])
async def test_an_interval_or_currency_there_is_not_changes_nothing(owner: str, wish: str) -> None:
    tab = Tab(owner)
    await tab.send(PricingState.load)

    await tab.send(PricingState.choose_interval, wish)
    await tab.send(PricingState.choose_currency, wish)

    state = await tab.state(PricingState)
    assert (state.interval, state.currency) == ("month-1", "usd")


async def test_a_team_with_a_plan_switches_in_the_portal_and_never_buys_a_second_one(
    owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(PricingState.load)

    await tab.send(PricingState.choose, "prod_pro")

    [portal] = driver.portals
    assert portal.flow is not None
    # Seats of the old plan are not seats of one that has none.
    assert (portal.flow.price_id, portal.flow.quantity) == ("price_pro_month", 1)
    assert driver.checkouts == []


async def test_more_seats_of_ones_own_plan_are_there_to_be_confirmed(
    owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(PricingState.load)
    await tab.send(PricingState.one_seat_more)

    await tab.send(PricingState.choose, "prod_team")

    [portal] = driver.portals
    assert portal.flow is not None
    assert portal.flow.type is FlowType.SUBSCRIPTION_UPDATE_CONFIRM
    assert (portal.flow.price_id, portal.flow.quantity) == ("price_team_month", 25)


async def test_a_plan_that_is_not_offered_is_not_switched_to(
    owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(PricingState.load)

    await tab.send(PricingState.choose, "prod_of_somebody_else")

    state = await tab.state(PricingState)
    assert state.problem == "This plan is no longer offered. Choose another one."
    assert driver.portals == []


async def test_a_team_without_a_plan_buys_what_is_chosen_in_its_currency(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, name="Freshfield")
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))
    await tab.send(PricingState.load)
    assert (await shown(tab))["Team"].action == "Choose Team"
    await tab.send(PricingState.choose_currency, "eur")
    await tab.send(PricingState.type_seats, "7")

    await tab.send(PricingState.choose, "prod_team")

    [checkout] = driver.checkouts
    assert (checkout.price_id, checkout.quantity, checkout.currency) == (
        "price_team_month",
        7,
        "eur",
    )


async def test_seats_chosen_for_one_plan_are_not_bought_with_another(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, name="Freshfield")
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))
    await tab.send(PricingState.load)
    await tab.send(PricingState.type_seats, "7")

    await tab.send(PricingState.choose, "prod_pro")

    assert driver.checkouts[0].quantity == 1


async def test_a_plan_that_is_not_offered_cannot_be_bought(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, name="Freshfield")
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))
    await tab.send(PricingState.load)

    await tab.send(PricingState.choose, "prod_secret")

    state = await tab.state(PricingState)
    assert state.problem == "This plan is no longer offered. Choose another one."
    assert driver.checkouts == []


async def test_a_member_sees_prices_no_buttons_and_whom_to_ask(
    member: str, account: Account
) -> None:
    tab = Tab(member)

    await tab.send(PricingState.load)

    state = await tab.state(PricingState)
    assert {offer.action for offer in state.offers} == {""}
    assert state.advice == "Only an owner or billing manager can change billing."
    assert state.contact == account.identity.email


async def test_anyone_may_look_at_the_plans(services: Services) -> None:
    tab = Tab(None, path="/pricing")

    await tab.send(PricingState.load)

    state = await tab.state(PricingState)
    assert not state.signed_in
    assert (await shown(tab))["Pro"].action == "Choose Pro"
    assert state.introduction == "Prices in US dollars, before tax."


async def test_a_catalogue_that_is_empty_and_cannot_be_fetched_says_why(
    services: Services, driver: FakeDriver
) -> None:
    driver.catalog = CatalogSnapshot(provider="stripe", products=())
    await refresh_catalog(services)
    await _forget_when(services)
    driver.fail("fetch_catalog", ProviderUnavailable("Stripe can't be reached right now."))
    tab = Tab(None, path="/pricing")

    following = await tab.send(PricingState.load)
    assert following == PricingState.catch_up
    await tab.send(PricingState.catch_up)

    assert (await tab.state(PricingState)).nothing == "Stripe can't be reached right now."


def priced(monthly: int, yearly: int | None) -> PricingProduct:
    """Return a product with these prices in cents."""
    prices = [PricingPrice("m", "month", 1, {"usd": monthly})]
    if yearly is not None:
        prices.append(PricingPrice("y", "year", 1, {"usd": yearly}))
    return PricingProduct("p", "Plan", None, (), None, tuple(prices))


@pytest.mark.parametrize(
    ("products", "months"),
    [
        ([priced(2900, 29000)], 2),
        ([priced(2900, 29000), priced(2000, 20000)], 2),
        ([priced(2900, 29000), priced(2000, 22000)], 0),
        ([priced(2900, 29900)], 0),
        ([priced(2900, 12 * 2900)], 0),
        ([priced(2900, 13 * 2900)], 0),
        ([priced(2900, None)], 0),
        ([priced(0, 0)], 0),
        ([], 0),
    ],
)
def test_free_months_are_promised_only_when_every_plan_has_them(
    products: list[PricingProduct], months: int
) -> None:
    assert free_months(Pricing(Provider.STRIPE, tuple(products), ("usd",)), "usd") == months


async def _forget_when(services: Services) -> None:
    async with services.database.write() as session:
        catalog = await session.get(Catalog, "stripe")
        assert catalog is not None
        catalog.fetched_at = None
        session.add(catalog)
