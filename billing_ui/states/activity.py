"""The activity page: the team's audit log in words, narrowed down and a page at a time."""

from typing import Final
from urllib.parse import urlencode

import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.audit import AuditKind, Filter, Position, count, entries
from billing_ui.accounts.permissions import Action
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.teams import owner_contact
from billing_ui.billing.services import current_services
from billing_ui.clock import utc_now
from billing_ui.states.activity_view import (
    KINDS,
    PERIODS,
    ActivityLine,
    activity_lines,
    activity_range,
)
from billing_ui.states.addresses import ACTIVITY, backend_url, to_sign_in
from billing_ui.states.leaving import Departure
from billing_ui.states.live_pages import open_pages
from billing_ui.states.session import hand_over, identity_of, reader_of
from billing_ui.states.showing import greet_viewer, no_skeleton_for_ever, show_or_leave

HEADING: Final = "activity-heading"
"""The page's heading, which takes the focus of what goes away."""
LINES_A_PAGE: Final = 25
_COUNTED: Final = 10_001
"""Nobody turns so many pages; counting on would take longer than reading them."""
_LONGEST_SEARCH: Final = 100


class ActivityState(rx.State):
    """One tab's activity page. Blank until `load`; rebuilt from the database every time it opens."""

    _owner: str = ""
    _resumed: bool = False
    _pages: list[Position] = []  # noqa: RUF012 - Reflex gives every tab its own
    _older: Position | None = None

    loaded: bool = False
    broken: bool = False
    in_team: bool = True
    allowed: bool = True
    team_name: str = ""
    contact: str = ""

    kind: str = ""
    person: str = ""
    period: str = ""
    searches: int = 0
    lines: list[ActivityLine] = []  # noqa: RUF012
    range: str = ""
    departure: Departure = Departure()

    @rx.var
    def has_older(self) -> bool:
        """Whether there are entries before the ones shown."""
        return self._older is not None

    @rx.var
    def has_newer(self) -> bool:
        """Whether there are entries after the ones shown."""
        return bool(self._pages)

    @rx.var
    def narrowed(self) -> bool:
        """Whether not everything is asked for."""
        return bool(self.kind or self.person or self.period)

    @rx.var
    def export_url(self) -> str:
        """Where the browser gets what is asked for as CSV."""
        asked = {"kind": self.kind, "person": self.person, "days": self.period}
        query = urlencode({name: value for name, value in asked.items() if value})
        return backend_url(f"/api/activity.csv?{query}".rstrip("?"))

    @rx.event
    async def load(self) -> EventSpec | None:
        """Show the newest entries; after a connection was lost, those that were shown."""
        identity = await greet_viewer(self)
        if identity is None:
            return to_sign_in(ACTIVITY)
        if not self._resumed:
            self._pages, self.kind, self.person, self.period = [], "", "", ""
            self.searches += 1
        self._resumed = False
        await open_pages.register(self, identity, show_again)
        with no_skeleton_for_ever(self):
            await _show(self, identity)
        return None

    @rx.event
    async def look_again(self) -> EventSpec | None:
        """Show what came meanwhile, and what is no longer today's."""
        return await _do(self)

    @rx.event
    async def choose_kind(self, kind: str) -> EventSpec | None:
        """Show only what is of one kind, or everything."""
        return await _do(self, kind=kind if kind in KINDS else "")

    @rx.event
    async def search(self, person: str) -> EventSpec | None:
        """Show only what somebody did or was done to."""
        return await _do(self, person=person.strip()[:_LONGEST_SEARCH])

    @rx.event
    async def choose_period(self, period: str) -> EventSpec | None:
        """Show only what happened in the last days, or everything."""
        return await _do(self, period=period if period in PERIODS else "")

    @rx.event
    async def show_everything(self) -> EventSpec | None:
        """Take back what was asked for; the button that did it goes, and the heading takes its focus."""
        self.searches += 1
        return await _do(self, kind="", person="", period="") or rx.set_focus(HEADING)

    @rx.event
    async def show_older(self) -> EventSpec | None:
        """Turn to the entries before the ones shown."""
        return await _do(self, turn=1)

    @rx.event
    async def show_newer(self) -> EventSpec | None:
        """Turn back to the entries after the ones shown."""
        return await _do(self, turn=-1)


async def show_again(state: ActivityState) -> Identity | None:
    """Show what the log holds now to whoever looks at the page, and nothing to nobody."""
    return await show_or_leave(state, _show, ACTIVITY)


async def _do(
    state: ActivityState,
    *,
    kind: str | None = None,
    person: str | None = None,
    period: str | None = None,
    turn: int = 0,
) -> EventSpec | None:
    """Ask for something else, or turn a page, and show it.

    Args:
        kind, person, period: what to ask for from now on; None for what is asked for already.
        turn: 1 for the older page, -1 for the newer one.
    """
    identity = await identity_of(state)
    handed_over = hand_over(state, identity)
    if identity is None:
        return to_sign_in(ACTIVITY)
    if any(wish is not None for wish in (kind, person, period)):
        state.kind = state.kind if kind is None else kind
        state.person = state.person if person is None else person
        state.period = state.period if period is None else period
        state._pages = []
    if not handed_over:
        _turn(state, turn)
    await _show(state, identity)
    return None


def _turn(state: ActivityState, turn: int) -> None:
    if turn > 0 and state._older is not None:
        state._pages = [*state._pages, state._older]
    elif turn < 0:
        state._pages = state._pages[:-1]


async def _show(state: ActivityState, identity: Identity) -> None:
    """Fill `state` from the log, with what this person may see of it."""
    database, reader = current_services().database, reader_of(state)
    state.in_team, state.team_name = identity.team_id is not None, identity.team_name
    state.allowed = identity.may(Action.VIEW_ACTIVITY)
    state.lines, state.range, state.contact = [], "", ""
    state._older = None
    if identity.team_id is not None and state.allowed:
        which = Filter(
            kind=AuditKind(state.kind) if state.kind else None,
            person=state.person,
            days=int(state.period) if state.period else None,
        )
        before = state._pages[-1] if state._pages else None
        page = await entries(
            database, identity.team_id, which=which, before=before, limit=LINES_A_PAGE
        )
        total = await count(database, identity.team_id, which=which, at_most=_COUNTED)
        first = len(state._pages) * LINES_A_PAGE + 1
        state.lines = activity_lines(page.entries, reader, utc_now())
        state.range = activity_range(first, len(state.lines), total, _COUNTED, reader)
        state._older = page.next_before
    elif identity.team_id is not None:
        state.contact = await owner_contact(database, identity.team_id) or ""
    state.broken = False
    state.loaded = True
