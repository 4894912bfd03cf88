"""A secret that is shown once: in a field that cannot be changed, with a button that copies it."""

from typing import Any

import reflex as rx

from billing_ui.components.copy_button import copy_button


def copy_field(value: Any, *, label: str, name: str) -> rx.Component:
    """Return the field and its button.

    Args:
        value: what is shown and copied.
        label: what the field is called.
        name: an id for it.
    """
    return rx.el.div(
        rx.el.input(
            id=name,
            value=value,
            read_only=True,
            aria_label=label,
            spell_check=False,
            auto_complete="off",
            class_name="input mono",
        ),
        copy_button(name),
        class_name="shown-once",
    )
