"""The frame around every page: skip link, sandbox strip, top bar with the account menu, settings navigation."""

from typing import Any

import reflex as rx
from reflex.vars.function import FunctionStringVar

from billing_ui.components.buttons import icon_button, page_link, plain_link
from billing_ui.components.icons import icon
from billing_ui.components.native_form import posts_to
from billing_ui.components.site import app_name, logo, sandbox_strip
from billing_ui.states.addresses import (
    ACCOUNT,
    ACTIVITY,
    BILLING,
    HOME,
    PRICING,
    SIGN_IN,
    TEAM,
    TOKENS,
)
from billing_ui.states.viewer import TeamOption, ViewerState

_SIGN_OUT_FORM = "sign-out"


def page(*content: Any, here: str) -> rx.Component:
    """Return a whole page with the top bar.

    Args:
        content: what stands below the bar, with the `main` element in it.
        here: the page's address, marked in the navigation.
    """
    return rx.fragment(
        plain_link("Skip to content", href="#main", class_name="skip"),
        sandbox_strip(),
        _top_bar(here),
        rx.el.noscript(
            rx.el.p(
                "This page needs JavaScript. Turn it on, then load the page again.",
                class_name="wrap",
            )
        ),
        *content,
    )


def bare_page(*content: Any) -> rx.Component:
    """Return a whole page without the top bar, its content in the middle."""
    return rx.fragment(
        sandbox_strip(), rx.el.main(*content, id="main", tab_index=-1, class_name="middle")
    )


def settings_page(*content: Any, here: str) -> rx.Component:
    """Return a page of the settings, with their navigation beside it."""
    return page(
        rx.el.div(
            _settings_navigation(here),
            rx.el.main(*content, id="main", tab_index=-1, class_name="stack"),
            class_name="wrap shell",
        ),
        here=here,
    )


def _settings_navigation(here: str) -> rx.Component:
    def entry(to: str, label: str, mark: str) -> rx.Component:
        return rx.el.li(page_link(rx.fragment(icon(mark), label), to, **_current(to, here)))

    return rx.el.nav(
        rx.el.ul(
            rx.cond(ViewerState.came_from != "", _way_back(), rx.fragment()),
            entry(BILLING, "Billing", "invoice"),
            entry(TEAM, "Team", "people"),
            rx.cond(
                ViewerState.manages_tokens,
                entry(TOKENS, "API tokens", "key"),
                rx.fragment(),
            ),
            rx.cond(
                ViewerState.sees_activity,
                entry(ACTIVITY, "Activity", "activity"),
                rx.fragment(),
            ),
        ),
        class_name="side",
        aria_label="Settings",
    )


def _way_back() -> rx.Component:
    """Return the way back to the product that let somebody in."""
    return rx.el.li(
        plain_link(rx.fragment(icon("leave"), f"Back to {app_name()}"), href=ViewerState.came_from)
    )


def _top_bar(here: str) -> rx.Component:
    return rx.el.header(
        rx.el.div(
            page_link(
                rx.fragment(logo(), rx.el.span(app_name())),
                HOME,
                class_name="brand",
                aria_label=f"{app_name()}, home",
            ),
            rx.cond(ViewerState.team_name != "", _team(), rx.fragment()),
            rx.el.span(class_name="grow"),
            page_link("Plans", PRICING, class_name="toplink", **_current(PRICING, here)),
            _theme_button(),
            rx.cond(
                ViewerState.signed_in,
                _account_menu(),
                rx.cond(
                    ViewerState.known,
                    page_link("Sign in", SIGN_IN, class_name="toplink"),
                    # As wide as either, so that the bar stays as it is.
                    rx.el.span(class_name="whoever", aria_hidden="true"),
                ),
            ),
            class_name="wrap",
        ),
        class_name="top",
    )


def _team() -> rx.Component:
    return rx.fragment(
        rx.el.span("/", class_name="slash", aria_hidden="true"),
        rx.cond(
            ViewerState.teams.length() > 1,
            _team_switcher(),
            rx.el.span(*_team_name(), class_name="team"),
        ),
    )


def _team_name() -> tuple[rx.Component, rx.Component]:
    return (
        rx.el.span(ViewerState.team_initials, class_name="avatar", aria_hidden="true"),
        rx.el.span(rx.el.span("Team: ", class_name="sr"), ViewerState.team_name),
    )


def _team_switcher() -> rx.Component:
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.el.button(*_team_name(), icon("choose"), type="button", class_name="team switcher")
        ),
        rx.dropdown_menu.content(
            rx.foreach(ViewerState.teams, _team_option), align="start", variant="soft"
        ),
        modal=False,
    )


def _team_option(team: rx.Var[TeamOption]) -> rx.Component:
    return rx.dropdown_menu.item(
        rx.cond(team.here, icon("check"), rx.el.span(class_name="no-icon", aria_hidden="true")),
        rx.el.span(team.name, class_name="team-option"),
        rx.cond(team.here, rx.el.span("(shown now)", class_name="sr"), rx.fragment()),
        on_select=ViewerState.switch_team(team.id),
    )


def _theme_button() -> rx.Component:
    return icon_button(
        "theme", "Switch theme", on_click=rx.toggle_color_mode, class_name="hide-small"
    )


def _account_menu() -> rx.Component:
    # The menu takes its items out of the page while it closes, so the form stands beside it.
    submit = FunctionStringVar.create(
        f"(() => document.getElementById('{_SIGN_OUT_FORM}').requestSubmit())"
    )
    return rx.fragment(
        rx.dropdown_menu.root(
            rx.dropdown_menu.trigger(
                rx.el.button(
                    rx.el.span("Account: ", ViewerState.email, class_name="sr"),
                    rx.el.span(ViewerState.initial, class_name="avatar round", aria_hidden="true"),
                    icon("open"),
                    type="button",
                    class_name="account",
                )
            ),
            rx.dropdown_menu.content(
                rx.el.div(ViewerState.email, class_name="menu-head"),
                rx.dropdown_menu.item("Your account", on_select=rx.redirect(ACCOUNT)),
                rx.dropdown_menu.item("Switch theme", on_select=rx.toggle_color_mode),
                rx.dropdown_menu.item("Sign out", on_select=submit),
                align="end",
                variant="soft",
            ),
            # A modal menu takes the scrollbar away, and with it the page jumps sideways.
            modal=False,
        ),
        posts_to("/auth/sign-out", id=_SIGN_OUT_FORM, hidden=True),
    )


def _current(to: str, here: str) -> dict[str, str]:
    return {"aria_current": "page"} if to == here else {}
