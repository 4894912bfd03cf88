"""What belongs to every page: a note while it has no connection, and what becomes of it when it is left."""

import reflex as rx

from billing_ui.components.kept_page import kept_page


@rx.memo
def _connection_lost() -> rx.Component:
    return rx.connection_banner(
        rx.el.div(
            rx.el.span(class_name="spin", aria_hidden="true"),
            "Connection lost. Trying again…",
            role="status",
            class_name="lost",
        )
    )


def connection_overlay(stateful: bool) -> rx.Component | None:
    """Return what stands over every page, in place of Reflex's own note, which is for developers."""
    return rx.fragment(_connection_lost(), kept_page()) if stateful else None
