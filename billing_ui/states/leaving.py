"""Going to the provider's pages: once however often pressed, and with a way back from failure."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.sessions import Identity
from billing_ui.billing.handoff import seal_departure
from billing_ui.billing.services import Services, current_services
from billing_ui.payments.types import NothingBought
from billing_ui.states.addresses import FIRST_PLAN, departure_url, to_sign_in
from billing_ui.states.failures import KNOWN_FAILURES, OUR_FAULT, beside_try_again, in_words
from billing_ui.states.session import Owned, viewer_of

OpenPage = Callable[[Services, Identity], Awaitable[str]]
"""Opens a page at the provider and returns its URL, which is a credential."""


@dataclass(frozen=True)
class Departure:
    """An address to load as a document. Each has a number of its own, and is made only once."""

    address: str = ""
    number: str = ""


def depart_for(address: str) -> Departure:
    """Return a new departure."""
    return Departure(address, uuid4().hex)


class Leaving(Owned, Protocol):
    """A state with buttons that lead to the provider.

    Attributes:
        opening: the button that is working, or empty.
        departure: where to go once the provider's page is open. It holds a sealed ticket, never the
            page's own URL: this var travels to the browser in the open.
        problem: why the page did not open, and `problem_button` which button it was.
    """

    opening: str
    departure: Departure
    problem: str
    problem_button: str


async def leave_for_provider(
    state: Any, button: str, open_page: OpenPage, *, back_to: str
) -> EventSpec | None:
    """Open a page at the provider and send the browser there; called from a background handler.

    Args:
        state: a `Leaving` state, unlocked.
        button: which button was pressed, for the page to show it busy.
        back_to: where to come back to when it turns out that nobody is signed in.
    """
    services = current_services()
    async with state:
        identity = await viewer_of(state)
        if identity is None:
            return to_sign_in(back_to)
        # The browser's button refuses a second press too, but any client can send the event twice.
        if state.opening:
            return None
        state.opening = button
        state.departure = Departure()
        if state.problem_button != button:
            state.problem = ""
    try:
        url = await open_page(services, identity)
    except NothingBought as error:
        await _stay(state, button, in_words(error))
        return rx.redirect(FIRST_PLAN)
    except KNOWN_FAILURES as error:
        await _stay(state, button, in_words(error))
        return None
    except Exception:
        # Logged where all unexpected errors are; here only the button must not stay busy for ever.
        await _stay(state, button, OUR_FAULT)
        raise
    async with state:
        state.departure = depart_for(departure_url(seal_departure(services, identity, url)))
        state.problem = ""
    return None


def arrive(state: Leaving) -> None:
    """Make the buttons of `state` ready again, when its page is opened anew."""
    state.opening = state.problem = state.problem_button = ""
    state.departure = Departure()


async def _stay(state: Any, button: str, problem: str) -> None:
    async with state:
        state.opening = ""
        state.problem = beside_try_again(problem)
        state.problem_button = button
