"""Banners: what happened, then what to do."""

from typing import Any, Literal

import reflex as rx

from billing_ui.components.icons import icon

Tone = Literal["green", "blue", "amber", "red", "gray"]


def banner(
    title: Any,
    *body: Any,
    tone: Tone,
    icon_name: str,
    role: Literal["alert", "status"],
    action: rx.Component | None = None,
    **props: Any,
) -> rx.Component:
    """Return a banner.

    Args:
        title: the sentence that says what happened.
        body: what follows it.
        role: `alert` for failures, which interrupt; `status` for the rest.
        action: the one thing to do about it.
    """
    return rx.el.div(
        icon(icon_name),
        rx.el.div(rx.el.p(rx.el.strong(title)), *body, class_name="body"),
        rx.el.div(action, class_name="btns") if action is not None else rx.fragment(),
        role=role,
        class_name=f"callout tone-{tone}",
        **props,
    )
