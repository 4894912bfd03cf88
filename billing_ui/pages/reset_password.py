"""`/reset-password`: choosing a new password by a link that an owner made."""

import reflex as rx

from billing_ui.components.buttons import button_link
from billing_ui.components.empty import empty
from billing_ui.components.frame import bare_page
from billing_ui.components.link_token import link_token
from billing_ui.components.native_form import posts_to
from billing_ui.components.password_fields import failure_alert, field, new_password
from billing_ui.components.site import logo
from billing_ui.states.addresses import SIGN_IN
from billing_ui.states.links import ResetState


def reset_password() -> rx.Component:
    """Return the page."""
    return bare_page(
        rx.el.div(logo(), rx.el.h1("Choose a new password"), class_name="box crest"),
        rx.el.section(
            posts_to(
                "/auth/password",
                link_token(asked=ResetState.asked, on_token=ResetState.look),
                rx.cond(
                    ResetState.looked,
                    rx.cond(ResetState.problem.title != "", _useless(), _choose()),
                    rx.el.p("Looking at the link…", role="status", class_name="muted"),
                ),
                class_name="form",
            ),
            class_name="card box",
            aria_label="Password link",
        ),
    )


def _choose() -> rx.Component:
    return rx.fragment(
        failure_alert(ResetState.failure),
        field(
            "E-mail",
            "email",
            type="email",
            value=ResetState.email,
            read_only=True,
            auto_complete="username",
        ),
        new_password("New password", ResetState.failure),
        rx.el.button("Change password", type="submit", class_name="btn solid large block"),
        rx.el.p("You are signed in here then, and nowhere else.", class_name="small muted"),
    )


def _useless() -> rx.Component:
    return empty(
        "failed",
        ResetState.problem.title,
        rx.el.p(ResetState.problem.detail),
        rx.el.div(button_link("Sign in", SIGN_IN), class_name="btns"),
        role="alert",
    )
