"""Signing in, coming back from the provider, and loading a tab that somebody else has used."""

import asyncio
from urllib.parse import quote
from uuid import UUID

import pytest
from reflex.event import Event

from billing_ui.accounts.sessions import identify, sign_out
from billing_ui.billing.portal import open_portal
from billing_ui.billing.services import Services
from billing_ui.payments.types import ProviderUnavailable
from billing_ui.states.billing import BillingState
from billing_ui.states.result_view import ResultLine
from billing_ui.states.returning import ReturnState
from billing_ui.states.sign_in import HomeState, SignInState, destination_after
from billing_ui.states.tab_guard import FIRST_EVENTS, TabGuard
from billing_ui.states.viewer import ViewerState, initials
from tests.unit.billing.factories import PRO, TEAM, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.states.tab import Tab, redirect_of


async def gone_to_the_portal(services: Services, token: str, return_url: str | None = None) -> UUID:
    """Open the portal and return the visit's id."""
    identity = await identify(services.database, token)
    assert identity is not None
    return (await open_portal(services, identity, return_url)).visit_id


async def test_coming_back_shows_the_billing_page_with_what_changed(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    visit = await gone_to_the_portal(services, owner)
    driver.has(snapshot(subscription(PRO)))
    tab = Tab(owner, path=f"/settings/billing/return?visit={visit}")

    assert await tab.send(ReturnState.load) == ReturnState.fetch
    answer = await tab.send(ReturnState.fetch)

    assert redirect_of(answer) == "/settings/billing"
    await tab.send(BillingState.load)
    state = await tab.state(BillingState)
    assert state.result.changed
    assert state.result.title.startswith("Your billing is up to date: ")
    assert ResultLine("plan", "Plan changed from Team to Pro.", "Renews on January 3, 2027.") in (
        state.result.lines
    )


async def test_a_single_change_is_the_banner_itself(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    visit = await gone_to_the_portal(services, owner)
    [before] = driver.snapshots.values()
    driver.has(before.model_copy(update={"subscriptions": (subscription(TEAM, 25),)}))
    tab = Tab(owner, path=f"/settings/billing/return?visit={visit}")
    await tab.send(ReturnState.load)
    await tab.send(ReturnState.fetch)
    await tab.send(BillingState.load)

    state = await tab.state(BillingState)
    assert (state.result.title, state.result.detail) == ("Seats set to 25.", "")
    assert state.result.lines == []


async def test_a_caller_of_its_own_gets_the_browser_back_as_a_whole_document(
    services: Services, owner: str
) -> None:
    product = "https://app.example.com/account?tab=billing"
    visit = await gone_to_the_portal(services, owner, product)
    tab = Tab(owner, path=f"/settings/billing/return?visit={visit}")
    await tab.send(ReturnState.load)

    answer = await tab.send(ReturnState.fetch)

    assert answer is None
    first = (await tab.state(ReturnState)).departure
    assert first.address == product
    await tab.send(ReturnState.load)
    await tab.send(ReturnState.fetch)
    assert (await tab.state(ReturnState)).departure.number != first.number


async def test_a_provider_that_cannot_be_reached_keeps_the_page_and_can_be_tried_again(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    visit = await gone_to_the_portal(services, owner)
    tab = Tab(owner, path=f"/settings/billing/return?visit={visit}")
    driver.fail("fetch_snapshot", ProviderUnavailable())
    await tab.send(ReturnState.load)

    assert await tab.send(ReturnState.fetch) is None
    state = await tab.state(ReturnState)
    assert (state.failed, state.working) == (True, False)

    assert redirect_of(await tab.send(ReturnState.fetch)) == "/settings/billing"


async def test_trying_again_twice_asks_the_provider_once(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    visit = await gone_to_the_portal(services, owner)
    tab = Tab(owner, path=f"/settings/billing/return?visit={visit}")
    hold = driver.hold("fetch_snapshot")
    await tab.send(ReturnState.load)
    first = asyncio.create_task(tab.send(ReturnState.fetch))
    await hold.reached.wait()

    assert await tab.send(ReturnState.fetch) is None
    hold.release()
    await first

    assert driver.count("fetch_snapshot") == 1


async def test_coming_back_signed_out_leads_through_sign_in_and_shows_nothing(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    visit = await gone_to_the_portal(services, owner)
    address = f"/settings/billing/return?visit={visit}"
    tab = Tab(None, path=address)
    await tab.send(ReturnState.load)

    answer = await tab.send(ReturnState.fetch)

    assert redirect_of(answer) == f"/sign-in?next={quote(address, safe='')}"
    assert driver.count("fetch_snapshot") == 0
    assert "Northwind" not in tab.sent()


@pytest.mark.parametrize("visit", ["", "nonsense", "0a1b2c3d-0000-4000-8000-000000000000"])
async def test_a_return_of_no_visit_leads_to_the_billing_page(
    owner: str, driver: FakeDriver, visit: str
) -> None:
    tab = Tab(owner, path=f"/settings/billing/return?visit={visit}")
    await tab.send(ReturnState.load)

    assert redirect_of(await tab.send(ReturnState.fetch)) == "/settings/billing"
    assert driver.calls == []


async def test_sign_in_carries_where_to_go_and_says_what_was_wrong(services: Services) -> None:
    tab = Tab(None, path="/sign-in?error=credentials&next=/pricing")

    assert await tab.send(SignInState.load) is None

    state = await tab.state(SignInState)
    assert state.destination == "/pricing"
    assert state.failure == "E-mail or password is wrong."


async def test_whoever_is_signed_in_moves_on_from_sign_in(owner: str) -> None:
    tab = Tab(owner, path="/sign-in?next=/pricing")

    assert redirect_of(await tab.send(SignInState.load)) == "/pricing"


@pytest.mark.parametrize(
    "wish",
    [
        None,
        "",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "https://app.example.com/",
        "javascript:alert(1)",
        "/%2F/evil.example",
        "/a\nb",
        "/sign-in",
        "/sign-in?next=/sign-in",
    ],
)
def test_signing_in_never_leads_off_the_site_or_back_to_itself(
    services: Services, wish: str | None
) -> None:
    assert destination_after(wish) == "/settings/billing"


async def test_the_first_address_points_on(services: Services, owner: str) -> None:
    assert redirect_of(await Tab(owner, path="/").send(HomeState.load)) == "/settings/billing"
    assert redirect_of(await Tab(None, path="/").send(HomeState.load)) == "/sign-in"


@pytest.mark.parametrize("event", sorted(FIRST_EVENTS))
async def test_a_document_loaded_after_signing_out_is_sent_nothing_of_what_was_there(
    services: Services, owner: str, event: str
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    assert "Northwind Labs" in tab.sent()
    await sign_out(services.database, owner)
    tab.sign_in(None)

    await guard(tab, event)

    sent = tab.sent()
    assert not any(secret in sent for secret in ("Northwind Labs", "@example.com", "ACME-00"))


async def test_a_document_loaded_by_the_same_person_keeps_its_state(
    services: Services, owner: str
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)

    await guard(tab)

    assert (await tab.state(BillingState)).plans[0].name == "Team"
    assert (await tab.state(ViewerState)).team_name == "Northwind Labs"


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Northwind Labs", "NL"), ("acme", "A"), ("Löwe & Söhne", "LS"), ("", ""), ("  ", "")],
)
def test_initials_are_of_the_first_two_words(name: str, letters: str) -> None:
    assert initials(name) == letters


async def guard(tab: Tab, event: str = "reflex___state____state.hydrate_and_load") -> None:
    """Do what happens before a newly loaded document is sent the tab's states."""
    await TabGuard().preprocess(None, tab.root, Event(name=event))
