"""The table of who may do what, tried out: every role and every scope, with every action, wherever it can be done.

What is expected stands here once more, by hand: a slip in the table of `permissions` is found like one in a handler.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest
from sqlmodel import select

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.permissions import PERMISSIONS, SCOPE_ACTIONS, Action, Scope
from billing_ui.accounts.sessions import identify, sign_in_as
from billing_ui.accounts.tokens import create_token
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.services import Services, install_services
from billing_ui.billing.sync import sync_customer
from billing_ui.database import Database
from billing_ui.models import ApiToken, Membership, Role
from billing_ui.states.activity import ActivityState
from billing_ui.states.billing import BillingState
from billing_ui.states.pricing import PricingState
from billing_ui.states.team import TeamState
from billing_ui.states.tokens import TokensState
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import (
    PRO,
    Account,
    card,
    catalog,
    invoice,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers
from tests.unit.states.tab import Tab

ALL = frozenset(Role)
PAYING = frozenset({Role.OWNER, Role.BILLING_MANAGER})
OWNERS = frozenset({Role.OWNER})
ROLES = {
    Action.VIEW_PLAN: ALL,
    Action.VIEW_INVOICES: PAYING,
    Action.OPEN_PORTAL: PAYING,
    Action.CHECKOUT: PAYING,
    Action.SYNC: PAYING,
    Action.VIEW_MEMBERS: ALL,
    Action.MANAGE_MEMBERS: OWNERS,
    Action.MANAGE_TOKENS: OWNERS,
    Action.VIEW_ACTIVITY: PAYING,
    Action.LEAVE_TEAM: ALL,
}
SCOPES = {
    Action.VIEW_PLAN: Scope.READ,
    Action.VIEW_INVOICES: Scope.READ,
    Action.OPEN_PORTAL: Scope.PORTAL,
    Action.CHECKOUT: Scope.CHECKOUT,
    Action.VIEW_MEMBERS: Scope.READ,
    Action.VIEW_ACTIVITY: Scope.READ,
}


@dataclass
class Place:
    """An installation with one team, whose account the provider has."""

    services: Services
    driver: FakeDriver
    client: httpx.AsyncClient

    async def team(self, *, subscribed: bool = True) -> Account:
        """Return a team with an owner; without a subscription there is something to buy."""
        plans = (subscription(PRO),) if subscribed else ()
        self.driver.has(snapshot(*plans, payment_methods=(card(),), invoices=(invoice(1),)))
        account = await new_account(self.services, customer="cus_1")
        await sync_customer(self.services, account.customer)
        self.driver.calls.clear()
        return account


@pytest.fixture
async def place(sqlite_url: str) -> AsyncIterator[Place]:
    """The installation, with three plans in its catalogue."""
    settings, driver = make_settings(), FakeDriver()
    driver.catalog = catalog()
    services = Services(settings, Database(sqlite_url), FakeDrivers(settings, driver))
    install_services(services)
    await refresh_catalog(services)
    app = create_api(lambda: services, Readiness(migrations=True, demo_data=True, sandbox=True))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=settings.base_url) as client:
        yield Place(services, driver, client)
    install_services(None)
    await services.close()


# ---------------------------------------------------------------- by the handlers of the pages


async def view_plan(place: Place, tab: Tab) -> bool:
    await tab.send(BillingState.load)
    return bool((await tab.state(BillingState)).plans)


async def view_invoices(place: Place, tab: Tab) -> bool:
    await tab.send(BillingState.load)
    shown = await tab.state(BillingState)
    seen = {bool(shown.invoices), shown.payment.label != "", "4242" in tab.sent()}
    assert len(seen) == 1
    return seen.pop()


async def open_portal(place: Place, tab: Tab) -> bool:
    await tab.send(BillingState.load)
    await tab.send(BillingState.manage_billing)
    return bool(place.driver.portals)


async def checkout(place: Place, tab: Tab) -> bool:
    await tab.send(PricingState.load)
    await tab.send(PricingState.choose, "prod_team")
    return bool(place.driver.checkouts)


async def sync(place: Place, tab: Tab) -> bool:
    await tab.send(BillingState.load)
    await tab.send(BillingState.refresh)
    return "fetch_snapshot" in place.driver.calls


async def view_members(place: Place, tab: Tab) -> bool:
    await tab.send(TeamState.load)
    return bool((await tab.state(TeamState)).members)


async def manage_members(place: Place, tab: Tab) -> bool:
    await tab.send(TeamState.load)
    await tab.send(TeamState.invite, {"email": "", "role": "member"})
    return bool((await tab.state(TeamState)).made.title)


async def manage_tokens(place: Place, tab: Tab) -> bool:
    await tab.send(TokensState.load)
    form = {"name": "robot", "read": "on", "lifetime": ""}
    await tab.send(TokensState.create, form)
    async with place.services.database.read() as session:
        return bool((await session.exec(select(ApiToken))).all())


async def view_activity(place: Place, tab: Tab) -> bool:
    await tab.send(ActivityState.load)
    return bool((await tab.state(ActivityState)).lines)


async def leave_team(place: Place, tab: Tab) -> bool:
    await tab.send(TeamState.load)
    await tab.send(TeamState.leave)
    return not (await tab.state(TeamState)).in_team


ON_PAGES: dict[Action, Callable[[Place, Tab], Awaitable[bool]]] = {
    Action.VIEW_PLAN: view_plan,
    Action.VIEW_INVOICES: view_invoices,
    Action.OPEN_PORTAL: open_portal,
    Action.CHECKOUT: checkout,
    Action.SYNC: sync,
    Action.VIEW_MEMBERS: view_members,
    Action.MANAGE_MEMBERS: manage_members,
    Action.MANAGE_TOKENS: manage_tokens,
    Action.VIEW_ACTIVITY: view_activity,
    Action.LEAVE_TEAM: leave_team,
}

# ---------------------------------------------------------------- by the routes of the API

Call = tuple[str, str, dict[str, object] | None]
BY_API: dict[Action, Call] = {
    Action.VIEW_PLAN: ("GET", "/api/billing/subscription", None),
    Action.VIEW_INVOICES: ("GET", "/api/billing/invoices", None),
    Action.OPEN_PORTAL: ("POST", "/api/billing/portal", {"returnUrl": "/settings/billing"}),
    Action.CHECKOUT: ("POST", "/api/billing/checkout", {"priceId": "price_team_month"}),
}
BY_COOKIE: dict[Action, Call] = {
    Action.OPEN_PORTAL: ("POST", "/api/payments/portal", {}),
    Action.VIEW_ACTIVITY: ("GET", "/api/activity.csv", None),
}


async def called(place: Place, call: Call, headers: dict[str, str]) -> bool:
    """Make a call, and return whether it was allowed; what is not, is refused with 403 and tells nothing."""
    method, path, body = call
    response = await place.client.request(method, path, json=body, headers=headers)
    if response.status_code == 403:
        assert "4242" not in response.text
        assert (place.driver.portals, place.driver.checkouts) == ([], [])
        return False
    assert response.status_code == 200, response.text
    return True


def test_the_table_is_the_one_that_is_expected() -> None:
    assert {
        action: {role for role in Role if action in PERMISSIONS[role]} for action in Action
    } == ROLES
    assert {
        action: {scope for scope in Scope if action in SCOPE_ACTIONS[scope]} for action in Action
    } == {action: {SCOPES[action]} if action in SCOPES else set() for action in Action}
    assert set(ON_PAGES) == set(Action)


async def person(place: Place, role: Role, action: Action) -> str:
    """Return the session token of somebody who is `role` in a team with another owner."""
    account = await place.team(subscribed=action is not Action.CHECKOUT)
    somebody = await new_member(place.services, account, role)
    assert somebody.user_id is not None
    return await sign_in_as(place.services.database, somebody.user_id)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
async def test_a_page_lets_each_role_do_what_the_table_says(
    place: Place, role: Role, action: Action
) -> None:
    tab = Tab(await person(place, role, action))
    assert await ON_PAGES[action](place, tab) == (role in ROLES[action])


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", BY_API)
async def test_the_api_lets_each_role_do_what_the_table_says(
    place: Place, role: Role, action: Action
) -> None:
    token = await person(place, role, action)
    headers = {"Authorization": f"Bearer {token}"}
    assert await called(place, BY_API[action], headers) == (role in ROLES[action])


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", BY_COOKIE)
async def test_what_takes_the_cookie_lets_each_role_do_what_the_table_says(
    place: Place, role: Role, action: Action
) -> None:
    token = await person(place, role, action)
    headers = {"Cookie": f"billing_session={token}", "Origin": place.services.settings.base_url}
    assert await called(place, BY_COOKIE[action], headers) == (role in ROLES[action])


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("action", BY_API)
async def test_an_api_token_may_do_what_its_scope_says(
    place: Place, scope: Scope, action: Action
) -> None:
    account = await place.team(subscribed=action is not Action.CHECKOUT)
    made = await create_token(
        place.services.database,
        team_id=account.team_id,
        actor=OPERATOR,
        name="robot",
        scopes=[scope],
        lifetime=None,
        created_by=None,
    )
    headers = {"Authorization": f"Bearer {made.secret}"}
    assert await called(place, BY_API[action], headers) == (SCOPES[action] is scope)


@pytest.mark.parametrize("action", Action)
async def test_nobody_and_somebody_in_no_team_may_do_nothing(place: Place, action: Action) -> None:
    token = await person(place, Role.OWNER, action)
    somebody = await identify(place.services.database, token)
    assert somebody is not None
    async with place.services.database.write() as session:
        membership = await session.get_one(Membership, (somebody.team_id, somebody.user_id))
        await session.delete(membership)
    if action is not Action.LEAVE_TEAM:
        assert not await ON_PAGES[action](place, Tab(token))
    assert not await ON_PAGES[action](place, Tab(None)) or action is Action.LEAVE_TEAM
    if action in BY_API:
        method, path, body = BY_API[action]
        for header, status in (
            ({"Authorization": f"Bearer {token}"}, 404),
            ({"Authorization": "Bearer wrong"}, 401),
            ({}, 401),
        ):
            response = await place.client.request(method, path, json=body, headers=header)
            assert response.status_code == status
