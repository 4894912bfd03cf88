"""Which part of a list is shown, and turning to the parts before and after it."""

import reflex as rx

from billing_ui.components.buttons import button


def pager(
    name: str,
    shown: rx.Var[str],
    *,
    before: tuple[rx.Var[bool], rx.EventHandler],
    after: tuple[rx.Var[bool], rx.EventHandler],
) -> rx.Component:
    """Return the words and, where there is more than one page, the buttons.

    Args:
        name: what the buttons are called together, for those who do not see the list.
        shown: which part is shown, in words.
        before: whether there is a page before this one, and what turns to it.
        after: the same for the one after.
    """
    return rx.fragment(
        rx.el.span(shown, role="status"),
        rx.cond(
            before[0] | after[0],
            rx.el.nav(
                _turn("Previous", *before),
                _turn("Next", *after),
                class_name="btns",
                aria_label=name,
            ),
            rx.fragment(),
        ),
    )


def _turn(label: str, possible: rx.Var[bool], handler: rx.EventHandler) -> rx.Component:
    # Never natively disabled: on the last page the focus would be lost with the button.
    return button(label, aria_disabled=~possible, on_click=handler)
