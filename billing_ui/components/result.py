"""What changed: on the last trip to the provider, and while the page was open; until it is put away."""

import reflex as rx

from billing_ui.components.banner import banner
from billing_ui.components.buttons import busy_button, icon_button
from billing_ui.components.icons import icon_for
from billing_ui.states.billing import BillingState
from billing_ui.states.result_view import RESULT_ICONS, ResultLine


def visit_result() -> rx.Component:
    """Return the banner, green when something changed."""
    title = BillingState.result.title
    body = rx.cond(
        BillingState.result.lines.length() > 0,
        rx.el.ul(rx.foreach(BillingState.result.lines, _line), class_name="told"),
        _then(BillingState.result.detail),
    )
    dismiss = icon_button("close", "Dismiss", on_click=BillingState.dismiss_result)
    return rx.cond(
        title != "",
        rx.cond(
            BillingState.result.changed,
            banner(title, body, tone="green", icon_name="active", role="status", action=dismiss),
            banner(title, body, tone="gray", icon_name="check", role="status", action=dismiss),
        ),
        rx.fragment(),
    )


def back_again() -> rx.Component:
    """Return the banner for somebody whom no link at the provider leads back here."""
    return rx.cond(
        BillingState.away != "",
        banner(
            f"You opened {BillingState.provider}'s {BillingState.away}.",
            rx.el.p(
                rx.cond(
                    BillingState.away == "checkout",
                    "What you buy there appears here by itself.",
                    "What you change there appears here by itself.",
                )
            ),
            tone="gray",
            icon_name="clock",
            role="status",
            action=busy_button(
                "I'm back, refresh",
                busy=BillingState.coming_back,
                on_click=BillingState.back_again,
            ),
        ),
        rx.fragment(),
    )


def arrivals() -> rx.Component:
    """Return the banner of what changed while the page was open."""
    return rx.cond(
        BillingState.arrived.title != "",
        banner(
            BillingState.arrived.title,
            rx.cond(
                BillingState.arrived.lines.length() > 0,
                rx.el.ul(rx.foreach(BillingState.arrived.lines, _line), class_name="told"),
                _then(BillingState.arrived.detail),
            ),
            tone="green",
            icon_name="active",
            role="status",
            action=icon_button("close", "Dismiss", on_click=BillingState.dismiss_arrivals),
        ),
        rx.fragment(),
    )


def _line(line: rx.Var[ResultLine]) -> rx.Component:
    return rx.el.li(
        icon_for(line.icon, RESULT_ICONS, "plan"),
        rx.el.p(rx.el.span(line.sentence, class_name="medium"), _then(line.upcoming)),
    )


def _then(sentence: rx.Var[str]) -> rx.Component:
    # The space parts the two where there are no lines, as in what a screen reader hears.
    return rx.cond(
        sentence != "",
        rx.fragment(" ", rx.el.span(sentence, class_name="then")),
        rx.fragment(),
    )
