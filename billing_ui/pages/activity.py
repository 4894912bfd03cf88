"""`/settings/activity`: what was done in the team, by whom and when."""

import reflex as rx

from billing_ui.components.activity_list import activity_list
from billing_ui.components.banner import banner
from billing_ui.components.buttons import button, plain_link
from billing_ui.components.clock import clock
from billing_ui.components.departure import leave
from billing_ui.components.focus_keeper import focus_keeper
from billing_ui.components.frame import settings_page
from billing_ui.components.icons import icon
from billing_ui.components.skeleton import bone, bones, loading
from billing_ui.components.waking import waking
from billing_ui.states.activity import HEADING, ActivityState
from billing_ui.states.addresses import ACTIVITY


def activity() -> rx.Component:
    """Return the page."""
    return settings_page(
        _head(),
        rx.cond(
            ActivityState.broken,
            _broken(),
            rx.cond(
                ActivityState.loaded,
                rx.cond(
                    ActivityState.in_team,
                    rx.cond(ActivityState.allowed, activity_list(), _not_allowed()),
                    _no_team(),
                ),
                _skeleton(),
            ),
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


def _not_allowed() -> rx.Component:
    return _instead(
        "lock",
        "Activity is not open to you",
        rx.el.p(
            "Only an owner or billing manager can see it.",
            rx.cond(
                ActivityState.contact != "",
                rx.fragment(
                    " Ask ",
                    plain_link(ActivityState.contact, href=f"mailto:{ActivityState.contact}"),
                    ".",
                ),
                rx.fragment(),
            ),
        ),
    )


def _no_team() -> rx.Component:
    return _instead(
        "people",
        "You are not in a team yet",
        rx.el.p("Activity belongs to a team. Ask its owner to add you."),
    )


def _instead(icon_name: str, title: str, words: rx.Component) -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.span(icon(icon_name, 20), class_name="ring"),
            rx.el.h2(title),
            words,
            class_name="empty",
        ),
        class_name="card",
        aria_label="Activity log",
    )


def _broken() -> rx.Component:
    return banner(
        "The activity could not be loaded.",
        rx.el.p("Nothing was changed."),
        tone="red",
        icon_name="warning",
        role="alert",
        action=button("Try again", on_click=ActivityState.load),
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
