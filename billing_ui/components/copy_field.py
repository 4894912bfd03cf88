"""A secret that is shown once: in a field that cannot be changed, with a button that copies it."""

import reflex as rx

from billing_ui.components.copy_button import copy_button


def copy_field(name: str, *, label: str) -> rx.Component:
    """Return the field and its button; what it shows is written into it by an event, and in no state.

    Args:
        name: the field's id.
        label: what it is called.
    """
    return rx.el.div(
        rx.el.input(
            id=name,
            default_value="",
            read_only=True,
            aria_label=label,
            spell_check=False,
            auto_complete="off",
            class_name="input mono",
        ),
        copy_button(name),
        class_name="secret",
    )
