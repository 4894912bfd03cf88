"""Fields of forms that the browser posts itself: a new password, and what belongs to it."""

from typing import Any

import reflex as rx

from billing_ui.accounts.passwords import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from billing_ui.components.icons import icon

_ALERT = "form-failed"


def failure_alert(failure: rx.Var[str]) -> rx.Component:
    """Return what is said when the form was not accepted."""
    return rx.cond(
        failure != "",
        rx.el.div(
            icon("warning"),
            rx.el.p(failure, class_name="body"),
            role="alert",
            id=_ALERT,
            class_name="callout tone-red",
        ),
        rx.fragment(),
    )


def field(label: str, name: str, **props: Any) -> rx.Component:
    """Return a labelled field; `name` is its id too."""
    return rx.el.div(
        rx.el.label(label, html_for=name),
        rx.el.input(id=name, name=name, class_name="input", **props),
        class_name="field",
    )


def new_password(label: str, failure: rx.Var[str]) -> rx.Component:
    """Return the field for a new password, with what makes a good one."""
    hint = "password-hint"
    return rx.el.div(
        rx.el.label(label, html_for="password"),
        rx.el.input(
            id="password",
            name="password",
            type="password",
            auto_complete="new-password",
            required=True,
            min_length=MIN_PASSWORD_LENGTH,
            max_length=MAX_PASSWORD_LENGTH,
            aria_invalid=failure != "",
            aria_describedby=rx.cond(failure != "", f"{hint} {_ALERT}", hint),
            class_name="input",
        ),
        rx.el.p(
            f"{MIN_PASSWORD_LENGTH} characters or more. A few words that have nothing to do with"
            " each other are easy to keep and hard to guess.",
            id=hint,
            class_name="small muted",
        ),
        class_name="field",
    )
