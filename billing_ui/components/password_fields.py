"""Fields of forms that the browser posts itself: a new password, and what belongs to it."""

from typing import Any

import reflex as rx

from billing_ui.accounts.passwords import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from billing_ui.components.icons import icon
from billing_ui.states.password_words import FormFailure

_ALERT = "form-failed"


def failure_alert(failure: rx.Var[FormFailure]) -> rx.Component:
    """Return what is said when the form was not accepted."""
    return rx.cond(
        failure.words != "",
        rx.el.div(
            icon("warning"),
            rx.el.p(failure.words, class_name="body"),
            role="alert",
            id=_ALERT,
            class_name="callout tone-red",
        ),
        rx.fragment(),
    )


def field(
    label: str, name: str, *, failure: rx.Var[FormFailure] | None = None, **props: Any
) -> rx.Component:
    """Return a labelled field; `name` is its id too, and `failure` may be about it."""
    if failure is not None:
        wrong = failure.field == name
        props |= {"aria_invalid": wrong, "aria_describedby": rx.cond(wrong, _ALERT, "")}
    return rx.el.div(
        rx.el.label(label, html_for=name),
        rx.el.input(id=name, name=name, class_name="input", **props),
        class_name="field",
    )


def new_password(label: str, failure: rx.Var[FormFailure]) -> rx.Component:
    """Return the field for a new password, with what makes a good one."""
    hint = "password-hint"
    wrong = failure.field == "password"
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
            aria_invalid=wrong,
            aria_describedby=rx.cond(wrong, f"{hint} {_ALERT}", hint),
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
