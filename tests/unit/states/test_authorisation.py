"""Every handler finds out who asks, whatever the tab showed before and whatever the event says."""

from typing import Any

import pytest
import reflex as rx
from reflex.event import EventHandler

from billing_ui.accounts.sessions import sign_out
from billing_ui.accounts.teams import add_member
from billing_ui.billing.services import Services
from billing_ui.models import Role
from billing_ui.states.activity import ActivityState
from billing_ui.states.billing import BillingState
from billing_ui.states.pricing import PricingState
from billing_ui.states.returning import ReturnState
from billing_ui.states.sign_in import HomeState, SignInState
from billing_ui.states.tokens import TokensState
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.states.tab import Tab, redirect_of

STATES: tuple[type[rx.State], ...] = (
    ActivityState,
    BillingState,
    PricingState,
    ReturnState,
    SignInState,
    HomeState,
    TokensState,
)
ARGUMENTS: dict[str, Any] = {
    "kind": "billing",
    "period": "30",
    "person": "o",
    "key": "year-1",
    "code": "eur",
    "text": "7",
    "product_id": "prod_pro",
    "form": {"name": "Northwind", "read": "on", "lifetime": ""},
}
# What only the team may see: name, owner, card, invoices, address of the files.
PRIVATE = ("Northwind Labs", "@example.com", "4242", "ACME-00", "files.example.com", "$480.00")


def handlers() -> list[Any]:
    """Return every handler of every state, the framework's own ones left out."""
    return [
        pytest.param(handler, id=f"{state.__name__}.{name}")
        for state in STATES
        for name, handler in state.event_handlers.items()
        if name != "setvar"
    ]


def arguments_for(handler: EventHandler) -> list[Any]:
    """Return something plausible for each argument of a handler."""
    code = handler.fn.__code__
    return [ARGUMENTS[name] for name in code.co_varnames[1 : code.co_argcount]]


@pytest.mark.parametrize("handler", handlers())
async def test_nobody_gets_anything_out_of_a_handler(
    handler: EventHandler, services: Services, account: object, driver: FakeDriver
) -> None:
    tab = Tab(None)

    await tab.send(handler, *arguments_for(handler))

    assert driver.calls == []
    assert not any(secret in tab.sent() for secret in PRIVATE)


@pytest.mark.parametrize("handler", handlers())
async def test_a_session_that_has_ended_gets_nothing_and_loses_what_it_saw(
    handler: EventHandler, services: Services, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    assert "Northwind Labs" in tab.sent()
    await sign_out(services.database, owner)

    await tab.send(handler, *arguments_for(handler))

    assert driver.calls == []
    shown = str((await tab.state(handler_state(handler))).dict())
    assert not any(secret in shown for secret in PRIVATE)


@pytest.mark.parametrize("handler", handlers())
async def test_a_member_without_billing_rights_neither_leaves_nor_sees_the_account(
    handler: EventHandler, services: Services, member: str, driver: FakeDriver
) -> None:
    tab = Tab(member)
    await tab.send(BillingState.load)

    await tab.send(handler, *arguments_for(handler))

    assert (driver.portals, driver.checkouts) == ([], [])
    sent = tab.sent()
    assert not any(secret in sent for secret in ("4242", "ACME-00", "files.example.com"))
    assert "/departures/" not in sent


@pytest.mark.parametrize("handler", handlers())
async def test_what_one_person_saw_is_gone_when_another_one_uses_the_tab(
    handler: EventHandler, services: Services, owner: str, stranger: str
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    await tab.send(PricingState.load)
    tab.sign_in(stranger)

    await tab.send(handler, *arguments_for(handler))

    shown = str((await tab.state(handler_state(handler))).dict())
    assert not any(secret in shown for secret in ("Northwind Labs", "4242", "ACME-00"))


async def test_somebody_without_a_session_is_sent_to_sign_in_and_back(services: Services) -> None:
    tab = Tab(None)

    answer = await tab.send(BillingState.load)

    assert redirect_of(answer) == "/sign-in?next=%2Fsettings%2Fbilling"


async def test_losing_the_billing_rights_takes_effect_on_the_next_press(
    services: Services, owner: str, account: Any, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    await add_member(services.database, account.team_id, account.identity.user_id, Role.MEMBER)

    await tab.send(BillingState.manage_billing)

    assert driver.portals == []
    state = await tab.state(BillingState)
    assert state.problem == "Only an owner or billing manager can change billing."
    assert state.opening == ""


def handler_state(handler: EventHandler) -> type[rx.State]:
    """Return the state a handler belongs to."""
    state = handler.state
    assert state is not None
    assert issubclass(state, rx.State)
    return state
