"""The banners above the plan: what is owed, what ends and what begins, each with what to do about it."""

import reflex as rx

from billing_ui.components.banner import banner
from billing_ui.components.buttons import Look, busy_button, plain_link
from billing_ui.components.icons import icon, icon_for
from billing_ui.states.banner_view import BANNER_ICONS, BannerView
from billing_ui.states.billing import BillingState


def plan_banners() -> rx.Component:
    """Return every banner there is, the most urgent first."""
    return rx.foreach(BillingState.banners, _plan_banner)


def _plan_banner(view: rx.Var[BannerView]) -> rx.Component:
    return banner(
        view.title,
        rx.cond(view.detail != "", rx.el.p(view.detail), rx.fragment()),
        rx.cond(view.hint != "", rx.el.p(view.hint, class_name="small"), rx.fragment()),
        tone=view.tone.to(str),
        icon_name=icon_for(view.icon, BANNER_ICONS, "warning"),
        role=view.role.to(str),
        action=rx.fragment(
            rx.match(
                view.action,
                ("payment", rx.cond(view.solid == "action", _mend("solid"), _mend_by(view))),
                ("keep", _keep(view)),
                rx.fragment(),
            ),
            rx.cond(view.pay_url != "", _pay(view), rx.fragment()),
        ),
    )


def _mend(look: Look) -> rx.Component:
    return _button("Update payment method", "mend", BillingState.mend_payment, look)


def _mend_by(view: rx.Var[BannerView]) -> rx.Component:
    return _button(view.label, "mend", BillingState.mend_payment)


def _keep(view: rx.Var[BannerView]) -> rx.Component:
    return _button(view.label, "keep", BillingState.keep_plan)


def _button(
    label: str | rx.Var[str], name: str, handler: rx.EventHandler, look: Look = "outline"
) -> rx.Component:
    return busy_button(
        label,
        busy=BillingState.opening == name,
        blocked=BillingState.opening != "",
        look=look,
        on_click=handler,
    )


def _pay(view: rx.Var[BannerView]) -> rx.Component:
    # The provider's page of this invoice stays beside this one, which shows soon that it was paid.
    return plain_link(
        rx.fragment(
            view.pay_label, icon("leave"), rx.el.span(" (opens a new tab)", class_name="sr")
        ),
        view.pay_url,
        target="_blank",
        rel="noopener noreferrer",
        class_name=rx.cond(view.solid == "pay", "btn solid", "btn outline"),
    )
