"""The person at the screen, as the frame around every page shows them."""

from dataclasses import dataclass

import reflex as rx

from billing_ui.accounts.members import teams_of
from billing_ui.accounts.own_sessions import look_at_team
from billing_ui.accounts.permissions import Action
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.services import current_services
from billing_ui.states.ids import as_id
from billing_ui.states.session import hand_over, identity_of


@dataclass(frozen=True)
class TeamOption:
    """A team to choose in the switcher; `here` is the one that is looked at."""

    id: str = ""
    name: str = ""
    here: bool = False


class ViewerState(rx.State):
    """Name and team of whoever is signed in on this tab; blank when nobody is, or nobody has looked yet."""

    _owner: str = ""

    known: bool = False
    signed_in: bool = False
    email: str = ""
    initial: str = ""
    team_name: str = ""
    team_initials: str = ""
    came_from: str = ""
    """Where the product that let them in wants them back."""
    teams: list[TeamOption] = []  # noqa: RUF012 - Reflex gives every tab its own
    sees_activity: bool = False
    manages_tokens: bool = False

    @rx.event
    async def switch_team(self, team_id: str) -> None:
        """Look at another of the person's teams from now on, on every page of this session."""
        identity = await greet(self)
        if identity is None or identity.session_id is None or identity.entered:
            return
        services = current_services()
        chosen = as_id(team_id)
        if chosen and await look_at_team(services.database, identity, chosen):
            await greet(self)
            await services.live.publish_session(identity.session_id)


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
        viewer.came_from = identity.came_from or ""
        theirs = await teams_of(current_services().database, identity)
        viewer.teams = [
            TeamOption(str(team.team_id), team.name, team.team_id == identity.team_id)
            for team in theirs
        ]
        viewer.sees_activity = identity.may(Action.VIEW_ACTIVITY)
        viewer.manages_tokens = identity.may(Action.MANAGE_TOKENS)
    return identity


def initials(name: str) -> str:
    """Return the first letters of the first two words of a name, which an ampersand is not."""
    words = [word for word in name.split() if word[0].isalnum()] or name.split()
    return "".join(word[0] for word in words[:2]).upper()
