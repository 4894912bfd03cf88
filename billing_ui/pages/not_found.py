"""What stands at every address that is no page: where the person is, and the way on."""

import reflex as rx

from billing_ui.components.buttons import button_link
from billing_ui.components.empty import empty
from billing_ui.components.frame import bare_page
from billing_ui.states.addresses import HOME


def not_found() -> rx.Component:
    """Return the page."""
    return bare_page(
        empty(
            "details",
            "Page not found",
            rx.el.p("There is nothing at this address. Check that it is complete."),
            rx.el.div(button_link("Go to billing", HOME, look="solid"), class_name="btns"),
            level=1,
        ),
    )
