"""What every page does the same way: find out who looks, show it to them, and say so when that fails."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from billing_ui.accounts.sessions import Identity
from billing_ui.states.addresses import sign_in_url
from billing_ui.states.leaving import Departure, depart_for
from billing_ui.states.session import hand_over
from billing_ui.states.viewer import greet


class PageState(Protocol):
    """The state of a page that is filled from the database."""

    loaded: bool
    broken: bool
    departure: Departure


_State = TypeVar("_State", bound=Any)


@contextmanager
def no_skeleton_for_ever(state: PageState) -> Iterator[None]:
    """Let a page that never showed anything say so when what is done here fails.

    Raises:
        Exception: whatever went wrong, for the log.
    """
    try:
        yield
    except Exception:
        state.broken = not state.loaded
        raise


async def greet_viewer(state: Any) -> Identity | None:
    """Return who looks at the page, which is blank then if it was filled for somebody else."""
    identity = await greet(state)
    hand_over(state, identity)
    return identity


async def show_or_leave(
    state: _State, show: Callable[[_State, Identity], Awaitable[Any]], page: str
) -> Identity | None:
    """Show the page anew to whoever looks at it; nobody is led to signing in.

    Args:
        state: the page's state, locked.
        show: fills it.
        page: its address, to come back to.
    """
    identity = await greet_viewer(state)
    if identity is None:
        # As a document, so that the websocket forgets the old cookie too.
        state.departure = depart_for(sign_in_url(page))
    else:
        await show(state, identity)
    return identity
