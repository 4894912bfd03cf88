"""What is said while the page has lost its connection to the server."""

import reflex as rx


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
    """Return the note that stands over every page, in place of Reflex's own, which is for developers."""
    return rx.fragment(_connection_lost()) if stateful else None
