"""`/settings/tokens`: the team's API tokens, for its owners."""

import reflex as rx

from billing_ui.components.banner import banner
from billing_ui.components.buttons import button, plain_link
from billing_ui.components.clock import clock
from billing_ui.components.departure import leave
from billing_ui.components.focus_keeper import focus_keeper
from billing_ui.components.frame import settings_page
from billing_ui.components.icons import icon
from billing_ui.components.skeleton import bone, bones, loading
from billing_ui.components.token_list import new_token, token_form, token_list
from billing_ui.components.waking import waking
from billing_ui.states.addresses import TOKENS
from billing_ui.states.tokens import HEADING, TokensState


def tokens() -> rx.Component:
    """Return the page."""
    return settings_page(
        _head(),
        new_token(),
        rx.cond(
            TokensState.broken,
            _broken(),
            rx.cond(
                TokensState.loaded,
                rx.cond(
                    TokensState.in_team,
                    rx.cond(
                        TokensState.allowed,
                        rx.fragment(
                            rx.cond(TokensState.creating, token_form(), rx.fragment()),
                            token_list(),
                        ),
                        _not_allowed(),
                    ),
                    _no_team(),
                ),
                _skeleton(),
            ),
        ),
        leave(TokensState.departure),
        clock(runs=TokensState.loaded, on_minute=TokensState.look_again),
        waking(TokensState.look_again),
        focus_keeper(within="main", refuge=HEADING),
        here=TOKENS,
    )


def _head() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.h1("API tokens", id=HEADING, tab_index=-1),
            rx.cond(
                TokensState.team_name != "",
                rx.el.p("For your own servers. A token acts for ", TokensState.team_name, "."),
                rx.el.p("For your own servers. A token acts for its team."),
            ),
        ),
        rx.cond(
            TokensState.loaded & TokensState.allowed & TokensState.in_team & ~TokensState.creating,
            button(
                rx.fragment(icon("more"), "Create token"),
                look="solid",
                on_click=TokensState.begin,
            ),
            rx.fragment(),
        ),
        class_name="head",
    )


def _not_allowed() -> rx.Component:
    return _instead(
        "lock",
        "API tokens are not open to you",
        rx.el.p(
            "Only an owner can make and revoke them.",
            rx.cond(
                TokensState.contact != "",
                rx.fragment(
                    " Ask ",
                    plain_link(TokensState.contact, href=f"mailto:{TokensState.contact}"),
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
        rx.el.p("API tokens belong to a team. Ask its owner to add you."),
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
        aria_label="API tokens",
    )


def _broken() -> rx.Component:
    return banner(
        "The tokens could not be loaded.",
        rx.el.p("Nothing was changed."),
        tone="red",
        icon_name="warning",
        role="alert",
        action=button("Try again", on_click=TokensState.load),
    )


def _skeleton() -> rx.Component:
    return rx.fragment(
        loading("API tokens"),
        bones(bone("40%", 24), *(bone("100%", 44) for _ in range(4))),
    )
