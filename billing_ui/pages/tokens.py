"""`/settings/tokens`: the team's API tokens, for its owners."""

from typing import Final

import reflex as rx

from billing_ui.components.buttons import button
from billing_ui.components.clock import clock
from billing_ui.components.departure import leave
from billing_ui.components.empty import no_team, not_open
from billing_ui.components.focus_keeper import focus_keeper
from billing_ui.components.frame import settings_page
from billing_ui.components.icons import icon
from billing_ui.components.loaded import loaded
from billing_ui.components.skeleton import bone, bones, loading
from billing_ui.components.token_list import new_token, token_form, token_list
from billing_ui.components.waking import waking
from billing_ui.states.addresses import TOKENS
from billing_ui.states.tokens import HEADING, TokensState

_LABEL: Final = "API tokens"


def tokens() -> rx.Component:
    """Return the page."""
    return settings_page(
        _head(),
        new_token(),
        loaded(
            TokensState,
            rx.cond(
                TokensState.in_team,
                rx.cond(
                    TokensState.allowed,
                    rx.fragment(
                        rx.cond(TokensState.creating, token_form(), rx.fragment()), token_list()
                    ),
                    not_open(
                        "API tokens are not open to you",
                        "Only an owner can make and revoke them.",
                        TokensState.contact,
                        label=_LABEL,
                    ),
                ),
                no_team(
                    "people", "API tokens belong to a team. Ask its owner to add you.", label=_LABEL
                ),
            ),
            skeleton=_skeleton(),
            failure="The tokens could not be loaded.",
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


def _skeleton() -> rx.Component:
    return rx.fragment(
        loading("API tokens"),
        bones(bone("40%", 24), *(bone("100%", 44) for _ in range(4))),
    )
