"""How old the data is, and the button that fetches it anew."""

import reflex as rx

from billing_ui.components.badge import note_badge
from billing_ui.components.banner import banner
from billing_ui.components.buttons import busy_button
from billing_ui.components.icons import icon
from billing_ui.states.billing import BillingState


def freshness() -> rx.Component:
    """Return "Data as of …", amber with its age when the provider could not be reached, and Refresh."""
    data = BillingState.freshness
    return rx.el.div(
        rx.cond(
            data.age != "",
            note_badge(f"{data.age} old", tone="amber", icon_name="clock"),
            rx.fragment(),
        ),
        rx.cond(
            data.as_of != "",
            rx.el.span(
                "Data as of ", rx.el.time(data.as_of, date_time=data.moment, title=data.title)
            ),
            rx.fragment(),
        ),
        rx.cond(
            BillingState.offers.refresh,
            rx.fragment(
                rx.el.button(
                    rx.cond(
                        BillingState.refreshing,
                        rx.el.span(class_name="spin", aria_hidden="true"),
                        icon("refresh"),
                    ),
                    "Refresh",
                    type="button",
                    class_name="btn ghost",
                    aria_busy=BillingState.refreshing,
                    aria_disabled=BillingState.refreshing,
                    on_click=BillingState.refresh,
                ),
                rx.el.span(
                    rx.cond(BillingState.refreshing, "Refreshing…", ""),
                    role="status",
                    class_name="sr",
                ),
            ),
            rx.fragment(),
        ),
        class_name=rx.cond(BillingState.offers.refresh, "fresh", "fresh still"),
    )


def refresh_failed() -> rx.Component:
    """Return what went wrong with the last fetch, and how old what the page shows is."""
    data = BillingState.freshness
    problem = BillingState.refresh_problem
    return rx.cond(
        problem.title != "",
        banner(
            problem.title,
            rx.el.p(
                rx.cond(
                    data.ago != "",
                    f"You see the data from {data.as_of}, {data.ago}. ",
                    "",
                ),
                rx.cond(
                    BillingState.gave_up, "Nothing is lost. ", "We keep trying; nothing is lost. "
                ),
                problem.detail,
            ),
            tone="gray",
            icon_name="offline",
            role="status",
            action=rx.cond(
                BillingState.offers.refresh,
                busy_button(
                    "Try again", busy=BillingState.refreshing, on_click=BillingState.refresh_again
                ),
                rx.fragment(),
            ),
        ),
        rx.fragment(),
    )
