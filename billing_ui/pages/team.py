"""`/settings/team`: who belongs to the team, and what they may do."""

import reflex as rx

from billing_ui.components.banner import banner
from billing_ui.components.departure import leave
from billing_ui.components.empty import no_team
from billing_ui.components.focus_keeper import focus_keeper
from billing_ui.components.frame import settings_page
from billing_ui.components.loaded import loaded
from billing_ui.components.member_table import member_table
from billing_ui.components.skeleton import bone, bones, loading
from billing_ui.components.team_invitations import invite_form, made_link, open_invitations
from billing_ui.components.waking import waking
from billing_ui.states.addresses import TEAM
from billing_ui.states.team import HEADING, TeamState


def team() -> rx.Component:
    """Return the page."""
    return settings_page(
        rx.el.div(
            rx.el.div(
                rx.el.h1("Team", id=HEADING, tab_index=-1),
                rx.cond(
                    TeamState.team_name != "",
                    rx.el.p("Who belongs to ", TeamState.team_name, " and what they may do"),
                    rx.el.p("Who belongs to it and what they may do"),
                ),
            ),
            class_name="head",
        ),
        loaded(
            TeamState,
            rx.cond(
                TeamState.in_team,
                _content(),
                no_team("people", "Ask the owner of a team for an invitation."),
            ),
            skeleton=_skeleton(),
            failure="The team could not be loaded.",
        ),
        leave(TeamState.departure),
        waking(TeamState.look_again),
        focus_keeper(within="main", refuge=HEADING),
        here=TEAM,
    )


def _content() -> rx.Component:
    return rx.fragment(
        rx.cond(
            TeamState.problem.title != "",
            banner(
                TeamState.problem.title,
                rx.el.p(TeamState.problem.detail),
                tone="red",
                icon_name="warning",
                role="alert",
            ),
            rx.fragment(),
        ),
        made_link(),
        rx.cond(TeamState.manages, invite_form(), rx.fragment()),
        member_table(),
        rx.cond(TeamState.manages, open_invitations(), rx.fragment()),
    )


def _skeleton() -> rx.Component:
    return rx.fragment(
        loading("team"),
        bones(bone("120px", 24), *(bone("100%", 44) for _ in range(5))),
    )
