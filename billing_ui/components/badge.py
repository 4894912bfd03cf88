"""Status badges: the icon carries the colour, the word carries the meaning."""

import reflex as rx

from billing_ui.components.icons import icon, icon_for
from billing_ui.states.badges import BADGE_ICONS, Badge


def status_badge(badge: rx.Var[Badge]) -> rx.Component:
    """Return the badge of a subscription's or an invoice's status."""
    return rx.el.span(
        icon_for(badge.icon, BADGE_ICONS, "ended"),
        badge.word,
        class_name="badge tone-" + badge.tone.to(str),
    )


def note_badge(word: str | rx.Var[str], *, tone: str, icon_name: str) -> rx.Component:
    """Return a slim badge beside other text."""
    return rx.el.span(icon(icon_name), word, class_name=f"badge slim tone-{tone}")
