"""Payment method and billing details, each with the button that changes it at the provider."""

import reflex as rx

from billing_ui.components.badge import note_badge
from billing_ui.components.buttons import busy_button
from billing_ui.components.icons import icon
from billing_ui.states.account_view import Detail
from billing_ui.states.billing import BillingState


def payment_card() -> rx.Component:
    """Return the region "Payment method"."""
    payment = BillingState.payment
    exists = payment.label != ""
    return rx.el.section(
        rx.el.header(
            rx.el.h2("Payment method", id="payment-heading"),
            rx.cond(
                BillingState.offers.payment,
                _change_payment(exists | ~BillingState.lacks_payment),
                rx.fragment(),
            ),
        ),
        rx.cond(
            exists,
            rx.el.div(
                rx.el.span(icon("card"), class_name="glyph"),
                rx.el.div(
                    rx.el.p(payment.label, class_name="medium"),
                    rx.el.p(
                        rx.el.span(payment.expiry),
                        rx.match(
                            payment.warning,
                            ("Expired", note_badge("Expired", tone="red", icon_name="warning")),
                            (
                                "Expires soon",
                                note_badge("Expires soon", tone="amber", icon_name="clock"),
                            ),
                            rx.fragment(),
                        ),
                        class_name="line",
                    ),
                ),
                class_name="pay",
            ),
            rx.el.p(
                rx.cond(
                    BillingState.lacks_payment,
                    "No payment method yet.",
                    f"{BillingState.provider} tells of it here once a plan is paid with it.",
                ),
                class_name="muted",
            ),
        ),
        rx.cond(
            payment.note != "",
            rx.el.p(icon("warning"), rx.el.span(payment.note), class_name="note tone-amber"),
            rx.fragment(),
        ),
        class_name="card",
        aria_labelledby="payment-heading",
    )


def details_card() -> rx.Component:
    """Return the region "Billing details"."""
    return rx.el.section(
        rx.el.header(
            rx.el.h2("Billing details", id="details-heading"),
            rx.cond(
                BillingState.offers.details,
                _update("Update billing details", "details", BillingState.update_details),
                rx.fragment(),
            ),
        ),
        rx.cond(
            BillingState.details.length() > 0,
            rx.el.dl(rx.foreach(BillingState.details, _detail), class_name="details"),
            rx.el.p("No billing details yet.", class_name="muted"),
        ),
        class_name="card",
        aria_labelledby="details-heading",
    )


def _change_payment(exists: rx.Var[bool]) -> rx.Component:
    word = rx.cond(exists, "Update", "Add")
    whole = rx.cond(exists, "Update payment method", "Add payment method")
    return busy_button(
        word,
        busy=BillingState.opening == "payment",
        blocked=BillingState.opening != "",
        # A banner's button of the whole name keeps it to itself; the heading says the rest of this one's.
        aria_label=rx.cond(BillingState.payment_asked_for, word, whole),
        aria_describedby="payment-heading",
        on_click=BillingState.update_payment_method,
    )


def _detail(line: rx.Var[Detail]) -> rx.Component:
    return rx.fragment(rx.el.dt(line.term), rx.el.dd(line.text))


def _update(name: str, button: str, handler: rx.EventHandler) -> rx.Component:
    # The heading beside it says what; the whole name is for those who hear only the button.
    return busy_button(
        "Update",
        busy=BillingState.opening == button,
        blocked=BillingState.opening != "",
        aria_label=name,
        on_click=handler,
    )
