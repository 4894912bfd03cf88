"""What the sign-in page offers: single sign-on, e-mail and password, and the demo accounts."""

from typing import Any

import reflex as rx

from billing_ui.accounts.demo import DEMO_ACCOUNTS
from billing_ui.components.buttons import icon_button, plain_link
from billing_ui.components.icons import icon
from billing_ui.components.native_form import posts_to
from billing_ui.settings import get_settings
from billing_ui.states.addresses import backend_url
from billing_ui.states.sign_in import SignInState

_ALERT = "sign-in-failed"

_CAPTIONS = {
    "active": ("Team, two years of invoices", "active", "green"),
    "trialing": ("Nothing charged yet", "clock", "blue"),
    "past due": ("Last payment failed", "warning", "red"),
    "canceling": ("Stays on until the period ends", "canceling", "amber"),
    "ended": ("Canceled, invoices remain", "ended", "gray"),
    "no plan": ("Nothing bought yet", "plan", "gray"),
    "member": ("No billing rights", "lock", "gray"),
}


def password_form() -> rx.Component:
    """Return the form for e-mail and password, under single sign-on and the failure of the last try."""
    providers = get_settings().oidc_providers
    failed = SignInState.failure != ""
    described = {
        "aria_invalid": failed,
        "aria_describedby": rx.cond(failed, _ALERT, ""),
    }
    return rx.el.section(
        posts_to(
            "/auth/sign-in",
            *((_alert(SignInState.provider_failure), _single_sign_on()) if providers else ()),
            _alert(SignInState.failure, id=_ALERT),
            _next_field(),
            rx.el.div(
                rx.el.label("E-mail", html_for="email"),
                rx.el.input(
                    id="email",
                    name="email",
                    type="email",
                    auto_complete="username",
                    auto_focus=not providers,
                    required=True,
                    class_name="input",
                    **described,
                ),
                class_name="field",
            ),
            rx.el.div(
                rx.el.label("Password", html_for="password"),
                rx.el.div(
                    rx.el.input(
                        id="password",
                        name="password",
                        type=rx.cond(SignInState.password_shown, "text", "password"),
                        auto_complete="current-password",
                        required=True,
                        class_name="input",
                        **described,
                    ),
                    icon_button(
                        "eye",
                        "Show password",
                        aria_pressed=SignInState.password_shown,
                        on_click=SignInState.toggle_password,
                    ),
                    class_name="password",
                ),
                class_name="field",
            ),
            rx.el.button(
                "Sign in",
                type="submit",
                class_name=f"btn {'outline' if providers else 'solid'} large block",
            ),
            class_name="form",
        ),
        class_name="card box",
        aria_label="Sign in",
    )


def _alert(failure: rx.Var[str], **props: Any) -> rx.Component:
    return rx.cond(
        failure != "",
        rx.el.div(
            icon("warning"),
            rx.el.p(failure, class_name="body"),
            role="alert",
            class_name="callout tone-red",
            **props,
        ),
        rx.fragment(),
    )


def _single_sign_on() -> rx.Component:
    """Return one link a provider; the first is the most likely way in."""
    return rx.fragment(
        *(
            plain_link(
                rx.fragment(icon("key"), f"Continue with {provider.label}"),
                href=backend_url(f"/auth/oidc/{number}") + SignInState.onward,
                class_name=f"btn {'outline' if place else 'solid'} large block",
            )
            for place, (number, provider) in enumerate(get_settings().oidc_providers.items())
        ),
        rx.el.p("or with a password", class_name="or"),
    )


def demo_accounts() -> rx.Component:
    """Return one button per demo account; each stands for a team in another state."""
    return rx.el.section(
        rx.el.header(rx.el.h2("Demo accounts", id="demo-heading"), rx.el.p("Sandbox only")),
        posts_to(
            "/auth/demo",
            _next_field(),
            rx.el.ul(*(_account(number, key) for number, key in enumerate(DEMO_ACCOUNTS))),
        ),
        class_name="card box roomy demo",
        aria_labelledby="demo-heading",
    )


def _account(number: int, key: str) -> rx.Component:
    caption, mark, tone = _CAPTIONS[key]
    described_by = f"demo-{number}"
    return rx.el.li(
        rx.el.button(
            icon(mark),
            f"Continue as {key}",
            type="submit",
            name="account",
            value=key,
            class_name=f"tone-{tone}",
            aria_describedby=described_by,
        ),
        rx.el.span(caption, id=described_by),
    )


def _next_field() -> rx.Component:
    return rx.el.input(type="hidden", name="next", value=SignInState.destination, read_only=True)
