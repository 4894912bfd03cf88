"""Buttons and links that look like buttons."""

from typing import Any, Literal

import reflex as rx

from billing_ui.components.icons import icon

Look = Literal["solid", "outline", "ghost"]


def page_link(label: Any, to: Any, **props: Any) -> rx.Component:
    """Return a link to another page of this app, which is shown without loading the document anew."""
    return rx.el.a(label, to=to, **props)


def plain_link(label: Any, href: Any, **props: Any) -> rx.Component:
    """Return a link that the browser follows by itself: to another site, a file, or a place on this page.

    `rx.el.a` hands every address to the router, which makes a page of this app out of it.
    """
    return rx.el.A.create(label, href=href, **props)


def button(label: Any, *, look: Look = "outline", **props: Any) -> rx.Component:
    """Return a button; there is one solid button a view."""
    return rx.el.button(label, type="button", class_name=f"btn {look}", **props)


def button_link(label: Any, to: Any, *, look: Look = "outline") -> rx.Component:
    """Return a link to another page that looks like a button."""
    return page_link(label, to, class_name=f"btn {look}")


def busy_button(
    label: Any,
    *,
    busy: rx.Var[bool],
    blocked: rx.Var[bool] | None = None,
    look: Look | rx.Var[str] = "outline",
    leaves: bool = False,
    **props: Any,
) -> rx.Component:
    """Return a button that can show it is working.

    While busy it keeps its label and the focus: native `disabled` would lose it. The handler, not
    the browser, refuses a second press.

    Args:
        busy: whether this very button is working.
        blocked: whether pressing it would do nothing just now; `busy` when not given.
        look: a variable where it changes: of two buttons that take turns, each takes the focus with it.
        leaves: whether it leads to another site, which an arrow shows.
    """
    idle = icon("leave") if leaves else rx.fragment()
    return rx.el.button(
        rx.cond(busy, rx.el.span(class_name="spin", aria_hidden="true"), rx.fragment()),
        label,
        rx.cond(busy, rx.fragment(), idle),
        type="button",
        class_name=f"btn {look}" if isinstance(look, str) else "btn " + look,
        aria_busy=busy,
        aria_disabled=busy if blocked is None else blocked,
        **props,
    )


def icon_button(name: str, label: str, **props: Any) -> rx.Component:
    """Return a button that is only an icon, with its name for those who do not see it."""
    extra = props.pop("class_name", "")
    return rx.el.button(
        icon(name),
        type="button",
        class_name=f"icon-button {extra}".strip(),
        aria_label=label,
        **props,
    )
