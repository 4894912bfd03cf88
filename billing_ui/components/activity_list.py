"""The activity log: what to ask it for, its table, and the buttons that turn its pages."""

from collections.abc import Mapping

import reflex as rx

from billing_ui.components.buttons import button
from billing_ui.components.empty import empty
from billing_ui.components.icons import icon, icon_for
from billing_ui.components.pager import pager
from billing_ui.states.activity import ActivityState
from billing_ui.states.activity_view import ACTIVITY_ICONS, KINDS, PERIODS, ActivityLine


def activity_list() -> rx.Component:
    """Return the region "Activity log"."""
    return rx.el.section(
        _tools(),
        rx.cond(
            ActivityState.lines.length() > 0,
            rx.fragment(_table(), _pager()),
            rx.cond(ActivityState.narrowed, _nothing_found(), _nothing()),
        ),
        class_name="card flush",
        aria_label="Activity log",
    )


def _tools() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            icon("search"),
            rx.el.input(
                type="search",
                default_value=ActivityState.person,
                # Made anew when what stands in it is taken back.
                key=ActivityState.searches.to_string(),
                on_change=ActivityState.search.debounce(300),
                aria_label="Search by person",
                placeholder="Person",
                max_length=100,
                auto_complete="off",
                spell_check=False,
                class_name="input",
            ),
            class_name="searched",
        ),
        _choice("Type", KINDS, ActivityState.kind, ActivityState.choose_kind),
        _choice("Period", PERIODS, ActivityState.period, ActivityState.choose_period),
        class_name="tools",
        role="search",
        aria_label="Activity",
    )


def _choice(
    name: str, options: Mapping[str, str], chosen: rx.Var[str], on_change: rx.EventHandler
) -> rx.Component:
    return rx.el.div(
        rx.el.select(
            *(rx.el.option(label, value=value) for value, label in options.items()),
            value=chosen,
            on_change=on_change,
            aria_label=name,
            class_name="input",
        ),
        icon("open"),
        class_name="chosen",
    )


def _table() -> rx.Component:
    heading = rx.el.th
    return rx.el.div(
        rx.el.table(
            rx.el.caption("Activity, newest first", class_name="sr"),
            rx.el.thead(
                rx.el.tr(
                    heading("What", scope="col"),
                    heading("Who", scope="col", class_name="hide-small"),
                    heading("When", scope="col", class_name="num hide-small"),
                )
            ),
            rx.el.tbody(rx.foreach(ActivityState.lines, _row)),
            class_name="table activity",
        ),
        class_name="scroll",
        role="group",
        tab_index=0,
        aria_label="Activity, newest first",
    )


def _row(line: rx.Var[ActivityLine]) -> rx.Component:
    return rx.el.tr(
        rx.el.th(
            rx.el.div(
                rx.el.span(icon_for(line.icon, ACTIVITY_ICONS, "plan"), class_name="sign"),
                rx.el.div(
                    rx.el.p(line.sentence, class_name="medium"),
                    rx.foreach(line.more, lambda more: rx.el.p(more, class_name="medium")),
                    rx.cond(
                        line.detail != "",
                        rx.el.p(line.detail, class_name="small muted"),
                        rx.fragment(),
                    ),
                    # On a phone the other two columns stand here.
                    rx.el.p(
                        rx.el.time(line.when, date_time=line.moment, title=line.title),
                        rx.cond(line.who != "", " · " + line.who, ""),
                        class_name="small muted only-small",
                    ),
                ),
                class_name="done",
            ),
            scope="row",
        ),
        rx.el.td(line.who, class_name="muted hide-small"),
        rx.el.td(
            rx.el.time(line.when, date_time=line.moment, title=line.title),
            class_name="num muted hide-small",
        ),
        key=line.key,
    )


def _nothing_found() -> rx.Component:
    return rx.el.div(
        empty(
            "search",
            "Nothing found",
            rx.el.p("No entry fits what you asked for.", role="status"),
            rx.el.div(
                button("Show everything", on_click=ActivityState.show_everything),
                class_name="btns",
            ),
        ),
        class_name="nothing",
    )


def _nothing() -> rx.Component:
    return rx.el.div(
        empty(
            "activity",
            "No activity yet",
            rx.el.p("Sign-ins, portal visits and changes to the team appear here."),
        ),
        class_name="nothing",
    )


def _pager() -> rx.Component:
    return rx.el.div(
        pager(
            "Activity pages",
            ActivityState.range,
            before=(ActivityState.has_newer, ActivityState.show_newer),
            after=(ActivityState.has_older, ActivityState.show_older),
        ),
        class_name="foot",
    )
