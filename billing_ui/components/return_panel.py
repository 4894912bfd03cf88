"""The return from the provider: working, or why it did not work."""

import reflex as rx

from billing_ui.components.buttons import busy_button, button
from billing_ui.components.icons import icon
from billing_ui.states.returning import ReturnState


def return_panel() -> rx.Component:
    """Return the panel in the middle of the page."""
    return rx.el.section(
        rx.cond(ReturnState.failed, _failed(), _working()),
        class_name="card",
        aria_labelledby="return-heading",
    )


def _working() -> rx.Component:
    return rx.fragment(
        rx.el.div(
            rx.el.span(
                rx.el.span(class_name="spin", aria_hidden="true"), class_name="ring tone-gray"
            ),
            rx.el.h1("Updating your billing details…", id="return-heading"),
            class_name="title",
        ),
        rx.el.p(
            rx.cond(
                ReturnState.provider != "",
                f"Asking {ReturnState.provider} for the latest. This takes a few seconds.",
                "Asking for the latest. This takes a few seconds.",
            ),
            role="status",
            class_name="sub",
        ),
        rx.el.div(rx.el.i(), class_name="progress", aria_hidden="true"),
    )


def _failed() -> rx.Component:
    return rx.fragment(
        rx.el.div(
            rx.el.span(icon("offline", 20), class_name="ring tone-amber"),
            rx.el.h1("We couldn't get the latest yet", id="return-heading"),
            class_name="title",
        ),
        rx.el.p(
            rx.cond(ReturnState.provider != "", ReturnState.provider, "The payment provider"),
            " could not tell us what changed."
            " Your changes are safe there and appear here as soon as it does.",
            role="alert",
            class_name="sub",
        ),
        rx.el.div(
            busy_button(
                "Try again", busy=ReturnState.working, look="solid", on_click=ReturnState.fetch
            ),
            button("Continue to billing", on_click=ReturnState.move_on),
            class_name="btns",
        ),
    )
