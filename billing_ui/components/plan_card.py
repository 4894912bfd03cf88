"""The current plan: name, price, what happens next, and the one solid button of the page."""

import reflex as rx

from billing_ui.components.badge import status_badge
from billing_ui.components.buttons import Look, busy_button, button_link, plain_link
from billing_ui.components.icons import icon, icon_for
from billing_ui.states.addresses import PRICING
from billing_ui.states.billing import BillingState
from billing_ui.states.plan_view import WHEN_ICONS, PlanView, SeatsView

_HINT = "portal-hint"


def plan_card() -> rx.Component:
    """Return the region "Current plan", with every subscription stacked in it."""
    return rx.el.section(
        rx.el.h2("Current plan", id="plan-heading"),
        rx.cond(
            BillingState.plans.length() > 0,
            rx.fragment(
                rx.el.div(_facts(BillingState.plans[0]), class_name="facts"),
                _actions(),
                _contents(BillingState.plans[0]),
                rx.foreach(BillingState.plans[1:], _further_plan),
            ),
            _no_plan(),
        ),
        _footnote(),
        class_name="card plan",
        aria_labelledby="plan-heading",
    )


def _facts(plan: rx.Var[PlanView]) -> rx.Component:
    return rx.fragment(
        rx.el.p(rx.el.span(plan.name), status_badge(plan.badge), class_name="name"),
        rx.el.p(plan.price, " ", rx.el.small(plan.terms), class_name="price"),
        _when(plan),
        _items(plan),
    )


def _further_plan(plan: rx.Var[PlanView]) -> rx.Component:
    return rx.el.div(
        rx.el.p(rx.el.span(plan.name), status_badge(plan.badge), class_name="name"),
        rx.el.p(plan.price, " ", rx.el.small(plan.terms), class_name="value"),
        _when(plan),
        _items(plan),
        class_name="second",
    )


def _when(plan: rx.Var[PlanView]) -> rx.Component:
    return rx.cond(
        plan.when != "",
        rx.el.p(
            rx.el.span(icon_for(plan.when_icon, WHEN_ICONS, "calendar"), plan.when),
            rx.cond(plan.also != "", rx.el.span(plan.also, class_name="muted"), rx.fragment()),
            class_name="when",
        ),
        rx.fragment(),
    )


def _items(plan: rx.Var[PlanView]) -> rx.Component:
    return rx.cond(
        plan.lines.length() > 0,
        rx.el.ul(rx.foreach(plan.lines, lambda line: rx.el.li(line)), class_name="items"),
        rx.fragment(),
    )


def _actions() -> rx.Component:
    return rx.cond(
        BillingState.offers.plans,
        rx.el.div(
            button_link("Choose a plan", PRICING, look="solid"),
            rx.cond(BillingState.offers.portal, _manage("outline"), rx.fragment()),
            class_name="btns lead",
        ),
        rx.cond(
            BillingState.offers.portal,
            rx.el.div(
                # A banner that asks for money has the one solid button then.
                _manage(rx.cond(BillingState.urgent, "outline", "solid")),
                rx.cond(BillingState.offers.change, _change_plan(), rx.fragment()),
                class_name="btns lead",
            ),
            rx.fragment(),
        ),
    )


def _manage(look: Look | rx.Var[str]) -> rx.Component:
    return busy_button(
        "Manage Billing",
        busy=BillingState.opening == "manage",
        blocked=BillingState.opening != "",
        look=look,
        leaves=True,
        aria_describedby=_HINT,
        on_click=BillingState.manage_billing,
    )


def _change_plan() -> rx.Component:
    return busy_button(
        "Change plan",
        busy=BillingState.opening == "change",
        blocked=BillingState.opening != "",
        on_click=BillingState.change_plan,
    )


def _contents(plan: rx.Var[PlanView]) -> rx.Component:
    """Return what the plan comes to: its next invoice, how many of its seats are taken, what else is in it."""
    coming = BillingState.next_invoice.amount != ""
    has_seats, has_features = plan.seats.heading != "", plan.features.length() > 0
    return rx.cond(
        coming | has_seats | has_features,
        rx.el.div(
            rx.cond(coming, _next_invoice(), rx.fragment()),
            rx.cond(has_seats, _seats(plan.seats), rx.fragment()),
            rx.cond(has_features, _included(plan), rx.fragment()),
            class_name="stats",
        ),
        rx.fragment(),
    )


def _next_invoice() -> rx.Component:
    return rx.el.div(
        rx.el.p("Next invoice", class_name="label"),
        rx.el.p(BillingState.next_invoice.amount, class_name="value"),
        rx.el.p(BillingState.next_invoice.note, class_name="reason"),
    )


def _seats(seats: rx.Var[SeatsView]) -> rx.Component:
    return rx.el.div(
        rx.el.p(seats.heading, class_name="label"),
        rx.el.p(seats.value, class_name="value"),
        rx.el.div(
            rx.el.i(style={"width": seats.fill}),
            # Reflex does not know this role.
            custom_attrs={"role": "meter"},
            aria_label=seats.label,
            aria_valuemin=0,
            aria_valuenow=seats.used,
            aria_valuemax=seats.total,
            class_name=rx.cond(seats.warning != "", "meter full", "meter"),
        ),
        rx.cond(
            seats.warning != "",
            rx.el.p(icon("warning", 14), seats.warning, class_name="warning tone-amber"),
            rx.fragment(),
        ),
    )


def _included(plan: rx.Var[PlanView]) -> rx.Component:
    return rx.el.div(
        rx.el.p("Included in ", plan.name, class_name="label"),
        rx.el.ul(
            rx.foreach(plan.features, lambda feature: rx.el.li(icon("check"), rx.el.span(feature))),
            class_name="ticks wide",
        ),
    )


def _no_plan() -> rx.Component:
    return rx.el.div(
        rx.el.span(icon("plan", 20), class_name="ring"),
        rx.el.p("Free", class_name="name"),
        rx.el.p(
            rx.el.strong("No plan yet. ", class_name="medium"),
            rx.cond(
                BillingState.offers.plans,
                rx.fragment(
                    "Pick the plan that fits ",
                    BillingState.team_name,
                    ". You can change or cancel it at any time.",
                ),
                rx.fragment(),
            ),
        ),
        _actions(),
        class_name="empty",
    )


def _footnote() -> rx.Component:
    return rx.cond(
        BillingState.may_manage,
        rx.cond(
            BillingState.offers.portal,
            rx.el.p(
                icon("lock"),
                rx.el.span(
                    rx.cond(
                        BillingState.offers.plans & (BillingState.plans.length() > 0),
                        "Your invoices stay here. ",
                        "",
                    ),
                    rx.cond(
                        BillingState.opening != "",
                        f"Opening {BillingState.provider}'s portal…",
                        rx.cond(
                            BillingState.returns,
                            f"Manage Billing opens {BillingState.provider}'s secure portal"
                            " and brings you back here.",
                            f"Manage Billing opens {BillingState.provider}'s secure portal."
                            " What you change there appears here by itself.",
                        ),
                    ),
                ),
                id=_HINT,
                role="status",
                class_name="foot",
            ),
            rx.fragment(),
        ),
        rx.el.p(
            icon("lock"),
            rx.el.span(
                "Only an owner or billing manager can change billing.",
                rx.cond(
                    BillingState.contact != "",
                    rx.fragment(
                        " Ask ",
                        plain_link(
                            BillingState.contact,
                            href=f"mailto:{BillingState.contact}",
                            class_name="plain",
                        ),
                        ".",
                    ),
                    rx.fragment(),
                ),
            ),
            class_name="foot",
        ),
    )
