"""Who is asking and how they read: every handler finds out anew, and never from an argument."""

from typing import Any, Protocol

import reflex as rx

from billing_ui.accounts.sessions import Identity, identify, token_from_cookie_header
from billing_ui.billing.services import current_services
from billing_ui.i18n import Reader, parse_locale


class Owned(Protocol):
    """A state that was filled for somebody, and says for whom."""

    _owner: str

    def reset(self) -> None:
        """Set every var back to its default."""
        ...


async def identity_of(state: rx.State) -> Identity | None:
    """Return who is signed in on this tab, or None.

    The cookie is the one of the websocket's handshake, so signing in and out load the document anew.
    Whether the session still holds, and what its person may do, is read from the database.
    """
    services = current_services()
    token = token_from_cookie_header(services.settings, state.router.headers.cookie)
    return await identify(services.database, token)


def reader_of(state: rx.State) -> Reader:
    """Return how this browser's person reads dates and amounts."""
    locale = parse_locale(state.router.headers.accept_language)
    return Reader(locale, current_services().settings.zone)


def hand_over(state: Owned, identity: Identity | None) -> bool:
    """Blank `state` when it was filled for somebody else, or for another team; return whether it was.

    A tab's state outlives a change of user.
    """
    owner = f"{identity.user_id} {identity.team_id}" if identity else ""
    if state._owner == owner:
        return False
    state.reset()
    state._owner = owner
    return True


async def viewer_of(state: Any) -> Identity | None:
    """Return who is signed in on this tab; `state` is blank then if it was filled for somebody else."""
    identity = await identity_of(state)
    hand_over(state, identity)
    return identity
