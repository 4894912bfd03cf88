"""The person at the screen, as the frame around every page shows them."""

import reflex as rx

from billing_ui.accounts.permissions import Action
from billing_ui.accounts.sessions import Identity
from billing_ui.states.session import hand_over, identity_of


class ViewerState(rx.State):
    """Name and team of whoever is signed in on this tab; blank when nobody is, or nobody has looked yet."""

    _owner: str = ""

    known: bool = False
    signed_in: bool = False
    email: str = ""
    initial: str = ""
    team_name: str = ""
    team_initials: str = ""
    sees_activity: bool = False


async def greet(state: rx.State) -> Identity | None:
    """Return who is signed in on this tab, and show it in the frame; None when nobody is."""
    identity = await identity_of(state)
    viewer = await state.get_state(ViewerState)
    hand_over(viewer, identity)
    viewer.known = True
    if identity is not None:
        viewer.signed_in = True
        viewer.email = identity.email
        viewer.initial = (identity.user_name or identity.email)[:1].upper()
        viewer.team_name = identity.team_name
        viewer.team_initials = initials(identity.team_name)
        viewer.sees_activity = identity.may(Action.VIEW_ACTIVITY)
    return identity


def initials(name: str) -> str:
    """Return the first letters of the first two words of a name, which an ampersand is not."""
    words = [word for word in name.split() if word[0].isalnum()] or name.split()
    return "".join(word[0] for word in words[:2]).upper()
