"""What stands where something else would be: nothing yet, nothing for you, or a link of no use."""

from typing import Any, Literal

import reflex as rx

from billing_ui.components.buttons import plain_link
from billing_ui.components.icons import icon


def empty(
    icon_name: str, title: Any, *words: rx.Component, level: Literal[1, 2, 3] = 2, **props: Any
) -> rx.Component:
    """Return an icon, a sentence and what follows it.

    Args:
        icon_name: one of the icons.
        title: the sentence that says what is the matter.
        words: what there is to know or to do about it.
        level: which heading the sentence is.
    """
    heading = {1: rx.el.h1, 2: rx.el.h2, 3: rx.el.h3}[level]
    return rx.el.div(
        rx.el.span(icon(icon_name, 20), class_name="ring"),
        heading(title),
        *words,
        class_name="empty",
        **props,
    )


def empty_card(icon_name: str, title: Any, *words: rx.Component, label: str) -> rx.Component:
    """Return the same as a card of a page; `label` is its name for those who do not see it."""
    return rx.el.section(empty(icon_name, title, *words), class_name="card", aria_label=label)


def no_team(icon_name: str, words: str, *, label: str = "No team") -> rx.Component:
    """Return what a page of a team says to somebody who is in none."""
    return empty_card(icon_name, "You are not in a team yet", rx.el.p(words), label=label)


def not_open(title: str, who: str, contact: rx.Var[str], *, label: str) -> rx.Component:
    """Return what a page says to somebody whose role does not see it.

    Args:
        title: the sentence that says what is not open to them.
        who: the sentence that says to whom it is.
        contact: the address of somebody who can help, or "".
    """
    ask = rx.fragment(" Ask ", plain_link(contact, href=f"mailto:{contact}"), ".")
    return empty_card(
        "lock",
        title,
        rx.el.p(who, rx.cond(contact != "", ask, rx.fragment())),
        label=label,
    )
