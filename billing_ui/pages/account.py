"""`/settings/account`: where somebody is signed in, and their password."""

import reflex as rx

from billing_ui.components.ask_first import ask_first
from billing_ui.components.banner import banner
from billing_ui.components.buttons import button
from billing_ui.components.departure import leave
from billing_ui.components.empty import empty_card
from billing_ui.components.focus_keeper import focus_keeper
from billing_ui.components.frame import settings_page
from billing_ui.components.loaded import loaded
from billing_ui.components.native_form import posts_to
from billing_ui.components.password_fields import failure_alert, field, new_password
from billing_ui.components.skeleton import bone, bones, loading
from billing_ui.components.waking import waking
from billing_ui.states.addresses import ACCOUNT
from billing_ui.states.my_sessions import HEADING, AccountState, SessionView


def account() -> rx.Component:
    """Return the page."""
    return settings_page(
        rx.el.div(
            rx.el.div(
                rx.el.h1("Your account", id=HEADING, tab_index=-1),
                rx.cond(
                    AccountState.email != "",
                    rx.el.p(AccountState.email),
                    rx.el.p("Where you are signed in, and your password"),
                ),
            ),
            class_name="head",
        ),
        loaded(
            AccountState,
            rx.cond(AccountState.entered, _entered(), _content()),
            skeleton=_skeleton(),
            failure="Your account could not be loaded.",
        ),
        leave(AccountState.departure),
        waking(AccountState.load),
        focus_keeper(within="main", refuge=HEADING),
        here=ACCOUNT,
    )


def _content() -> rx.Component:
    return rx.fragment(
        rx.cond(
            AccountState.said != "",
            banner(AccountState.said, tone="green", icon_name="active", role="status"),
            rx.fragment(),
        ),
        rx.cond(
            AccountState.problem != "",
            banner(AccountState.problem, tone="red", icon_name="warning", role="alert"),
            rx.fragment(),
        ),
        _sessions(),
        rx.cond(AccountState.has_password, _password(), rx.fragment()),
    )


def _sessions() -> rx.Component:
    return rx.el.section(
        rx.el.header(
            rx.el.h2("Your sessions", id="sessions-heading"),
            ask_first(
                button("Sign out everywhere"),
                title="Sign out everywhere?",
                words="Every browser and program that is signed in as you is signed out at once,"
                " this one too.",
                label="Sign out everywhere",
                on_confirm=AccountState.sign_out_everywhere,
            ),
        ),
        rx.el.ul(rx.foreach(AccountState.sessions, _session), class_name="rows"),
        class_name="card",
        aria_labelledby="sessions-heading",
    )


def _session(session: rx.Var[SessionView]) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.span(session.device, class_name="medium"),
            rx.el.span(session.about, class_name="muted"),
        ),
        rx.cond(
            session.this,
            rx.el.span("This session", class_name="badge text tone-gray"),
            button(
                "Sign out",
                aria_label="Sign out " + session.name,
                on_click=AccountState.sign_out(session.id),
            ),
        ),
        key=session.id,
    )


def _password() -> rx.Component:
    return rx.el.section(
        rx.el.header(rx.el.h2("Password", id="password-heading")),
        posts_to(
            "/auth/own-password",
            failure_alert(AccountState.failure),
            # For password managers, which want to know whose password it is.
            rx.el.input(
                type="email",
                name="username",
                value=AccountState.email,
                auto_complete="username",
                read_only=True,
                hidden=True,
            ),
            field(
                "Present password",
                "current",
                failure=AccountState.failure,
                type="password",
                auto_complete="current-password",
                required=True,
            ),
            new_password("New password", AccountState.failure),
            rx.el.button("Change password", type="submit", class_name="btn outline"),
            rx.el.p("All your other sessions end.", class_name="small muted"),
            class_name="form narrow",
        ),
        class_name="card",
        aria_labelledby="password-heading",
    )


def _entered() -> rx.Component:
    return empty_card(
        "person",
        "Your account is where you came from",
        rx.el.p("You were let in to this team's billing by a link. Manage your account there."),
        label="Account",
    )


def _skeleton() -> rx.Component:
    return rx.fragment(
        loading("your account"),
        bones(bone("140px", 24), *(bone("100%", 44) for _ in range(3))),
    )
