"""A page's body through its life: a skeleton, then its content, or what to do when there is none."""

from typing import Any

import reflex as rx

from billing_ui.components.banner import banner
from billing_ui.components.buttons import button


def loaded(
    state: type[Any],
    content: rx.Component,
    *,
    skeleton: rx.Component,
    failure: str,
    comfort: str = "Nothing was changed.",
) -> rx.Component:
    """Return `content` once `state` is loaded.

    Args:
        state: the page's state, with `loaded`, `broken` and `load`.
        skeleton: what stands there until then.
        failure: the sentence for when it could not be loaded.
        comfort: the one after it.
    """
    return rx.cond(
        state.broken,
        banner(
            failure,
            rx.el.p(comfort),
            tone="red",
            icon_name="warning",
            role="alert",
            action=button("Try again", on_click=state.load),
        ),
        rx.cond(state.loaded, content, skeleton),
    )
