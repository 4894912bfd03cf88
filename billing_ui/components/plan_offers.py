"""The plans to choose from, with the switches for interval, currency and seats above them."""

import reflex as rx

from billing_ui.components.banner import banner
from billing_ui.components.buttons import busy_button, icon_button, page_link
from billing_ui.components.icons import icon
from billing_ui.states.addresses import PRICING, SIGN_IN
from billing_ui.states.pricing import PricingState
from billing_ui.states.pricing_view import Choice, OfferView


def switches() -> rx.Component:
    """Return the choices that decide what the plans cost."""
    return rx.el.div(
        rx.cond(
            PricingState.intervals.length() > 1,
            rx.el.div(
                _segments(
                    "interval",
                    "Billing interval",
                    PricingState.intervals,
                    PricingState.interval,
                    PricingState.choose_interval,
                ),
                rx.cond(
                    PricingState.yearly_note != "",
                    rx.el.span(PricingState.yearly_note, class_name="badge text tone-green"),
                    rx.fragment(),
                ),
            ),
            rx.fragment(),
        ),
        rx.cond(
            PricingState.currencies.length() > 1,
            _segments(
                "currency",
                "Currency",
                PricingState.currencies,
                PricingState.currency,
                PricingState.choose_currency,
            ),
            rx.fragment(),
        ),
        rx.cond(PricingState.unit != "", _seats(), rx.fragment()),
        class_name="controls",
    )


def offers() -> rx.Component:
    """Return the plans side by side."""
    return rx.el.div(rx.foreach(PricingState.offers, _offer), class_name="plans")


def opening_failed() -> rx.Component:
    """Return why the provider's page did not open."""
    title = rx.cond(
        PricingState.switches, "The billing portal didn't open.", "The checkout didn't open."
    )
    return rx.cond(
        PricingState.problem != "",
        rx.el.div(
            banner(
                title,
                rx.el.p(PricingState.problem),
                tone="red",
                icon_name="warning",
                role="alert",
                action=busy_button(
                    "Try again", busy=PricingState.opening != "", on_click=PricingState.try_again
                ),
            ),
            class_name="plans-alert",
        ),
        rx.fragment(),
    )


def first_plan() -> rx.Component:
    """Return why somebody who wanted the portal is here."""
    return rx.cond(
        PricingState.first_plan,
        rx.el.div(
            banner(
                "There is no billing portal before your first purchase.",
                rx.el.p("Choose a plan to begin."),
                tone="blue",
                icon_name="plan",
                role="status",
            ),
            class_name="plans-alert",
        ),
        rx.fragment(),
    )


def _segments(
    group: str,
    label: str,
    choices: rx.Var[list[Choice]],
    chosen: rx.Var[str],
    choose: rx.event.EventCallback[str],
) -> rx.Component:
    def option(choice: rx.Var[Choice]) -> rx.Component:
        # Native radio buttons: the browser gives them arrow keys and one place in the tab order.
        return rx.el.label(
            rx.el.input(
                type="radio",
                name=group,
                checked=chosen == choice.key,
                on_change=choose(choice.key),
            ),
            choice.label,
        )

    return rx.el.div(
        rx.foreach(choices, option), role="radiogroup", aria_label=label, class_name="segments"
    )


def _seats() -> rx.Component:
    return rx.el.div(
        rx.el.label(PricingState.unit_heading, html_for="seats", class_name="field-label"),
        rx.el.span(
            icon_button(
                "less",
                f"One {PricingState.unit} less",
                aria_disabled=PricingState.seats == "1",
                on_click=PricingState.one_seat_less,
            ),
            # The browser keeps what is being typed; a new key puts the number that counts into it.
            rx.el.input(
                id="seats",
                key=PricingState.seats_shown,
                default_value=PricingState.seats,
                input_mode="numeric",
                auto_complete="off",
                max_length=6,
                on_change=PricingState.type_seats,
                on_blur=PricingState.settle_seats,
            ),
            icon_button(
                "more", f"One {PricingState.unit} more", on_click=PricingState.one_seat_more
            ),
            class_name="stepper",
        ),
    )


def _offer(offer: rx.Var[OfferView]) -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h2(offer.name, id=offer.heading_id),
            rx.cond(
                offer.current,
                rx.el.span(icon("check", 14), "Current plan", class_name="badge tone-blue"),
                rx.fragment(),
            ),
            class_name="title",
        ),
        rx.el.p(offer.about, class_name="about"),
        rx.el.p(offer.price, " ", rx.el.small(offer.per), class_name="price"),
        rx.el.p(
            rx.cond(
                offer.total != "",
                rx.fragment(rx.el.b(offer.total, aria_live="polite"), " ", offer.total_note),
                rx.fragment(),
            ),
            class_name="sum",
        ),
        rx.el.div(_action(offer), class_name="act"),
        rx.el.ul(
            rx.foreach(
                offer.features, lambda feature: rx.el.li(icon("check"), rx.el.span(feature))
            ),
            class_name="ticks",
        ),
        class_name=rx.cond(offer.current, "card offer current", "card offer"),
        aria_labelledby=offer.heading_id,
    )


def _action(offer: rx.Var[OfferView]) -> rx.Component:
    return rx.cond(
        offer.action != "",
        rx.cond(PricingState.signed_in, _choose(offer), _sign_in_first(offer)),
        rx.cond(
            offer.current,
            rx.el.p(icon("check"), "Your plan", class_name="btn still"),
            rx.fragment(),
        ),
    )


def _choose(offer: rx.Var[OfferView]) -> rx.Component:
    # Solid when it changes the plan the team has: then it is the one thing that was asked for here.
    return rx.cond(
        offer.prominent, _choose_button(offer, "solid"), _choose_button(offer, "outline")
    )


def _choose_button(offer: rx.Var[OfferView], look: str) -> rx.Component:
    return busy_button(
        offer.action,
        busy=PricingState.opening == offer.product_id,
        blocked=PricingState.opening != "",
        look="solid" if look == "solid" else "outline",
        on_click=PricingState.choose(offer.product_id),
    )


def _sign_in_first(offer: rx.Var[OfferView]) -> rx.Component:
    return page_link(offer.action, f"{SIGN_IN}?next={PRICING}", class_name="btn outline")
