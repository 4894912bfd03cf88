"""`/`: points on to billing or sign-in, and shows only that it is doing so."""

import reflex as rx

from billing_ui.components.frame import bare_page
from billing_ui.components.site import app_name


def home() -> rx.Component:
    """Return the page."""
    return bare_page(
        rx.el.h1(f"{app_name()} billing", class_name="sr"),
        rx.el.span(class_name="spin bone-late", aria_hidden="true"),
        rx.el.p("Opening billing…", role="status", class_name="sr"),
    )
