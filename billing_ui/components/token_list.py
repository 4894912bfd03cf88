"""API tokens: the form for a new one, the one place where it is shown, and the list."""

import reflex as rx

from billing_ui.components.ask_first import ask_first
from billing_ui.components.banner import banner
from billing_ui.components.buttons import button, icon_button
from billing_ui.components.copy_button import copy_button
from billing_ui.components.empty import empty
from billing_ui.components.icons import icon
from billing_ui.states.tokens import LIST_HEADING, NAME_FIELD, NEW_TOKEN, TokensState
from billing_ui.states.tokens_view import LIFETIMES, SCOPES, TokenLine


def new_token() -> rx.Component:
    """Return the banner with a token that was just made.

    It is always on the page, for the field in it is where the token is sent to.
    """
    return banner(
        rx.fragment("Token “", TokensState.made, "” created."),
        rx.el.p("Copy it now. It is not shown again."),
        rx.el.div(
            rx.el.input(
                id=NEW_TOKEN,
                default_value="",
                read_only=True,
                auto_complete="off",
                spell_check=False,
                aria_label="New API token",
                class_name="input mono",
            ),
            copy_button(NEW_TOKEN),
            class_name="secret",
        ),
        tone="green",
        icon_name="active",
        role="status",
        action=icon_button("close", "Dismiss", on_click=TokensState.done),
        hidden=TokensState.made == "",
    )


def token_form() -> rx.Component:
    """Return the form for a new token."""
    return rx.el.section(
        rx.el.header(rx.el.h2("New token", id="new-token-heading")),
        rx.el.form(
            rx.cond(
                TokensState.problem != "",
                banner(TokensState.problem, tone="red", icon_name="warning", role="alert"),
                rx.fragment(),
            ),
            rx.el.div(
                rx.el.label("Name", html_for=NAME_FIELD),
                rx.el.input(
                    id=NAME_FIELD,
                    name="name",
                    required=True,
                    max_length=100,
                    auto_complete="off",
                    placeholder="Where you use it, such as Product backend",
                    class_name="input",
                ),
                class_name="field",
            ),
            rx.el.fieldset(
                rx.el.legend("Scopes", class_name="field-label"),
                *(_scope(scope.value, meaning) for scope, meaning in SCOPES.items()),
                class_name="field checks",
            ),
            rx.el.div(
                rx.el.label("Expires", html_for="token-lifetime"),
                rx.el.div(
                    rx.el.select(
                        *(rx.el.option(words, value=days) for days, words in LIFETIMES.items()),
                        id="token-lifetime",
                        name="lifetime",
                        default_value="90",
                        class_name="input",
                    ),
                    icon("open"),
                    class_name="chosen",
                ),
                class_name="field lifetime",
            ),
            rx.el.div(
                rx.el.button("Create token", type="submit", class_name="btn solid"),
                button("Cancel", look="ghost", on_click=TokensState.give_up),
                class_name="btns",
            ),
            on_submit=TokensState.create,
            class_name="form",
        ),
        class_name="card",
        aria_labelledby="new-token-heading",
    )


def token_list() -> rx.Component:
    """Return the region "Active tokens"."""
    return rx.el.section(
        rx.el.header(
            rx.el.h2("Active tokens", id=LIST_HEADING, tab_index=-1),
            rx.el.span(
                TokensState.count,
                rx.el.span(" ", TokensState.count_word, class_name="sr"),
                class_name="muted",
            ),
        ),
        rx.el.p(
            rx.cond(
                TokensState.revoked != "",
                rx.fragment("Token “", TokensState.revoked, "” was revoked."),
                rx.fragment(),
            ),
            role="status",
            class_name="sr",
        ),
        rx.cond(TokensState.lines.length() > 0, _table(), _nothing()),
        class_name="card flush",
        aria_labelledby=LIST_HEADING,
    )


def _scope(value: str, meaning: str) -> rx.Component:
    return rx.el.label(
        rx.el.input(type="checkbox", name=value, default_checked=value == "portal"),
        rx.el.span(value, class_name="badge slim text tone-gray"),
        " ",
        rx.el.span(meaning),
    )


def _table() -> rx.Component:
    heading = rx.el.th
    return rx.el.div(
        rx.el.table(
            rx.el.caption("Active tokens, newest first", class_name="sr"),
            rx.el.thead(
                rx.el.tr(
                    *(
                        heading(name, scope="col")
                        for name in ("Name", "Token", "Scopes", "Last used", "Expires")
                    ),
                    heading(rx.el.span("Action", class_name="sr"), scope="col"),
                )
            ),
            rx.el.tbody(rx.foreach(TokensState.lines, _row)),
            class_name="table tokens",
        ),
        class_name="scroll",
        role="group",
        tab_index=0,
        aria_label="Active tokens, newest first",
    )


def _row(line: rx.Var[TokenLine]) -> rx.Component:
    return rx.el.tr(
        rx.el.th(line.name, scope="row", class_name="medium"),
        rx.el.td(line.hint, class_name="mono muted"),
        rx.el.td(
            rx.el.span(
                rx.foreach(
                    line.scopes,
                    lambda scope: rx.el.span(scope, class_name="badge slim text tone-gray"),
                ),
                class_name="scopes",
            )
        ),
        rx.el.td(line.used, title=line.used_title, class_name="muted"),
        rx.el.td(line.expires, title=line.expires_title, class_name="muted"),
        rx.el.td(
            ask_first(
                button("Revoke", look="ghost", aria_label="Revoke " + line.name),
                title="Revoke “" + line.name + "”?",
                words="Whatever uses this token is refused at once. This cannot be undone.",
                label="Revoke token",
                on_confirm=TokensState.revoke(line.key),
            ),
            class_name="num",
        ),
        key=line.key,
    )


def _nothing() -> rx.Component:
    return rx.el.div(
        empty(
            "key",
            "No tokens yet",
            rx.el.p("With one, your own servers open the portal or ask what the team has."),
            level=3,
        ),
        class_name="nothing",
    )
