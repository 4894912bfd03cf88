"""`/sign-in`: e-mail and password, and the demo accounts while the sandbox is the provider."""

import reflex as rx

from billing_ui.components.frame import bare_page
from billing_ui.components.sign_in import demo_accounts, password_form
from billing_ui.components.site import app_name, logo
from billing_ui.settings import get_settings


def sign_in() -> rx.Component:
    """Return the page."""
    return bare_page(
        rx.el.div(logo(), rx.el.h1(f"Sign in to {app_name()} billing"), class_name="box crest"),
        password_form(),
        demo_accounts() if get_settings().sandbox else rx.fragment(),
    )
