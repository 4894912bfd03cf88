"""Banners: what happened, then what to do."""

from typing import Any, Literal

import reflex as rx

from billing_ui.components.icons import icon

Tone = Literal["green", "blue", "amber", "red", "gray"]


def banner(
    title: Any,
    *body: Any,
    tone: Tone | rx.Var[str],
    icon_name: str | rx.Component,
    role: Literal["alert", "status"] | rx.Var[str],
    action: rx.Component | None = None,
    **props: Any,
) -> rx.Component:
    """Return a banner.

    Args:
        title: the sentence that says what happened.
        body: what follows it.
        icon_name: one of the icons, or the icon itself where only the page knows which.
        role: `alert` for failures, which interrupt; `status` for the rest.
        action: the one thing to do about it.
    """
    return rx.el.div(
        icon(icon_name) if isinstance(icon_name, str) else icon_name,
        rx.el.div(rx.el.p(rx.el.strong(title)), *body, class_name="body"),
        rx.el.div(action, class_name="btns") if action is not None else rx.fragment(),
        role=role,
        class_name=f"callout tone-{tone}" if isinstance(tone, str) else "callout tone-" + tone,
        **props,
    )
