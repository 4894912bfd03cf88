"""The team page: who is in the team, who is invited, and what an owner does about it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.errors import UnknownMember
from billing_ui.accounts.invitations import invite, open_invitations, withdraw
from billing_ui.accounts.members import (
    MEMBERS_A_PAGE,
    change_role,
    leave_team,
    load_members,
    may_leave,
    password_reset_link,
    remove_member,
)
from billing_ui.accounts.permissions import Action
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.services import current_services
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Role
from billing_ui.states.addresses import (
    INVITATION,
    RESET_PASSWORD,
    TEAM,
    link_url,
    to_sign_in,
)
from billing_ui.states.failures import KNOWN_FAILURES, Problem, in_words, problem_of
from billing_ui.states.ids import as_id
from billing_ui.states.leaving import Departure
from billing_ui.states.live_pages import open_pages
from billing_ui.states.session import hand_over, identity_of, reader_of, viewer_of
from billing_ui.states.showing import greet_viewer, no_skeleton_for_ever, show_or_leave
from billing_ui.states.team_view import (
    InvitationView,
    MemberView,
    invitation_views,
    member_range,
    member_views,
)

HEADING: Final = "team-heading"
"""The page's heading, which takes the focus of what goes away."""
LINK_FIELD: Final = "made-link"
"""The field that a new link is written into."""
_MOST_OF_AN_EMAIL: Final = 400

Events: TypeAlias = list[EventSpec] | EventSpec | None
"""What the browser is to do next."""


@dataclass(frozen=True)
class MadeLink:
    """What is said of a link that was just made; the link itself is sent to the browser once, and not kept."""

    title: str = ""
    note: str = ""


class TeamState(rx.State):
    """One tab's team page. Blank until `load`; rebuilt from the database every time it opens.

    A new link is never in here: it is sent to the browser once, into a field of the page, and is gone with it.
    """

    _owner: str = ""
    _resumed: bool = False
    _first: int = 1
    _last: int = 0

    loaded: bool = False
    broken: bool = False
    in_team: bool = True
    team_name: str = ""
    manages: bool = False
    may_leave: bool = False

    members: list[MemberView] = []  # noqa: RUF012 - Reflex gives every tab its own
    total: int = 0
    range: str = ""
    invitations: list[InvitationView] = []  # noqa: RUF012

    made: MadeLink = MadeLink()
    invited: int = 0
    problem: Problem = Problem()
    departure: Departure = Departure()

    @rx.var
    def has_next(self) -> bool:
        """Whether there are people after the ones shown."""
        return self._last < self.total

    @rx.var
    def has_previous(self) -> bool:
        """Whether there are people before the ones shown."""
        return self._first > 1

    @rx.event
    async def load(self) -> EventSpec | None:
        """Show the team."""
        identity = await greet_viewer(self)
        if identity is None:
            return to_sign_in(TEAM)
        if not self._resumed:
            self._first, self.made, self.problem = 1, MadeLink(), Problem()
        self._resumed = False
        await open_pages.register(self, identity, show_again)
        with no_skeleton_for_ever(self):
            await _show(self, identity)
        return None

    @rx.event
    async def look_again(self) -> EventSpec | None:
        """Show what is another meanwhile; a link that was just made stays."""
        return None if await show_again(self) else to_sign_in(TEAM)

    @rx.event
    async def show_next(self) -> EventSpec | None:
        """Turn to the people who joined after the ones shown."""
        return await _turn(self, MEMBERS_A_PAGE)

    @rx.event
    async def show_previous(self) -> EventSpec | None:
        """Turn back to the people who joined before the ones shown."""
        return await _turn(self, -MEMBERS_A_PAGE)

    @rx.event
    async def invite(self, form: dict[str, Any]) -> Events:
        """Make an invitation and show its link."""
        email = str(form.get("email", ""))[:_MOST_OF_AN_EMAIL].strip()
        role = _role(form.get("role"))

        async def make(database: Database, identity: Identity) -> str:
            token = await invite(database, identity, email, role)
            self.made = MadeLink(
                title=f"Invitation for {email}" if email else "Invitation for whoever has the link",
                note="Send it to them. It works once, within 7 days, and is shown only now.",
            )
            self.invited += 1
            return link_url(INVITATION, token)

        return await _do(self, make)

    @rx.event
    async def withdraw(self, invitation_id: str) -> Events:
        """Let an invitation be of no more use; it goes from the list, and the heading takes its focus."""

        async def end(database: Database, identity: Identity) -> None:
            if chosen := as_id(invitation_id):
                await withdraw(database, identity, chosen)

        return await _do(self, end) or rx.set_focus(HEADING)

    @rx.event
    async def change_role(self, user_id: str, role: str) -> Events:
        """Give somebody another role."""

        async def change(database: Database, identity: Identity) -> None:
            await change_role(database, identity, _person(user_id), _role(role))

        return await _do(self, change)

    @rx.event
    async def remove(self, user_id: str) -> Events:
        """Take somebody out of the team; their row goes, and the heading takes its focus."""

        async def take_out(database: Database, identity: Identity) -> None:
            await remove_member(database, identity, _person(user_id))

        return await _do(self, take_out) or rx.set_focus(HEADING)

    @rx.event
    async def leave(self) -> Events:
        """Leave the team, and show the one that is looked at then."""
        return await _do(self, leave_team) or rx.set_focus(HEADING)

    @rx.event
    async def make_password_link(self, user_id: str) -> Events:
        """Make a link by which somebody chooses a new password, and show it."""

        async def make(database: Database, identity: Identity) -> str:
            person = _person(user_id)
            token = await password_reset_link(database, identity, person)
            email = next((row.email for row in self.members if row.user_id == str(person)), "")
            self.made = MadeLink(
                title=f"Password link for {email}" if email else "Password link",
                note="Send it to them alone: whoever opens it chooses their password. "
                "It works once, within 24 hours, and is shown only now.",
            )
            return link_url(RESET_PASSWORD, token)

        return await _do(self, make)

    @rx.event
    async def put_link_away(self) -> Events:
        """Show the link no more."""
        await viewer_of(self)
        self.made = MadeLink()
        return [rx.set_value(LINK_FIELD, ""), rx.set_focus(HEADING)]


async def show_again(state: TeamState) -> Identity | None:
    """Show the team as it is now to whoever looks at the page, and nothing to nobody."""
    return await show_or_leave(state, _show, TEAM)


async def _do(
    state: TeamState, act: Callable[[Database, Identity], Awaitable[str | None]]
) -> Events:
    """Do something to the team and show it as it is then, here and on every open page.

    Args:
        act: what to do; may return the address of a link, to be shown this once.
    """
    identity = await viewer_of(state)
    if identity is None:
        return to_sign_in(TEAM)
    services = current_services()
    state.problem, state.made = Problem(), MadeLink()
    link = None
    try:
        link = await act(services.database, identity)
    except KNOWN_FAILURES as error:
        state.problem = problem_of(in_words(error))
    else:
        if identity.team_id is not None:
            await services.live.publish(identity.team_id)
    # What they may do, or which team they are in, can be another by now.
    await show_again(state)
    return [rx.set_value(LINK_FIELD, link), rx.set_focus(LINK_FIELD)] if link else None


async def _turn(state: TeamState, step: int) -> EventSpec | None:
    identity = await identity_of(state)
    handed_over = hand_over(state, identity)
    if identity is None:
        return to_sign_in(TEAM)
    if not handed_over:
        state._first = max(state._first + step, 1)
    await _show(state, identity)
    return None


async def _show(state: TeamState, identity: Identity) -> None:
    database, reader = current_services().database, reader_of(state)
    state.in_team, state.team_name = identity.team_id is not None, identity.team_name
    state.manages = identity.may(Action.MANAGE_MEMBERS)
    if identity.team_id is not None:
        page = await load_members(database, identity, state._first)
        state._first, state._last = page.first, page.first + len(page.members) - 1
        state.total, state.range = page.total, member_range(page, reader)
        state.members = member_views(page, identity, reader, manages=state.manages)
        state.may_leave = await may_leave(database, identity)
        state.invitations = []
        if state.manages:
            open_ones = await open_invitations(database, identity)
            state.invitations = invitation_views(open_ones, reader, utc_now())
    if not state.manages:
        # A link that was made as an owner is not for whoever is none any more.
        state.made = MadeLink()
    state.broken = False
    state.loaded = True


def _person(wish: str) -> UUID:
    """Return the id that the browser names.

    Raises:
        UnknownMember: it is no id.
    """
    chosen = as_id(wish)
    if chosen is None:
        raise UnknownMember
    return chosen


def _role(wish: object) -> Role:
    """Return the role that the browser names; the least one when it names none that there is."""
    return next((role for role in Role if role.value == wish), Role.MEMBER)
