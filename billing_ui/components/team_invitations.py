"""Inviting somebody, the link that comes of it, and the invitations that are open."""

import reflex as rx

from billing_ui.components.ask_first import ask_first
from billing_ui.components.banner import banner
from billing_ui.components.buttons import button, icon_button
from billing_ui.components.copy_field import copy_field
from billing_ui.components.icons import icon
from billing_ui.components.member_table import role_options
from billing_ui.states.team import LINK_FIELD, TeamState
from billing_ui.states.team_view import InvitationView


def invite_form() -> rx.Component:
    """Return the region "Invite a member"."""
    return rx.el.section(
        rx.el.header(rx.el.h2("Invite a member", id="invite-heading")),
        rx.el.form(
            rx.el.div(
                rx.el.label("E-mail", html_for="invited-email"),
                rx.el.input(
                    id="invited-email",
                    name="email",
                    type="email",
                    # Made anew when the invitation is.
                    key=TeamState.invited.to_string(),
                    auto_complete="off",
                    max_length=320,
                    aria_describedby="invited-hint",
                    class_name="input",
                ),
                class_name="field",
            ),
            rx.el.div(
                rx.el.label("Role", html_for="invited-role"),
                rx.el.span(
                    rx.el.select(
                        *role_options(), id="invited-role", name="role", class_name="input"
                    ),
                    icon("open"),
                    class_name="chosen",
                ),
                class_name="field",
            ),
            rx.el.button("Create invitation", type="submit", class_name="btn solid"),
            rx.el.p(
                "Without an e-mail, whoever has the link can join.",
                id="invited-hint",
                class_name="small muted",
            ),
            on_submit=TeamState.invite,
            class_name="invite",
        ),
        class_name="card",
        aria_labelledby="invite-heading",
    )


def made_link() -> rx.Component:
    """Return the link that was just made, until it is put away.

    It is always on the page, for the field in it is where the link is sent to.
    """
    return banner(
        TeamState.made.title,
        rx.el.p(TeamState.made.note),
        copy_field(LINK_FIELD, label="Link"),
        tone="green",
        icon_name="active",
        role="status",
        action=icon_button("close", "Dismiss", on_click=TeamState.put_link_away),
        hidden=TeamState.made.title == "",
    )


def open_invitations() -> rx.Component:
    """Return the region "Invitations"; absent without any."""
    return rx.cond(
        TeamState.invitations.length() > 0,
        rx.el.section(
            rx.el.header(rx.el.h2("Invitations", id="invitations-heading")),
            rx.el.ul(rx.foreach(TeamState.invitations, _invitation), class_name="rows"),
            class_name="card",
            aria_labelledby="invitations-heading",
        ),
        rx.fragment(),
    )


def _invitation(invitation: rx.Var[InvitationView]) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.span(invitation.who, class_name="medium"),
            rx.el.span(invitation.about, class_name="muted"),
        ),
        ask_first(
            button(
                "Withdraw", look="ghost", aria_label="Withdraw invitation for " + invitation.who
            ),
            title=rx.fragment("Withdraw the invitation for ", invitation.who, "?"),
            words="Its link stops working.",
            label="Withdraw",
            on_confirm=TeamState.withdraw(invitation.id),
        ),
        key=invitation.id,
    )
