"""What stands in for a page until its data is there, in the same places and sizes."""

import reflex as rx


def bone(width: str, height: int, *, class_name: str = "") -> rx.Component:
    """Return one gray bar; `width` is a CSS length, `height` in pixels."""
    return rx.el.span(
        class_name=f"bone {class_name}".strip(), style={"width": width, "height": f"{height}px"}
    )


def bones(*children: rx.Component, card: bool = True) -> rx.Component:
    """Return bars below each other, in a card or bare."""
    return rx.el.div(*children, class_name="card bones" if card else "bones", aria_hidden="true")


def loading(what: str) -> rx.Component:
    """Return the words for those who do not see the bars."""
    return rx.el.span(f"Loading {what}…", role="status", class_name="sr")
