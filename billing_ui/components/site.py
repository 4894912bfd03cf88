"""The operator's own marks: name, logo, support address and the sandbox's warning."""

import reflex as rx

from billing_ui.components.buttons import plain_link
from billing_ui.components.icons import icon
from billing_ui.settings import get_settings


def app_name() -> str:
    """Return what the operator calls the product."""
    return get_settings().app_name


def page_title(name: str) -> str:
    """Return a page's title for the browser's tab."""
    return f"{name} · {app_name()}"


def logo() -> rx.Component:
    """Return the operator's logo, or bars in a square when there is none."""
    if address := get_settings().app_logo:
        return rx.el.img(src=address, alt="", class_name="logo")
    return rx.el.svg(
        rx.el.svg.rect(width="24", height="24", rx="7"),
        rx.el.svg.path(d="M7 16.5v-4M12 16.5v-7M17 16.5v-10"),
        view_box="0 0 24 24",
        class_name="logo",
        aria_hidden="true",
    )


def sandbox_strip() -> rx.Component:
    """Return the warning that stands above every page while the sandbox is the provider."""
    if not get_settings().sandbox:
        return rx.fragment()
    return rx.el.aside(
        rx.el.div(
            icon("sandbox", 14),
            rx.el.span("Sandbox: demo data, no real money moves."),
            class_name="wrap",
        ),
        class_name="strip",
        aria_label="Sandbox",
    )


def support_link(label: str) -> rx.Component | None:
    """Return a link to the operator's support, or None when no address is set."""
    address = get_settings().support_url
    return plain_link(label, href=address, class_name="btn outline") if address else None
