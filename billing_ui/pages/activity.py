"""`/settings/activity`: what was done in the team, by whom and when."""

from typing import Final

import reflex as rx

from billing_ui.components.activity_list import activity_list
from billing_ui.components.buttons import plain_link
from billing_ui.components.clock import clock
from billing_ui.components.departure import leave
from billing_ui.components.empty import no_team, not_open
from billing_ui.components.focus_keeper import focus_keeper
from billing_ui.components.frame import settings_page
from billing_ui.components.icons import icon
from billing_ui.components.loaded import loaded
from billing_ui.components.skeleton import bone, bones, loading
from billing_ui.components.waking import waking
from billing_ui.states.activity import HEADING, ActivityState
from billing_ui.states.addresses import ACTIVITY

_LABEL: Final = "Activity log"


def activity() -> rx.Component:
    """Return the page."""
    return settings_page(
        _head(),
        loaded(
            ActivityState,
            rx.cond(
                ActivityState.in_team,
                rx.cond(
                    ActivityState.allowed,
                    activity_list(),
                    not_open(
                        "Activity is not open to you",
                        "Only an owner or billing manager can see it.",
                        ActivityState.contact,
                        label=_LABEL,
                    ),
                ),
                no_team(
                    "people", "Activity belongs to a team. Ask its owner to add you.", label=_LABEL
                ),
            ),
            skeleton=_skeleton(),
            failure="The activity could not be loaded.",
        ),
        leave(ActivityState.departure),
        clock(runs=ActivityState.loaded, on_minute=ActivityState.look_again),
        waking(ActivityState.look_again),
        focus_keeper(within="main", refuge=HEADING),
        here=ACTIVITY,
    )


def _head() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.h1("Activity", id=HEADING, tab_index=-1),
            rx.cond(
                ActivityState.team_name != "",
                rx.el.p(
                    "What happened in ", ActivityState.team_name, ", newest first. Kept for 1 year."
                ),
                rx.el.p("What happened, newest first. Kept for 1 year."),
            ),
        ),
        rx.cond(
            ActivityState.loaded & ActivityState.in_team & ActivityState.allowed,
            plain_link(
                rx.fragment(icon("download"), "Export CSV"),
                ActivityState.export_url,
                download="",
                class_name="btn outline",
            ),
            rx.fragment(),
        ),
        class_name="head",
    )


def _skeleton() -> rx.Component:
    return rx.fragment(
        loading("activity"),
        bones(
            bone("100%", 32),
            bone("100%", 24),
            *(bone("100%", 44) for _ in range(8)),
        ),
    )
