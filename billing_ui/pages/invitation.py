"""`/invitation`: what an invitation is for, and accepting it."""

import reflex as rx

from billing_ui.accounts.invitations import Way
from billing_ui.components.buttons import button_link, page_link
from billing_ui.components.empty import empty
from billing_ui.components.frame import bare_page
from billing_ui.components.link_token import link_token
from billing_ui.components.native_form import posts_to
from billing_ui.components.password_fields import failure_alert, field, new_password
from billing_ui.components.site import app_name, logo
from billing_ui.states.addresses import BILLING, HOME, INVITATION, sign_in_url
from billing_ui.states.links import InvitationState


def invitation() -> rx.Component:
    """Return the page."""
    return bare_page(
        rx.el.div(
            logo(),
            rx.cond(
                InvitationState.team_name != "",
                rx.el.h1("Join ", InvitationState.team_name),
                rx.el.h1(f"Invitation to {app_name()} billing"),
            ),
            class_name="box crest",
        ),
        rx.el.section(
            posts_to(
                "/auth/invitation",
                link_token(asked=InvitationState.asked, on_token=InvitationState.look),
                rx.cond(
                    InvitationState.looked,
                    rx.cond(InvitationState.problem.title != "", _useless(), _offer()),
                    rx.el.p("Looking at the invitation…", role="status", class_name="muted"),
                ),
                class_name="form",
            ),
            rx.cond(
                InvitationState.way == Way.SOMEBODY_ELSE.value,
                posts_to(
                    "/auth/sign-out",
                    rx.el.button("Sign out", type="submit", class_name="btn outline block"),
                    class_name="form after-form",
                ),
                rx.fragment(),
            ),
            class_name="card box",
            aria_label="Invitation",
        ),
    )


def _offer() -> rx.Component:
    return rx.match(
        InvitationState.way,
        (Way.ACCEPT.value, _accept()),
        (Way.SIGN_UP.value, _sign_up()),
        (Way.SIGN_IN.value, _sign_in()),
        (Way.MEMBER_ALREADY.value, _member_already()),
        (Way.SOMEBODY_ELSE.value, _somebody_else()),
        rx.fragment(),
    )


def _as_what() -> rx.Component:
    return rx.fragment(
        "You are invited to ",
        rx.el.strong(InvitationState.team_name),
        " as ",
        rx.match(
            InvitationState.role,
            ("owner", "an owner"),
            ("billing manager", "a billing manager"),
            "a member",
        ),
        ".",
    )


def _accept() -> rx.Component:
    return rx.fragment(
        rx.el.p(_as_what(), " You are signed in as ", InvitationState.me, "."),
        rx.el.button("Accept invitation", type="submit", class_name="btn solid large block"),
    )


def _sign_up() -> rx.Component:
    return rx.fragment(
        failure_alert(InvitationState.failure),
        rx.el.p(_as_what()),
        rx.cond(
            InvitationState.email != "",
            field(
                "E-mail",
                "email",
                type="email",
                value=InvitationState.email,
                read_only=True,
                auto_complete="username",
            ),
            field(
                "E-mail",
                "email",
                failure=InvitationState.failure,
                type="email",
                required=True,
                max_length=320,
                auto_complete="username",
            ),
        ),
        field("Name", "name", required=True, max_length=200, auto_complete="name"),
        new_password("Password", InvitationState.failure),
        rx.el.button("Join team", type="submit", class_name="btn solid large block"),
        rx.el.p(
            "You have an account? ",
            page_link("Sign in", sign_in_url(INVITATION)),
            " to accept.",
            class_name="small muted",
        ),
    )


def _sign_in() -> rx.Component:
    return rx.fragment(
        rx.el.p(_as_what(), " Sign in as ", InvitationState.email, " to accept."),
        page_link("Sign in", sign_in_url(INVITATION), class_name="btn solid large block"),
    )


def _member_already() -> rx.Component:
    return rx.fragment(
        rx.el.p("You are in ", rx.el.strong(InvitationState.team_name), " already."),
        button_link("Go to billing", BILLING, look="solid"),
    )


def _somebody_else() -> rx.Component:
    return rx.el.p(
        "This invitation is for ",
        rx.el.strong(InvitationState.email),
        ". You are signed in as ",
        InvitationState.me,
        ". Sign out, then open the link again.",
    )


def _useless() -> rx.Component:
    return empty(
        "failed",
        InvitationState.problem.title,
        rx.el.p(InvitationState.problem.detail),
        rx.el.div(button_link("Go to billing", HOME), class_name="btns"),
        role="alert",
    )
