"""Asking before something that cannot be undone, in words that name it."""

from typing import Any

import reflex as rx

from billing_ui.components.buttons import button


def ask_first(
    trigger: rx.Component, *, title: Any, words: Any, label: str, on_confirm: Any
) -> rx.Component:
    """Return `trigger` with an alert dialog before what it does.

    Args:
        trigger: the button.
        title: the question, which names whom or what it is about.
        words: what follows from a yes.
        label: what stands on the button that does it.
        on_confirm: what it does.
    """
    return rx.alert_dialog.root(
        rx.alert_dialog.trigger(trigger),
        rx.alert_dialog.content(
            rx.alert_dialog.title(title, class_name="asked"),
            rx.alert_dialog.description(words),
            rx.el.div(
                rx.alert_dialog.cancel(button("Cancel")),
                rx.alert_dialog.action(
                    rx.el.button(
                        label, type="button", on_click=on_confirm, class_name="btn outline danger"
                    )
                ),
                class_name="btns answers",
            ),
            max_width="440px",
        ),
    )
