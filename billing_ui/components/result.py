"""What came of the last trip to the provider, until it is put away."""

import reflex as rx

from billing_ui.components.banner import banner
from billing_ui.components.buttons import icon_button
from billing_ui.states.billing import BillingState


def visit_result() -> rx.Component:
    """Return the banner, green when something changed."""
    title, sentences = BillingState.result_title, BillingState.result
    body = rx.cond(
        sentences.length() > 1,
        rx.el.ul(rx.foreach(sentences, lambda sentence: rx.el.li(sentence))),
        rx.foreach(sentences, lambda sentence: rx.el.p(sentence)),
    )
    dismiss = icon_button("close", "Dismiss", on_click=BillingState.dismiss_result)
    return rx.cond(
        title != "",
        rx.cond(
            BillingState.result_changed,
            banner(title, body, tone="green", icon_name="active", role="status", action=dismiss),
            banner(title, body, tone="gray", icon_name="check", role="status", action=dismiss),
        ),
        rx.fragment(),
    )
